"""A step marked `unless_healed` begins only if the judge says, on fresh samples, that it is sick still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import Rig, running, until
from remediator.playbooks.loader import load_playbook
from remediator.run import HOLD_BETWEEN_STEPS
from selfheal.common.clock import ManualClock, from_rfc3339
from selfheal.common.problems import ConfigError
from tests.pipeline.conftest import FREE, LEDGER, RULES, Case, Patient
from tests.pipeline.conftest import playbook as of_the_rig
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook
from tests.tools import tool

SECOND = "{action: ledger.append, with: {note: two}, unless_healed: true}"
ALWAYS = "{action: ledger.append, with: {note: three}, always: true}"
TOLD = "{action: notify.log, with: {message: it was looked at}}"
STEPS = f"steps: [{LEDGER[2:]}, {SECOND}, {TOLD}, {ALWAYS}]"
DECLARED = "verify: {healthy_for: 0s, within: 6s, watch: 0s, healthy: 'sick{item=\"{{ $labels.item }}\"} == 0'}"
BOOKS = [
    of_the_rig("own", f"mode: auto\n{FREE}, attempts: 1}}\n{STEPS}\nverify: {{healthy_for: 0s, within: 6s}}\n"),
    of_the_rig("said", f"mode: auto\n{FREE}, attempts: 1}}\n{STEPS}\n{DECLARED}\n"),
]
SCRAPE = 1.0


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    tool("prometheus"), tool("alertmanager")
    limits = "limits: {rate: [1000/1h]}"
    with running(Rig(tmp_path_factory.mktemp("unless") / "r", RULES, playbooks=BOOKS, limits=limits)) as rig:
        # a resolve that is delivered would drop the steps before anything is judged
        rig.start(deliver=False)
        rig.start_remediator()
        yield rig


def deliver(case: Case) -> None:
    until(lambda: case.rig.query(f'ALERTS{{item="{case.item}"}}'), 20)
    told = {"status": "firing", "labels": case.labels(), "startsAt": datetime.now(UTC).isoformat()}
    assert case.rig.deliver(told) == 200


def took(detail: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    reasons = {
        event["detail"]["step"]: event["reason"] for event in detail["events"] if event["to"] == "skipped"
    }  # by the row's number
    rows = [event["detail"]["step"] for event in detail["events"] if event["to"] in ("done", "skipped")]
    return [
        (step["position"], step["state"], reasons.get(row)) for step, row in zip(detail["steps"], rows, strict=True)
    ]


@pytest.mark.acceptance
@pytest.mark.timeout(120)
def test_on_real_samples_it_runs_while_sick_and_is_left_out_when_healed(rig: Rig) -> None:
    patient = Patient(rig)
    sick, healed, said_sick, said_healed = (
        Case(rig, patient, name, name.partition("-")[0])
        for name in ("own-sick", "own-healed", "said-sick", "said-well")
    )
    for case in (sick, healed, said_sick, said_healed):
        case.set(1)
    for case in (sick, healed, said_sick, said_healed):
        deliver(case)
    for case in (healed, said_healed):
        case.wait_for_effects(1)
        case.set(0)

    for case in (healed, said_healed):
        detail = case.wait("succeeded")
        assert took(detail) == [
            (0, "done", None), (1, "skipped", "healed_already"), (2, "done", None), (3, "done", None),
        ]  # fmt: skip
        assert detail["verdict"] == "fixed"
    for case in (sick, said_sick):
        detail = case.wait("ineffective")
        assert took(detail) == [(number, "done", None) for number in range(4)]
        first, second = detail["steps"][:2]
        # of two samples newer than the first step at least one interval lies between
        assert from_rfc3339(second["intent_at"]) - from_rfc3339(first["ended_at"]) >= SCRAPE


# What cannot be told, by a clock that is moved: the small server gives no sample's time, so nothing is ever fresh.

PROVEN = "mode: auto\nverify: {healthy_for: 0s, within: 30s, watch: 0s}\n"


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = [alert()]
    return sources


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, Act("test.one"), Act("test.two"), Act("test.always"))
    yield made
    made.stop()


MARKED = "{action: test.one}, {action: test.two, unless_healed: true}, {action: test.always, always: true}"


def states(bench: Bench) -> list[tuple[int, str]]:
    return [(step["position"], step["state"]) for step in bench.detail()["steps"]]


def test_what_cannot_be_judged_holds_for_two_minutes_and_then_drops_the_rest_as_a_cancel_does(bench: Bench) -> None:
    bench.start(playbook(MARKED, PROVEN))
    bench.deliver(alert())
    waits = [event["reason"] for event in bench.detail()["events"] if event["detail"].get("waits")]
    bench.advance(HOLD_BETWEEN_STEPS - 3)
    held = states(bench)
    bench.advance(5)

    assert waits == ["not_judged"]
    assert held == [(0, "done")]
    assert states(bench) == [(0, "done"), (1, "skipped"), (2, "done")]
    reasons = [event["reason"] for event in bench.detail()["events"] if event["to"] == "skipped"]
    assert reasons == ["not_judged"]
    assert bench.remediations()[0]["state"] == "verifying"


def test_where_proof_is_not_asked_for_it_can_never_be_judged(bench: Bench) -> None:
    bench.start(playbook(MARKED))
    bench.deliver(alert())

    assert states(bench) == [(0, "done")]


def test_a_pause_holds_it_without_any_question(bench: Bench, sources: Sources) -> None:
    asked: list[str] = []
    bench.start(playbook(MARKED, PROVEN))
    bench.deliver(alert())
    (bench.folder / "state" / "pause").write_text('{"who": "kim", "why": "a test", "until": null, "hard": true}')
    sources.on_ask = asked.append
    bench.advance(3)

    assert not [question for question in asked if "count_over_time" in question]


def test_with_nothing_done_before_it_there_is_nothing_to_wait_for(bench: Bench) -> None:
    bench.actions["test.one"].idempotent = True
    bench.start(playbook("{action: test.two, unless_healed: true}, {action: test.one}", PROVEN))
    bench.deliver(alert())

    assert states(bench) == [(0, "done"), (1, "done")]


def test_beside_always_it_is_refused_when_the_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "one.yml"
    path.write_text(
        playbook("{action: service.restart, with: {service: web}, always: true, unless_healed: true}"), "utf-8"
    )

    with pytest.raises(ConfigError) as caught:
        load_playbook(path)

    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: steps[0].unless_healed: cannot stand beside always: what must run in any case is not asked about; "
        "remove one of the two"
    ]
