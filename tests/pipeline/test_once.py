"""Whatever is told twice, late, not at all or in between: one occurrence, each effect once, each result recorded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rig import until
from remediator import pause, pipeline
from remediator.app import App
from remediator.errors import ActionFailed, StoreBusy
from remediator.model import Pause
from remediator.receive import Batch
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"
TWO = f"{ONE}, {ONE}"
HOUR, RESENT_EVERY = 3_600, 300
QUICK = "cooldown: 0s, rate: [1000/1h], lock: target"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.sources.firing = [alert()]
    return bench


def steps(bench: Bench, number: int = 0) -> list[tuple[int, str]]:
    return [(step["position"], step["state"]) for step in bench.detail(number)["steps"]]


def broken() -> None:
    raise ActionFailed("it is broken")


# Alertmanager sends a group again and again; two of them each do.


@pytest.mark.parametrize(
    ("rest", "limits", "breaks", "states", "effects"),
    [
        pytest.param("mode: auto\nverify: none\n", QUICK, False, ["succeeded"], 1, id="done"),
        pytest.param("verify: none\n", QUICK, False, ["observed"], 0, id="only observed"),
        pytest.param("mode: approve\nverify: none\n", QUICK, False, ["held"], 0, id="nobody says yes"),
        pytest.param("mode: auto\nverify: none\n", f"{QUICK}, attempts: 1", True, ["failed"], 1, id="one attempt"),
        pytest.param("mode: auto\nverify: none\n", f"{QUICK}, attempts: 3", True, ["failed"] * 3, 3, id="attempts"),
    ],
)
def test_what_is_sent_again_for_an_hour_by_two_alertmanagers_is_one_occurrence(
    bench: Bench, sources: Sources, act: Act, rest: str, limits: str, breaks: bool, states: list[str], effects: int
) -> None:
    if breaks:
        act.while_running = broken
    bench.careful += "approval: {valid_for: 2h}\n"
    sources.listed = [alert()]
    bench.start(playbook(ONE, rest, limits))
    second = replace(alert(), annotations={"summary": "told by the other one"})
    for _ in range(HOUR // RESENT_EVERY):
        both = [threading.Thread(target=bench.deliver, args=(each,)) for each in (alert(), second)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(20)
        bench.advance(RESENT_EVERY)

    assert len(bench.alerts()) == 1
    assert [state for state, _ in bench.states()] == states
    assert len(act.ran) == effects


# What a delivery left out, and what came back before its end was told.


def test_what_was_cut_off_a_delivery_is_fetched_at_once(bench: Bench, sources: Sources, act: Act) -> None:
    app = bench.start(playbook(ONE, limits=QUICK))
    # just looked: the next turn by itself is half a minute away
    sources.firing = sources.listed = [alert("a"), alert("b"), alert("c")]
    pipeline.take_in(app.parts, Batch("selfheal", (alert("a"),), truncated=0))
    bench.rest()
    whole = len(act.ran)
    pipeline.take_in(app.parts, Batch("selfheal", (alert("a"),), truncated=2))
    bench.rest()

    assert whole == 1
    assert len(act.ran) == len(bench.alerts()) == 3


def test_a_fault_that_is_back_while_its_repair_runs_begins_anew_after_it(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock
) -> None:
    def back() -> None:
        act.while_running = lambda: None
        clock.advance(20)
        again = alert(starts_at=clock.now() - 1)
        sources.firing = [again]
        bench.deliver(again, rest=False)

    act.while_running = back
    bench.start(playbook(TWO))
    bench.deliver(alert(), rest=False)
    until(lambda: len(act.ran) == 3)
    bench.rest()

    # the first one's running step is recorded and the rest of it left out; the new period has all its steps
    assert steps(bench, 1) == [(0, "done"), (1, "skipped")]
    assert steps(bench, 0) == [(0, "done"), (1, "done")]
    assert [entry["closed_at"] is None for entry in bench.alerts()] == [True, False]


# A resolve ends it at the next safe point, and what was done by then is recorded.


@pytest.mark.parametrize(
    ("point", "nth", "effects", "ended", "recorded"),
    [
        pytest.param("before_intent", 1, 0, ("cancelled", "resolved"), [], id="before the decision"),
        pytest.param("intent_stored", 1, 1, None, ["done", "skipped"], id="as the first effect begins"),
        pytest.param("running", 1, 1, None, ["done", "skipped"], id="during the first effect"),
        pytest.param("effect_done", 1, 1, None, ["done", "skipped"], id="before its result is stored"),
        pytest.param("result_stored", 1, 1, None, ["done", "skipped"], id="after its result"),
        pytest.param("before_intent", 2, 1, None, ["done", "skipped"], id="before the second intent"),
        pytest.param("running", 2, 2, None, ["done", "done"], id="during the last effect"),
        pytest.param("result_stored", 2, 2, None, ["done", "done"], id="after the last result"),
    ],
)
def test_a_resolve_ends_it_at_the_next_safe_point(
    bench: Bench,
    sources: Sources,
    act: Act,
    point: str,
    nth: int,
    effects: int,
    ended: tuple[str, str] | None,
    recorded: list[str],
) -> None:
    seen = {point: 0}

    def resolve(reached: str) -> None:
        if reached != point:
            return
        seen[point] += 1
        if seen[point] == nth:
            # Prometheus still has it: only the told end counts here
            bench.deliver(alert(status="resolved"), rest=False)

    act.while_running = lambda: resolve("running")
    bench.start(playbook(TWO), reached=resolve)
    bench.deliver(alert(), rest=False)
    until(lambda: bench.remediations() and bench.remediations()[0]["ended_at"])
    bench.rest()

    assert len(act.ran) == effects
    assert [state for _, state in steps(bench)] == recorded
    assert bench.states() == [ended or ("succeeded", "proof_not_asked")]
    assert bench.alerts()[0]["closed_at"] is not None
    # it is not taken up again, however long it waits
    bench.advance(31)
    assert len(act.ran) == effects


def test_a_resolve_does_not_stand_for_the_proof(bench: Bench) -> None:
    told: list[str] = []

    def resolve(reached: str) -> None:
        if reached == "before_verify" and not told:
            told.append(reached)
            bench.deliver(alert(status="resolved"), rest=False)

    bench.start(playbook(ONE, "mode: auto\nverify: {healthy_for: 0s, within: 30s, watch: 0s}\n"), reached=resolve)
    bench.deliver(alert())
    for _ in range(4):
        bench.advance(10)

    # the made-up server measures nothing: unproven, whatever was told
    assert bench.states() == [("ineffective", "not_proven")]
    assert steps(bench) == [(0, "done")]


@pytest.mark.parametrize("held", ["paused", "cooldown", "silenced", "approval_needed"])
def test_a_resolve_calls_off_whatever_is_held(bench: Bench, sources: Sources, act: Act, held: str) -> None:
    limits, rest = QUICK, "mode: auto\nverify: none\n"
    path = bench.folder / "state" / pause.NAME
    match held:
        case "paused":
            path.parent.mkdir(mode=0o700)
            pause.write(path, Pause("kim", "a test", None))
        case "silenced":
            sources.silenced = [alert(part="second")]
        case "approval_needed":
            rest = "mode: approve\nverify: none\n"
        case "cooldown":
            limits = "cooldown: 10m, rate: [1000/1h], lock: target"
            sources.firing = [alert(), alert(part="second")]
    bench.start(playbook(ONE, rest, limits))
    if held == "cooldown":
        bench.deliver(alert())
    sources.firing = [alert(), alert(part="second")]
    bench.deliver(alert(part="second"))
    before, waits = len(act.ran), bench.states()[0]
    bench.deliver(alert(part="second", status="resolved"))
    pause.clear(path)
    bench.advance(700)

    assert waits == ("held", held)
    assert bench.states()[0] == ("cancelled", "resolved")
    assert len(act.ran) == before


# Two processes on one store.


@pytest.fixture
def draining(bench: Bench, act: Act) -> Iterator[Callable[[], None]]:
    """A remediator that was told to stop while its effect goes on; what is given lets the effect end."""
    running, gate = threading.Event(), threading.Event()

    def slow() -> None:
        running.set()
        assert gate.wait(20)

    act.while_running = slow
    bench.start(playbook(TWO))
    bench.deliver(alert(), rest=False)
    assert running.wait(10)
    app = bench.app
    assert app is not None
    stopping = threading.Thread(target=bench.stop)
    stopping.start()
    until(app.parts.stopping.is_set)

    def end() -> None:
        act.while_running = lambda: None
        gate.set()
        stopping.join(20)

    yield end
    end()


def test_a_second_start_while_the_first_drains_touches_nothing_and_the_next_one_goes_on(
    bench: Bench, sources: Sources, clock: ManualClock, act: Act, draining: Callable[[], None]
) -> None:
    with pytest.raises(StoreBusy, match="is in use by process"):
        App(bench._read, clock=clock, actions=bench.actions)
    draining()
    ran_by_the_first = len(act.ran)
    bench.start(playbook(TWO))

    assert ran_by_the_first == 1
    assert len(act.ran) == 2
    assert steps(bench) == [(0, "done"), (1, "done")]
    assert bench.states() == [("succeeded", "proof_not_asked")]


def test_a_second_program_says_who_has_the_store_and_ends(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE))
    # the program does not know a test's action
    other = bench.folder / "other.yml"
    written = (bench.folder / "remediator.yml").read_text("utf-8")
    other.write_text(written.replace('playbooks: ["playbooks/*.yml"]', "playbooks: []"), "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "remediator", "--config.file", str(other)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert ended.returncode == 1
    assert "is in use by process" in ended.stderr
    bench.deliver(alert())
    assert len(act.ran) == 1
