"""What changes while something waits or is asked about: mode, clock, answers, workers, the end of the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.rig import until
from remediator import pause
from remediator.effect import overtakes
from remediator.errors import OutcomeUnknown
from remediator.model import Alert, Pause
from remediator.probes import PROBES
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook
from tests.pipeline.test_diagnose import Look

ONE = "{action: test.act}"
TEXT = playbook(ONE)
NEVER = float("inf")


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = [alert()]
    return sources


# The mode.


def lower_the_highest_mode(bench: Bench) -> None:
    bench.stop()
    write = bench.write
    bench.write = lambda *books: write(*books, highest_mode="observe")  # type: ignore[method-assign]
    bench.start(TEXT)


def lower_the_playbook(bench: Bench) -> None:
    assert bench.app is not None
    bench.write(TEXT.replace("mode: auto", "mode: observe"))
    bench.app.reload()


def remove_the_playbook(bench: Bench) -> None:
    assert bench.app is not None
    bench.write(TEXT.replace("playbook: heal", "playbook: another").replace("alert: Sick", "alert: Other"))
    bench.app.reload()


@pytest.mark.parametrize(
    ("change", "left"),
    [(lower_the_highest_mode, "observed"), (lower_the_playbook, "observed"), (remove_the_playbook, None)],
)
def test_what_was_held_does_not_act_any_more_where_only_observing_is_left(
    bench: Bench, act: Act, change: Callable[[Bench], None], left: str | None
) -> None:
    bench.start(TEXT)
    path = bench.folder / "state" / pause.NAME
    pause.write(path, Pause("kim", "a test", None))
    bench.deliver(alert())
    assert bench.states() == [("held", "paused")]
    change(bench)
    pause.clear(path)
    bench.advance(6)
    bench.deliver(alert())

    assert bench.states()[-1] == ("skipped", "playbook_changed")
    # it is decided anew by what is in force now
    assert [state for state, _ in bench.states()[:-1]] == ([left] if left else [])
    assert act.ran == []


# The clock.


@pytest.mark.parametrize(
    ("ended", "asked_at", "now", "expected"),
    [
        pytest.param(None, 100.0, 101.0, False, id="nothing was done"),
        pytest.param(99.0, 100.0, 101.0, False, id="before it was asked"),
        pytest.param(100.5, 100.0, 101.0, True, id="after it was asked"),
        pytest.param(NEVER, 100.0, 101.0, True, id="it goes on"),
        pytest.param(131.0, 100.0, 101.0, True, id="a little ahead: the clock may have been corrected meanwhile"),
        pytest.param(
            131.1, 100.0, 101.0, False, id="far ahead: before the clock was set back, and so before it was asked"
        ),
        pytest.param(200.0, 199.0, 101.0, True, id="both before the clock was set back"),
    ],
)
def test_when_an_effect_overtakes_an_answer(ended: float | None, asked_at: float, now: float, expected: bool) -> None:
    assert overtakes(ended, asked_at, now) is expected


def test_after_the_clock_was_set_back_a_target_that_was_healed_before_is_still_decided(
    bench: Bench, act: Act, clock: ManualClock
) -> None:
    app = bench.start(TEXT)
    bench.deliver(alert())
    bench.deliver(alert(status="resolved"))
    clock.jump(-86_400.0)
    app.engine.wake()
    until(lambda: app.engine.clock_jumped_at is not None)
    bench.deliver(alert(starts_at=clock.now() - 1))
    bench.advance(61)

    assert bench.states() == [("succeeded", "proof_not_asked")] * 2
    assert len(act.ran) == 2


# The answers.


def test_an_answer_that_grew_old_while_the_group_was_asked_about_is_asked_for_again(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock
) -> None:
    def slow(question: str) -> None:
        if question.startswith("count(up"):
            clock.advance(20)
            sources.firing = []
            sources.known[""] = alert()

    sources.on_ask = slow
    radius = "blast_radius: {by: [instance], max: 5, quorum: 'count(up == 1) >= 1'}"
    bench.start(playbook(ONE, limits=f"cooldown: 0s, rate: [1000/1h], {radius}"))
    bench.deliver(alert())

    assert bench.states() == [("skipped", "self_resolved")]
    assert act.ran == []


# The program's end.


def test_no_effect_begins_once_the_program_ends_and_the_next_start_asks_anew(bench: Bench, act: Act) -> None:
    started: list[Any] = []

    def end(point: str) -> None:
        if point == "before_intent" and started:
            started[0].parts.stopping.set()

    started.append(bench.start(TEXT, reached=end))
    bench.deliver(alert(), rest=False)
    until(lambda: bench.remediations() and [step["state"] for step in bench.detail()["steps"]] == ["skipped"])
    assert act.ran == []
    bench.stop()
    bench.start(TEXT)

    assert bench.states() == [("succeeded", "proof_not_asked")]
    assert len(act.ran) == 1


# The workers.


def test_probes_that_do_not_end_leave_workers_for_everybody_else(
    bench: Bench, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, gate = Look(), threading.Event()
    look.while_looking = lambda: {"ended": gate.wait(30)}
    monkeypatch.setitem(PROBES, look.name, look)
    probed = [alert(f"item{number}") for number in range(12)]
    sources.firing = [*probed, alert("plain", plain="yes")]
    limits = "lock: target, cooldown: 0s, rate: [1000/1h]"
    slow = "diagnose: [{probe: test.look, with: {what: it}, timeout: 20s}]\n"
    plain = playbook(ONE, limits=limits).replace("playbook: heal", "playbook: plain")
    bench.start(
        playbook(ONE, f"mode: auto\nverify: none\n{slow}", limits),
        plain.replace("{alert: Sick}", "{alert: Sick, match: ['plain=\"yes\"']}"),
    )
    try:
        bench.deliver(*probed, rest=False)
        until(lambda: len(look.seen) >= 4)
        bench.deliver(alert("plain", plain="yes"), rest=False)
        until(
            lambda: [each["state"] for each in bench.remediations() if each["playbook"] == "plain"] == ["succeeded"], 5
        )
    finally:
        gate.set()
        bench.rest()


# What is in doubt.


def test_that_the_last_step_was_done_makes_no_success_of_one_before_it_that_failed(bench: Bench, act: Act) -> None:
    always = Act("test.always")
    bench.actions[always.name] = always

    def fail() -> None:
        raise RuntimeError

    def lose() -> None:
        raise OutcomeUnknown("it took too long")

    act.idempotent, act.while_running, always.while_running = True, fail, lose
    app = bench.start(playbook(f"{ONE}, {{action: test.always, always: true}}"))
    bench.deliver(alert())
    assert bench.states() == [("unknown", "outcome_unknown")]
    app.settle(1, "done", "kim")
    bench.rest()

    assert bench.states() == [("failed", "step_failed")]


@pytest.mark.parametrize("others", [[], [alert("another")]], ids=["nothing else is on", "another alert of the rule is"])
def test_an_alert_that_another_prometheus_saw_first_is_decided_again(
    bench: Bench, sources: Sources, act: Act, others: list[Alert]
) -> None:
    sources.firing = others
    bench.start(TEXT)
    bench.deliver(alert())
    before = bench.states()
    # ours sees it at its next evaluation, and the alert comes for this replica too
    bench.clock.advance(1.0)
    sources.firing = [*others, alert()]
    bench.deliver(alert())

    assert before == [("skipped", "unknown_to_prometheus")]
    assert len(act.ran) == 1
