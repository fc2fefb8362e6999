"""What comes between: a pause, a resolve, a crash, a full disk or a jump of the clock at the worst moment."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.rig import until
from remediator import monitoring_control, pause
from remediator.errors import ActionFailed
from remediator.guards import GUARDS
from remediator.model import Pause, Plan, Reason, State
from remediator.store import Store, Tx
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, act: Act) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, act, Act("test.other"))
    sources.firing = [alert()]
    yield made
    made.stop()


def pausing(bench: Bench, *, hard: bool = False) -> Path:
    path = bench.folder / "state" / pause.NAME
    path.parent.mkdir(mode=0o700, exist_ok=True)
    pause.write(path, Pause("kim", "a test", None, hard))
    return path


def steps(bench: Bench, number: int = 0) -> list[tuple[int, str]]:
    return [(step["position"], step["state"]) for step in bench.detail(number)["steps"]]


# Between the facts and the intent.


def test_a_pause_that_is_written_after_the_facts_were_gathered_keeps_the_effect_back(bench: Bench, act: Act) -> None:
    app = bench.start(playbook(ONE))
    writer = app.store._writer
    busy: list[threading.Thread] = []
    held = threading.Event()

    def pause_while_the_decision_waits(_tx: Tx) -> None:
        # on the writer's own thread: the decision, its facts gathered, waits behind this
        held.set()
        until(lambda: writer._queue, 20, 0.005)
        pausing(bench)

    def keep_the_writer_busy() -> None:
        busy.append(threading.Thread(target=app.store.write, args=(pause_while_the_decision_waits,)))
        busy[0].start()
        assert held.wait(10)

    act.while_planning = keep_the_writer_busy
    bench.deliver(alert())
    busy[0].join()

    assert bench.states() == [("held", "paused")]
    assert act.ran == []


def test_monitoring_that_is_stopped_while_the_world_is_asked_lets_nothing_begin(bench: Bench, act: Act) -> None:
    app = bench.start(playbook(ONE))
    act.while_planning = lambda: monitoring_control.stop(app.parts, "kim", "a test", None)
    bench.deliver(alert())

    assert bench.states() == [("skipped", "monitoring_stopped")]
    assert act.ran == []


def test_a_pause_that_is_written_while_a_later_step_is_asked_about_keeps_it_back(bench: Bench, act: Act) -> None:
    act.while_running = lambda: setattr(act, "while_planning", lambda: pausing(bench) and None)
    bench.start(playbook(f"{ONE}, {ONE}"))
    bench.deliver(alert())

    assert act.verbs() == ["1"]
    waits = [event for event in bench.detail()["events"] if event["detail"].get("waits")]
    assert [(event["reason"], event["detail"]["step"]) for event in waits] == [("paused", 1)]


def test_an_answer_that_grew_old_while_planning_is_asked_for_again(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock
) -> None:
    def slow() -> None:
        clock.advance(3)
        sources.firing = []

    act.while_planning = slow
    bench.start(playbook(ONE))
    bench.deliver(alert())

    assert bench.states() == [("skipped", "self_resolved")]
    assert act.ran == []


@pytest.mark.parametrize(
    ("age", "cancelled", "state", "ran"),
    [
        pytest.param(0.0, False, "succeeded", 1, id="just stored"),
        pytest.param(10.0, False, "failed", 0, id="stored long ago, and no longer firing"),
        pytest.param(0.0, True, "cancelled", 0, id="resolved before its effect began"),
    ],
)
def test_an_intent_is_only_acted_upon_while_what_allowed_it_holds(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock, age: float, cancelled: bool, state: str, ran: int
) -> None:
    paused = pausing(bench)
    app = bench.start(playbook(ONE))
    bench.deliver(alert())
    sources.firing = []
    pause.clear(paused)

    def as_if_the_turn_had_ended_here(tx: Tx) -> None:
        tx.take_lock("host/h1", 1)
        tx.move(1, State.RUNNING, Reason.ALLOWED, clock.now(), due=clock.now())
        tx.store_intent(1, 0, Plan(({"kind": "command", "service": "test", "verb": "1"},)), clock.now() - age)
        if cancelled:
            tx.close_occurrence(alert().fingerprint, clock.now(), "resolved")

    app.store.write(as_if_the_turn_had_ended_here)
    bench.rest()

    assert (bench.remediations()[0]["state"], len(act.ran)) == (state, ran)


# Results that cannot be stored, and crashes.


def test_a_result_that_could_not_be_stored_is_stored_later_and_no_step_happens_twice(
    bench: Bench, act: Act, clock: ManualClock
) -> None:
    app = bench.start(playbook(f"{ONE}, {ONE}"))
    locked: list[sqlite3.Connection] = []

    def lock() -> None:
        if not locked:
            other = sqlite3.connect(bench.folder / "state/selfheal.db", isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            locked.append(other)

    act.while_running = lock
    bench.deliver(alert(), rest=False)
    until(lambda: app.parts.unsaved, 10)
    locked[0].close()
    until(lambda: app.engine.errors["remediation"] == 1)
    bench.advance(2)

    assert act.verbs() == ["1", "2"]
    assert steps(bench) == [(0, "done"), (1, "done")]
    assert bench.value("selfheal_store_errors_total") >= 1
    assert app.parts.begun == set()


def crash(bench: Bench, act: Act, *books: str) -> Bench:
    """Start, deliver, and return a bench on the disk as kill -9 in the middle of the effect would leave it."""
    left = bench.folder / "left"
    act.while_running = lambda: left.exists() or (shutil.copytree(bench.folder / "state", left / "state") and None)
    bench.start(*books)
    if not bench.remediations():
        bench.deliver(alert())
    bench.stop()
    act.while_running = lambda: None
    return Bench(left, bench.sources, bench.clock, *bench.actions.values())


@pytest.fixture
def after(bench: Bench, act: Act) -> Iterator[Callable[..., Bench]]:
    """Crashes in the middle of an idempotent effect, whose count begins anew."""
    made: list[Bench] = []

    def crashed(*books: str) -> Bench:
        act.idempotent = True
        made.append(crash(made[-1] if made else bench, act, *books))
        act.ran.clear()
        return made[-1]

    yield crashed
    for each in made:
        each.stop()


def test_a_crash_in_an_idempotent_step_is_redone_with_the_plan_of_its_intent(
    after: Callable[..., Bench], act: Act
) -> None:
    bench = after(playbook(ONE))
    bench.start(playbook(ONE))

    assert act.verbs() == ["1"]
    assert act.planned == 1
    assert steps(bench) == [(0, "unknown"), (0, "done")]


def test_a_crash_in_any_other_step_leaves_it_unknown_and_locked(bench: Bench, act: Act) -> None:
    left = crash(bench, act, playbook(ONE))
    act.ran.clear()
    left.start(playbook(ONE))
    left.sources.firing = [alert(), alert("b")]
    left.deliver(alert("b"))
    left.advance(40)

    assert left.states() == [("held", "locked"), ("unknown", "outcome_unknown")]
    assert act.ran == []
    left.stop()


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("resolved", "succeeded"),
        ("resolved unheard", "succeeded"),
        ("action changed", "failed"),
        ("paused", "running"),
        ("silenced", "running"),
    ],
)
def test_a_redo_is_asked_about_like_any_other_step(
    after: Callable[..., Bench], sources: Sources, act: Act, what: str, state: str
) -> None:
    bench = after(playbook(ONE))
    match what:
        case "resolved":
            store = Store.open(bench.folder / "state", bench.clock)
            store.write(lambda tx: tx.close_occurrence(alert().fingerprint, 0.0, "resolved"))
            store.close()
        case "resolved unheard":
            sources.firing = []
        case "action changed":
            act.version = 2
        case "paused":
            pausing(bench)
        case "silenced":
            sources.silenced = [alert()]
    bench.start(playbook(ONE))

    assert act.ran == []
    assert bench.remediations()[0]["state"] == state
    pause.clear(bench.folder / "state" / pause.NAME)
    sources.silenced = []
    bench.advance(3)
    assert act.verbs() == (["1"] if state == "running" else [])


def test_what_ends_the_process_each_time_is_not_redone_for_ever(after: Callable[..., Bench], act: Act) -> None:
    for _ in range(3):
        bench = after(playbook(ONE))
    bench.start(playbook(ONE))

    assert act.ran == []
    assert bench.states() == [("unknown", "outcome_unknown")]
    assert steps(bench) == [(0, "unknown")] * 3


# A person settles.


@pytest.fixture
def unknown(bench: Bench, act: Act) -> Iterator[Bench]:
    left = crash(bench, act, playbook(ONE))
    act.ran.clear()
    left.start(playbook(ONE))
    yield left
    left.stop()


def settle(bench: Bench, how: str) -> None:
    assert bench.app is not None
    bench.app.settle(1, how, "kim")
    bench.rest()


def test_not_done_begins_again_with_the_same_plan_when_every_guard_allows(unknown: Bench, act: Act) -> None:
    settle(unknown, "not-done")

    assert act.verbs() == ["1"]
    assert unknown.states() == [("succeeded", "proof_not_asked")]
    assert len(unknown.detail()["decisions"]) == 2 * len(GUARDS)


def test_not_done_waits_while_a_guard_holds_and_is_still_unknown(unknown: Bench, sources: Sources, act: Act) -> None:
    sources.silenced = [alert()]
    settle(unknown, "not-done")
    unknown.advance(6)
    assert unknown.states() == [("unknown", "outcome_unknown")]
    assert act.ran == []

    sources.silenced = []
    unknown.advance(6)
    assert act.verbs() == ["1"]


def test_not_done_of_what_resolved_meanwhile_begins_nothing(unknown: Bench, sources: Sources, act: Act) -> None:
    sources.firing = []
    settle(unknown, "not-done")

    assert unknown.states() == [("failed", "self_resolved")]
    assert act.ran == []


def test_not_done_survives_a_restart(unknown: Bench, sources: Sources, act: Act) -> None:
    sources.silenced = [alert()]
    settle(unknown, "not-done")
    unknown.stop()
    sources.silenced = []
    unknown.start(playbook(ONE))
    unknown.advance(6)

    assert act.verbs() == ["1"]


def test_done_of_what_proof_is_not_asked_for_ends_and_frees_the_lock(unknown: Bench, act: Act) -> None:
    settle(unknown, "done")
    unknown.sources.firing = [alert("b")]
    unknown.deliver(alert("b"))

    assert unknown.states()[1] == ("succeeded", "proof_not_asked")
    assert len(act.ran) == 1


# A step that must always run.


def test_a_hard_pause_keeps_even_what_must_always_run_back_however_long(bench: Bench, act: Act) -> None:
    paths: list[Path] = []
    act.while_running = lambda: paths.append(pausing(bench, hard=True))
    bench.start(playbook(f"{ONE}, {{action: test.other, always: true}}"))
    bench.deliver(alert())
    other = bench.actions["test.other"]
    for _ in range(70):
        bench.advance(2)
    assert other.ran == []
    assert bench.states() == [("running", "allowed")]

    pause.clear(paths[0])
    bench.advance(3)
    assert len(other.ran) == 1


def test_a_plain_pause_and_a_resolve_do_not_keep_back_what_must_always_run(bench: Bench, act: Act) -> None:
    def meanwhile() -> None:
        pausing(bench)
        bench.deliver(alert(status="resolved"), rest=False)

    act.while_running = meanwhile
    bench.start(playbook(f"{ONE}, {ONE}, {{action: test.other, always: true}}"))
    bench.deliver(alert(), rest=False)
    until(lambda: bench.actions["test.other"].ran)
    bench.rest()

    assert steps(bench) == [(0, "done"), (1, "skipped"), (2, "done")]
    assert bench.states() == [("succeeded", "proof_not_asked")]


# Limits and the clock.


def test_a_jump_ahead_shortens_no_cooldown(bench: Bench, sources: Sources, act: Act, clock: ManualClock) -> None:
    bench.start(playbook(ONE, limits="cooldown: 10m, rate: [1000/1h]"))
    bench.deliver(alert())
    clock.jump(3_600)
    bench.deliver(alert(status="resolved"), alert(starts_at=clock.now() - 1))
    bench.advance(120)
    assert len(act.ran) == 1
    assert bench.states()[0] == ("held", "cooldown")

    bench.advance(480)
    assert len(act.ran) == 2


def test_a_jump_ahead_gives_no_rate_back(bench: Bench, act: Act, clock: ManualClock) -> None:
    bench.start(playbook(ONE, limits="cooldown: 0s, rate: [1/1h]"))
    bench.deliver(alert())
    clock.jump(3 * 3_600)
    bench.deliver(alert(status="resolved"), alert(starts_at=clock.now() - 1))
    bench.advance(120)
    assert len(act.ran) == 1
    assert bench.states()[0] == ("held", "rate_limited")

    bench.advance(3_480)
    assert len(act.ran) == 2


def test_a_long_hold_is_one_decision_and_not_one_for_every_look(bench: Bench) -> None:
    path = pausing(bench)
    bench.start(playbook(ONE))
    bench.deliver(alert())
    for _ in range(5):
        bench.advance(6)
    held = bench.detail()["decisions"]
    pause.clear(path)
    bench.advance(6)

    assert len(held) == len(GUARDS)
    assert len(bench.detail()["decisions"]) == 2 * len(GUARDS)
    assert bench.states() == [("succeeded", "proof_not_asked")]


# What breaks must not be without an end.


def test_planning_that_breaks_gives_the_alert_its_fate(bench: Bench, act: Act) -> None:
    act.while_planning = lambda: {}["missing"]
    bench.start(playbook(ONE))
    bench.deliver(alert())

    assert bench.states() == [("skipped", "step_failed")]
    assert bench.alerts()[0]["fate"] == "skipped"
    assert bench.value("selfheal_stage_errors_total", stage="decide") == 1


def test_planning_a_later_step_that_breaks_ends_the_remediation(bench: Bench, act: Act) -> None:
    bench.start(playbook(f"{ONE}, {{action: test.other}}"))
    bench.actions["test.other"].while_planning = lambda: {}["missing"]
    bench.deliver(alert())

    assert bench.states() == [("failed", "step_failed")]
    assert bench.value("selfheal_stage_errors_total", stage="run") == 1


def test_a_failed_step_is_not_hidden_by_what_must_always_run_after_it(bench: Bench, act: Act) -> None:
    def fail() -> None:
        bench.deliver(alert(status="resolved"), rest=False)
        raise ActionFailed("it did not work")

    act.while_running = fail
    bench.start(playbook(f"{ONE}, {{action: test.other, always: true}}"))
    bench.deliver(alert(), rest=False)
    until(lambda: bench.actions["test.other"].ran)
    bench.rest()

    assert bench.states() == [("failed", "step_failed")]


def test_a_target_on_a_host_that_is_not_configured_is_not_ours(bench: Bench, act: Act) -> None:
    book = playbook(ONE).replace("{{ $labels.instance }}", "{{ $labels.node }}")
    bench.start(book)
    bench.sources.firing = [alert(node="elsewhere")]
    bench.deliver(alert(node="elsewhere"))

    assert bench.states() == [("skipped", "not_our_host")]
    assert act.ran == []


def test_an_action_of_another_version_stops_before_the_intent(bench: Bench, act: Act) -> None:
    path = pausing(bench)
    bench.start(playbook(ONE))
    bench.deliver(alert())
    act.version = 2
    pause.clear(path)
    bench.advance(6)

    assert bench.states() == [("skipped", "action_changed")]
    assert steps(bench) == []
    # decided again, the present version is frozen
    bench.deliver(alert())
    assert len(act.ran) == 1


def test_an_end_is_counted_once(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE))
    bench.deliver(alert())
    bench.advance(1)

    assert bench.value("selfheal_decisions_total", reason="allowed") == 1
    assert bench.value("selfheal_verdicts_total", playbook="heal", verdict="not_asked") == 1
    # once for entering verifying, once for the end
    assert bench.value("selfheal_decisions_total", reason="proof_not_asked") == 2
