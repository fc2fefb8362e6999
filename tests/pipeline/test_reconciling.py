"""What was never told: lost resolves, swallowed firings, reloads, repeats, and a watch that could not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from remediator import pause
from remediator.model import Pause, Reason, State, Verdict
from remediator.store import Tx
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"
WATCHED = "mode: auto\nverify: {healthy_for: 0s, within: 1m, watch: 1m}\n"


@pytest.fixture
def sources(clock: ManualClock) -> Iterator[Sources]:
    made = Sources(clock)
    yield made
    made.close()


@pytest.fixture
def act() -> Act:
    return Act()


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, act: Act) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, act)
    sources.firing = sources.listed = [alert()]
    yield made
    made.stop()


def paused(bench: Bench) -> Path:
    path = bench.folder / "state" / pause.NAME
    path.parent.mkdir(mode=0o700, exist_ok=True)
    pause.write(path, Pause("kim", "a test", None))
    return path


def test_an_alert_that_was_never_delivered_is_taken_in(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE))

    assert [entry["fingerprint"] for entry in bench.alerts()] == ["fa"]
    assert len(act.ran) == 1


@pytest.mark.parametrize(
    ("listed", "firing", "ended"),
    [
        pytest.param(False, False, True, id="gone from both"),
        pytest.param(False, True, False, id="silenced, and still firing"),
        pytest.param(True, False, False, id="Alertmanager still has it"),
    ],
)
def test_a_resolve_that_was_lost_is_found_when_both_say_so(
    bench: Bench, sources: Sources, listed: bool, firing: bool, ended: bool
) -> None:
    paused(bench)
    bench.start(playbook(ONE))
    sources.listed = [alert()] if listed else []
    sources.firing = [alert()] if firing else []
    bench.advance(31)

    assert (bench.alerts()[0]["closed_at"] is not None) is ended


def test_what_is_delivered_again_while_its_end_is_asked_about_stays_open(bench: Bench, sources: Sources) -> None:
    paused(bench)
    bench.start(playbook(ONE))
    sources.listed = sources.firing = []

    def deliver(question: str) -> None:
        if question.startswith("ALERTS"):
            sources.on_ask = lambda _question: None
            bench.deliver(alert(), rest=False)

    bench.clock.advance(20)
    sources.on_ask = deliver
    bench.advance(11)

    assert bench.alerts()[0]["closed_at"] is None


@pytest.mark.parametrize("told_by", ["a delivery", "Alertmanager's list"])
def test_a_new_period_whose_resolve_was_swallowed_is_another_alert(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock, told_by: str
) -> None:
    bench.start(playbook(ONE))
    clock.advance(20)
    anew = alert(starts_at=clock.now() - 5)
    if told_by == "a delivery":
        bench.deliver(anew)
    else:
        sources.listed = [anew]
        bench.advance(11)

    assert [entry["closed_at"] is None for entry in bench.alerts()] == [True, False]
    assert len(act.ran) == 2


@pytest.mark.parametrize(
    "starts_at",
    [
        pytest.param(1_699_999_990.0, id="the same start"),
        pytest.param(1_699_999_995.0, id="another replica's start, before it was told of"),
        pytest.param(1_600_000_000.0, id="an earlier start"),
    ],
)
def test_the_same_period_told_differently_is_nothing_new(
    bench: Bench, act: Act, clock: ManualClock, starts_at: float
) -> None:
    bench.start(playbook(ONE))
    clock.advance(20)
    bench.deliver(alert(starts_at=starts_at))

    assert len(bench.alerts()) == 1
    assert len(act.ran) == 1


def test_what_was_only_observed_is_decided_again_when_a_reload_makes_it_act(bench: Bench, act: Act) -> None:
    app = bench.start(playbook(ONE, rest="verify: none\n"))
    assert bench.states() == [("observed", "observe_mode")]
    app.reload()
    bench.rest()
    assert len(bench.remediations()) == 1

    bench.write(playbook(ONE))
    app.reload()
    bench.rest()
    assert bench.states() == [("succeeded", "proof_not_asked"), ("observed", "observe_mode")]
    assert len(act.ran) == 1


def test_an_alert_without_a_playbook_gets_one_by_a_restart(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE).replace("alert: Sick", "alert: Other"))
    fates = bench.value("selfheal_decisions_total", reason="no_playbook")
    assert bench.alerts()[0]["fate"] == "no_playbook"
    bench.stop()

    bench.start(playbook(ONE))
    assert bench.alerts()[0]["fate"] == "succeeded"
    assert len(act.ran) == 1
    assert fates <= 1


def test_a_malformed_alert_that_comes_with_every_delivery_is_kept_once_an_hour(
    bench: Bench, clock: ManualClock
) -> None:
    app = bench.start(playbook(ONE))
    for _ in range(5):
        bench.deliver(malformed=[("{}", "there is no label alertname")])
    bench.deliver(malformed=[("[]", "no object")])
    kept = [entry for entry in bench.alerts() if entry["status"] == "malformed"]
    clock.advance(3_601)
    bench.deliver(malformed=[("{}", "there is no label alertname")])

    assert len(kept) == 2
    assert len([entry for entry in bench.alerts() if entry["status"] == "malformed"]) == 3
    assert app.metrics.registry.get_sample_value("selfheal_alerts_total", {"status": "malformed"}) == 7


def watching(bench: Bench, clock: ManualClock) -> None:
    """Bring the alert's remediation to watching, as a proof would."""
    path = paused(bench)
    app = bench.start(playbook(ONE, rest=WATCHED))

    def proven(tx: Tx) -> None:
        tx.move(1, State.RUNNING, Reason.ALLOWED, clock.now())
        tx.move(1, State.VERIFYING, Reason.ALLOWED, clock.now())
        tx.move(1, State.WATCHING, Reason.PROVEN, clock.now(), verdict=Verdict.FIXED, due=clock.now() + 5)

    app.store.write(proven)
    pause.clear(path)


def test_a_watch_that_saw_nothing_come_back_held(bench: Bench, sources: Sources, clock: ManualClock) -> None:
    watching(bench, clock)
    sources.firing = sources.listed = []
    for _ in range(7):
        bench.advance(10)

    assert bench.states() == [("succeeded", "held_watch")]


def test_a_watch_that_was_blind_does_not_say_that_it_held(bench: Bench, sources: Sources, clock: ManualClock) -> None:
    watching(bench, clock)
    sources.away = True
    for _ in range(7):
        bench.advance(10)
    assert bench.states() == [("watching", "proven")]
    for _ in range(7):
        bench.advance(10)

    assert bench.states() == [("succeeded", "blind")]


def test_a_source_that_is_away_is_counted_once_for_each_question(bench: Bench, sources: Sources) -> None:
    sources.listed = []
    bench.start(playbook(ONE))
    before = bench.value("selfheal_evidence_errors_total", source="alertmanager")
    sources.away = True
    bench.advance(31)

    assert bench.value("selfheal_evidence_errors_total", source="alertmanager") == before + 1


def test_a_notifier_that_breaks_on_an_event_does_not_keep_the_others_back(bench: Bench) -> None:
    from remediator.announce import announce

    app = bench.start(playbook(ONE))
    told: list[int] = []
    with app.store.read() as reader:
        behind = reader.cursor("log")
    app.store.write(lambda tx: tx.set_cursor("log", 0))

    def broken(*_: object) -> None:
        raise KeyError(dedent("what was never translated"))

    announce(app.parts, [broken, lambda event, _remediation: told.append(event.id)], bench.clock.now())

    assert behind >= 0
    assert told
    assert bench.value("selfheal_stage_errors_total", stage="announce") == len(told)
