"""What was asked before something was done to the target is worth nothing after it, whoever did it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rig import until
from remediator.model import Alert
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

OWN = alert()
OTHER = replace(alert(who="other"), fingerprint="fother")
"""About the same target, answered by another playbook with a lock of another kind."""
NEIGHBOUR = replace(alert(who="other", item="b"), fingerprint="fneighbour")
EFFECT_SECONDS = 0.5


def other(action: str = "test.other") -> str:
    text = playbook(f"{{action: {action}}}", limits="cooldown: 0s, rate: [1000/1h], lock: target")
    return text.replace("playbook: heal", "playbook: other").replace(
        "{alert: Sick}", "{alert: Sick, match: [who=other]}"
    )


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = [OWN, OTHER, NEIGHBOUR]
    return sources


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, Act("test.act"), Act("test.other"))
    yield made
    made.stop()


def heals_meanwhile(bench: Bench, by: Alert) -> None:
    """Let the other playbook's effect begin and end, after which our alert is over."""

    def heal() -> None:
        bench.clock.advance(EFFECT_SECONDS)
        bench.sources.firing = []

    bench.actions["test.other"].while_running = heal
    bench.deliver(by, rest=False)
    until(
        lambda: [each for each in bench.remediations() if (each["playbook"], each["state"]) == ("other", "succeeded")]
    )


@pytest.mark.parametrize(("by", "ran"), [(OTHER, 0), (NEIGHBOUR, 1)], ids=["the same target", "another target"])
def test_a_decision_does_not_rest_on_an_answer_from_before_anothers_effect(bench: Bench, by: Alert, ran: int) -> None:
    act = bench.actions["test.act"]
    # planned after the live answer, within the second that one is good for
    act.while_planning = lambda: heals_meanwhile(bench, by)
    bench.start(playbook("{action: test.act}"), other())
    bench.deliver(OWN)

    own = next(each for each in bench.remediations() if each["playbook"] == "heal")
    assert len(act.ran) == ran
    assert own["reason"] == ("proof_not_asked" if ran else "self_resolved")


def test_a_later_step_does_not_rest_on_an_answer_from_before_anothers_effect(bench: Bench, sources: Sources) -> None:
    act = bench.actions["test.act"]

    def between_the_answer_and_the_intent(question: str) -> None:
        if question == "/api/v2/alerts" and act.ran:
            # Prometheus has said already that it fires
            sources.on_ask = lambda _question: None
            heals_meanwhile(bench, OTHER)

    sources.on_ask = between_the_answer_and_the_intent
    bench.start(playbook("{action: test.act}, {action: test.act}"), other())
    bench.deliver(OWN)
    bench.advance(3)

    own = next(number for number, each in enumerate(bench.remediations()) if each["playbook"] == "heal")
    assert [(step["position"], step["state"]) for step in bench.detail(own)["steps"]] == [(0, "done"), (1, "skipped")]
    assert len(act.ran) == 1


def test_an_effect_that_goes_on_and_on_lets_nobody_begin_on_its_target(bench: Bench) -> None:
    act, long = bench.actions["test.act"], bench.actions["test.other"]

    def meanwhile() -> None:
        # its lock is the target's, ours the host's: only the target itself keeps us back
        bench.deliver(OWN, rest=False)
        until(lambda: any(each["playbook"] == "heal" for each in bench.remediations()))
        until(lambda: act.planned >= 2)
        assert act.ran == []

    long.while_running = meanwhile
    bench.start(playbook("{action: test.act}"), other())
    bench.deliver(OTHER, rest=False)
    until(lambda: any(each["state"] == "succeeded" for each in bench.remediations()))
    long.while_running = lambda: None
    for _ in range(3):
        bench.clock.advance(2)
        assert bench.app is not None
        bench.app.engine.wake()
        bench.rest()

    assert len(act.ran) == 1
