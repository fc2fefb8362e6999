"""Undo: what was done is taken back, the last thing first, once; and what is in doubt is left to people."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ledger
from benchmarks.reversible_ledger import UNDONE
from benchmarks.rig import Rig, running, until
from remediator import pause
from remediator.effect import IN_DOUBT
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import (
    Context,
    Effect,
    Frozen,
    FrozenStep,
    Limits,
    Mode,
    Outcome,
    Pause,
    Plan,
    StepRow,
    StepState,
    Target,
    Verdict,
)
from remediator.people import NotUnknown
from remediator.playbooks.loader import load_playbook
from remediator.undo import left_to_undo
from selfheal.common.clock import ManualClock
from selfheal.common.problems import ConfigError
from tests.pipeline.conftest import FREE, RULES
from tests.pipeline.conftest import playbook as of_the_rig
from tests.pipeline.measured import Measured
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook
from tests.tools import tool


@dataclass
class Undoable(Act):
    """An action that can take back what it did, in an order that all of them share."""

    name: str = "test.one"
    effect: Effect = Effect.REVERSIBLE
    order: list[str] = field(default_factory=list)
    while_undoing: Callable[[], None] = lambda: None

    def run(self, plan: Plan, context: Context) -> Outcome:
        """Have the effect."""
        self.order.append(self.name)
        return super().run(plan, context)

    def undo(self, _plan: Plan, outcome: Outcome, _context: Context) -> Outcome:
        """Take it back."""
        self.order.append(f"undo {self.name}")
        self.while_undoing()
        return Outcome(True, outcome.effects)


STEPS = "{action: test.one, undo: true}, {action: test.two, undo: true}, {action: test.last}"
HARD, SOFT = True, False


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = [alert()]
    return sources


@pytest.fixture
def order() -> list[str]:
    return []


@pytest.fixture
def one(order: list[str]) -> Undoable:
    return Undoable("test.one", order=order)


@pytest.fixture
def last() -> Act:
    return Act("test.last")


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, one: Undoable, last: Act) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, one, Undoable("test.two", order=one.order), last, Act("test.always"))
    yield made
    made.stop()


def fails(error: Exception | None = None) -> Callable[[], None]:
    def fail() -> None:
        raise error or ActionFailed("it did not work")

    return fail


def steps(bench: Bench) -> list[tuple[int, str, bool]]:
    return [(step["position"], step["state"], step["undo"]) for step in bench.detail()["steps"]]


def pausing(bench: Bench, hard: bool) -> Path:
    path = bench.folder / "state" / pause.NAME
    pause.write(path, Pause("kim", "a test", None, hard))
    return path


# What is taken back, and in which order.


def test_what_was_done_is_taken_back_the_last_thing_first_when_a_later_step_fails(
    bench: Bench, order: list[str], last: Act
) -> None:
    last.while_running = fails()
    bench.start(playbook(STEPS, limits="cooldown: 0s, rate: [1000/1h], attempts: 1"))
    bench.deliver(alert())

    assert order == ["test.one", "test.two", "undo test.two", "undo test.one"]
    assert bench.states() == [("undone", "undone")]
    assert steps(bench) == [
        (0, "done", False), (1, "done", False), (2, "failed", False), (1, "done", True), (0, "done", True),
    ]  # fmt: skip
    moved = [(event["to"], event["reason"]) for event in bench.detail()["events"] if event["kind"] == "moved"]
    assert moved[-2:] == [("undoing", "step_failed"), ("undone", "undone")]
    assert bench.alerts()[0]["fate"] == "undone"


def test_what_declares_no_undo_and_what_failed_itself_stays(bench: Bench, order: list[str], last: Act) -> None:
    last.while_running = fails()
    bench.start(playbook("{action: test.one, undo: true}, {action: test.two}, {action: test.last}"))
    bench.deliver(alert())

    assert order == ["test.one", "test.two", "undo test.one"]


def test_a_later_step_that_may_not_begin_takes_back_what_was_done(bench: Bench, order: list[str], last: Act) -> None:
    last.while_planning = fails(Refused("not on this host"))
    bench.start(playbook(STEPS))
    bench.deliver(alert())

    assert order[-2:] == ["undo test.two", "undo test.one"]
    assert bench.states() == [("undone", "undone")]


def test_what_must_always_run_runs_before_anything_is_taken_back(bench: Bench, order: list[str], last: Act) -> None:
    last.while_running = fails()
    bench.actions["test.always"].while_running = lambda: order.append("always")
    bench.start(playbook("{action: test.one, undo: true}, {action: test.last}, {action: test.always, always: true}"))
    bench.deliver(alert())

    assert order == ["test.one", "always", "undo test.one"]
    assert bench.states() == [("undone", "undone")]


def test_a_refused_step_keeps_nothing_back_that_must_always_run(bench: Bench, order: list[str], last: Act) -> None:
    last.while_planning = fails(Refused("not on this host"))
    bench.actions["test.always"].while_running = lambda: order.append("always")
    bench.start(playbook("{action: test.one}, {action: test.last}, {action: test.always, always: true}"))
    bench.deliver(alert())

    assert order == ["test.one", "always"]
    assert bench.states() == [("failed", "policy")]


def test_without_an_undo_a_failed_step_ends_it(bench: Bench, last: Act) -> None:
    last.while_running = fails()
    bench.start(playbook("{action: test.one}, {action: test.last}"))
    bench.deliver(alert())

    assert bench.states() == [("failed", "step_failed")]


def test_a_step_that_may_fail_and_go_on_takes_nothing_back(bench: Bench, order: list[str], last: Act) -> None:
    last.while_running = fails()
    bench.start(playbook("{action: test.one, undo: true}, {action: test.last, on_failure: continue}"))
    bench.deliver(alert())

    assert order == ["test.one"]
    assert bench.states() == [("succeeded", "proof_not_asked")]


def frozen(*declared: bool, idempotent: bool = False) -> Frozen:
    each = FrozenStep("test.one", 1, Effect.REVERSIBLE, idempotent, {}, 30.0)
    return Frozen(
        "p", "d", Mode.AUTO, Target("h", "item", "a"), "host/h", {}, 0.0, "f", "", Limits(), (),
        tuple(replace(each, undo=undo) for undo in declared), None,
    )  # fmt: skip


ITEM = {"kind": "file", "path": "/x"}
ROWS = {
    "done": ([(0, "done", None, False)], [0]),
    "done, and taken back": ([(0, "done", None, False), (0, "done", None, True)], []),
    "done, and taking it back failed": ([(0, "done", None, False), (0, "failed", None, True)], [0]),
    "failed with nothing touched": ([(0, "failed", Outcome(False, ()), False)], []),
    "failed half way": ([(0, "failed", Outcome(False, (ITEM,)), False)], [0]),
    "ended at its deadline": ([(0, "failed", Outcome(False, (), {IN_DOUBT: True}), False)], [0]),
    "left out": ([(0, "skipped", None, False)], []),
    "in doubt": ([(0, "unknown", None, False)], []),
    "in doubt, then redone": ([(0, "unknown", None, False), (0, "done", None, False)], [0]),
    "two": ([(0, "done", None, False), (1, "done", None, False)], [1, 0]),
    "not declared": ([(2, "done", None, False)], []),
}


@pytest.mark.parametrize(("rows", "expected"), ROWS.values(), ids=ROWS)
def test_only_what_was_really_done_is_left_to_be_taken_back(rows: list[Any], expected: list[int]) -> None:
    stored = [
        StepRow(number, position, 1, StepState(state), Plan(()), 0.0, 1.0, outcome, undo)
        for number, (position, state, outcome, undo) in enumerate(rows)
    ]

    assert [row.position for row in left_to_undo(frozen(True, True, False), stored)] == expected


# what crashed in an idempotent step was to be begun again; a third time a person is asked
IN_DOUBT_ROWS = {
    "never begun again": ([(1, "unknown")], True, [0]),
    "left out in the end": ([(1, "unknown"), (2, "skipped")], True, [0]),
    "as often as may be, and not done": ([(1, "unknown"), (2, "unknown"), (3, "unknown")], True, []),
    "not to be begun again, and not done": ([(1, "unknown"), (2, "skipped")], False, []),
}


@pytest.mark.parametrize(("rows", "idempotent", "expected"), IN_DOUBT_ROWS.values(), ids=IN_DOUBT_ROWS)
def test_what_a_crash_left_open_is_taken_back_where_nobody_said_that_it_was_not_done(
    rows: list[tuple[int, str]], idempotent: bool, expected: list[int]
) -> None:
    stored = [
        StepRow(number, 0, attempt, StepState(state), Plan(()), 0.0, 1.0, None, False)
        for number, (attempt, state) in enumerate(rows)
    ]

    assert [row.position for row in left_to_undo(frozen(True, idempotent=idempotent), stored)] == expected


# What keeps an undo back.


@pytest.mark.parametrize(("hard", "state"), [(SOFT, "undone"), (HARD, "undoing")])
def test_only_a_hard_pause_keeps_an_undo_back(bench: Bench, last: Act, hard: bool, state: str) -> None:
    def pause_and_fail() -> None:
        pausing(bench, hard)
        raise ActionFailed("it did not work")

    last.while_running = pause_and_fail
    bench.start(playbook(STEPS))
    bench.deliver(alert())

    assert bench.remediations()[0]["state"] == state
    waits = [event["reason"] for event in bench.detail()["events"] if event["detail"].get("waits")]
    assert waits == (["paused"] if hard else [])
    pause.clear(bench.folder / "state" / pause.NAME)
    bench.advance(3)
    assert bench.remediations()[0]["state"] == "undone"


def test_a_resolve_does_not_stop_an_undo(bench: Bench, one: Undoable, last: Act) -> None:
    last.while_running = fails()
    bench.actions["test.two"].while_undoing = lambda: bench.deliver(alert(status="resolved"), rest=False)  # type: ignore[attr-defined]
    bench.start(playbook(STEPS))
    bench.deliver(alert(), rest=False)
    until(lambda: "undo test.one" in one.order)
    bench.rest()

    assert bench.states() == [("undone", "undone")]


@pytest.mark.parametrize(
    ("error", "reason"), [(Refused("not on this host"), "policy"), (ActionFailed("it is gone"), "undo_failed")]
)
def test_an_undo_that_fails_is_the_last_one_and_people_are_told(
    bench: Bench, one: Undoable, last: Act, error: Exception, reason: str
) -> None:
    last.while_running = fails()
    bench.actions["test.two"].while_undoing = fails(error)  # type: ignore[attr-defined]
    bench.start(playbook(STEPS, limits="cooldown: 0s, rate: [1000/1h], attempts: 1"))
    bench.deliver(alert())

    assert one.order[-1] == "undo test.two"
    assert bench.states() == [("failed", reason)]


def test_a_changed_action_takes_nothing_back(bench: Bench, one: Undoable, last: Act) -> None:
    def change_and_fail() -> None:
        bench.actions["test.two"].version = 2
        raise ActionFailed("it did not work")

    last.while_running = change_and_fail
    bench.start(playbook(STEPS))
    bench.deliver(alert())

    assert one.order == ["test.one", "test.two"]
    assert bench.states() == [("failed", "action_changed")]
    # it stops before the intent
    assert not any(undo for _, _, undo in steps(bench))


# Once, whatever happens in the middle of it.


def crash_in_the_undo(bench: Bench, one: Undoable, last: Act) -> Bench:
    """Return a bench on the disk as kill -9 in the middle of the second undo would leave it."""
    left = bench.folder / "left"
    last.while_running = fails()

    def as_kill_would_leave_it() -> None:
        if not left.exists():
            shutil.copytree(bench.folder / "state", left / "state")

    one.while_undoing = as_kill_would_leave_it
    bench.start(playbook(STEPS))
    bench.deliver(alert())
    bench.stop()
    one.while_undoing = lambda: None
    one.order.clear()
    return Bench(left, bench.sources, bench.clock, *bench.actions.values())


def test_an_undo_in_doubt_is_not_repeated_and_waits_for_a_person(bench: Bench, one: Undoable, last: Act) -> None:
    left = crash_in_the_undo(bench, one, last)
    left.start(playbook(STEPS))

    assert one.order == []
    assert left.states() == [("unknown", "outcome_unknown")]
    assert steps(left)[-1] == (0, "unknown", True)
    left.stop()


@pytest.mark.parametrize(
    ("how", "undone", "state"),
    [
        ("done", [], ("undone", "undone")),
        ("not-done", ["undo test.one"], ("undone", "undone")),
        ("give-up", [], ("failed", "given_up")),
    ],
)
def test_a_person_settles_an_undo_in_doubt(
    bench: Bench, one: Undoable, last: Act, how: str, undone: list[str], state: tuple[str, str]
) -> None:
    left = crash_in_the_undo(bench, one, last)
    app = left.start(playbook(STEPS))
    # no guard is asked for what is only taken back
    left.sources.silenced = [alert()]
    app.settle(1, how, "kim")
    left.rest()

    assert one.order == undone
    assert left.states() == [state]
    with pytest.raises(NotUnknown):
        app.settle(1, how, "kim")
    left.stop()


def test_an_idempotent_undo_in_doubt_is_begun_again(bench: Bench, one: Undoable, last: Act) -> None:
    one.idempotent = True
    left = crash_in_the_undo(bench, one, last)
    left.start(playbook(STEPS))

    assert one.order == ["undo test.one"]
    assert left.states() == [("undone", "undone")]
    left.stop()


def test_an_undo_whose_own_outcome_is_not_known_is_unknown(bench: Bench, one: Undoable, last: Act) -> None:
    last.while_running = fails()
    one.while_undoing = fails(OutcomeUnknown("it took too long"))
    bench.start(playbook(STEPS))
    bench.deliver(alert())

    assert bench.states() == [("unknown", "outcome_unknown")]
    moved = [event["detail"] for event in bench.detail()["events"] if event["to"] == "unknown"]
    assert {"step": 0, "undo": True} in moved


PROVED = "mode: auto\nverify: {healthy_for: 5s, within: 60s, watch: 0s}\n"


@pytest.mark.parametrize(
    ("how", "undone"), [("done", ["undo test.one"]), ("not-done", ["undo test.two", "undo test.one"])]
)
def test_that_all_is_well_says_nothing_of_an_undo_in_doubt_and_a_person_lets_it_go_on(
    tmp_path: Path, clock: ManualClock, one: Undoable, last: Act, how: str, undone: list[str]
) -> None:
    measured = Measured(clock)
    measured.firing = [alert()]
    two = Undoable("test.two", order=one.order)
    bench = Bench(tmp_path, measured, clock, one, two, last)
    last.while_running = fails()

    def heal_and_lose() -> None:
        measured.firing = []
        raise OutcomeUnknown("it took too long")

    two.while_undoing = heal_and_lose
    try:
        app = bench.start(playbook(STEPS, PROVED))
        bench.deliver(alert())
        for _ in range(4):
            bench.advance(20)
        doubt = (bench.states(), bench.detail()["verdict"])
        one.order.clear()
        two.while_undoing = lambda: None
        app.settle(1, how, "kim")
        bench.rest()
        end = (bench.states(), bench.detail()["verdict"])
    finally:
        bench.stop()
        measured.close()

    assert doubt == ([("unknown", "outcome_unknown")], None)
    assert one.order == undone
    assert end == ([("undone", "undone")], None)


@pytest.mark.parametrize(("how", "undone"), [("done", []), ("not-done", ["undo test.two", "undo test.one"])])
def test_a_settled_step_that_may_not_begin_again_takes_back_what_was_done_before_it(
    bench: Bench, order: list[str], last: Act, how: str, undone: list[str]
) -> None:
    last.while_running = fails(OutcomeUnknown("it took too long"))
    app = bench.start(playbook(STEPS))
    bench.deliver(alert())
    assert bench.states() == [("unknown", "outcome_unknown")]
    order.clear()
    bench.sources.firing = []
    app.settle(1, how, "kim")
    bench.rest()

    assert order == undone


def test_that_a_step_was_done_after_one_that_failed_takes_back_what_was_done_before_it(
    bench: Bench, order: list[str], last: Act
) -> None:
    last.while_running = fails()
    bench.actions["test.always"].while_running = fails(OutcomeUnknown("it took too long"))
    steps_of = "{action: test.one, undo: true}, {action: test.last}, {action: test.always, always: true}"
    app = bench.start(playbook(steps_of))
    bench.deliver(alert())
    assert bench.states() == [("unknown", "outcome_unknown")]
    app.settle(1, "done", "kim")
    bench.rest()

    assert order == ["test.one", "undo test.one"]
    assert bench.states() == [("undone", "undone")]


# What may be declared.


def test_undo_at_an_action_that_cannot_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "one.yml"
    path.write_text(playbook("{action: service.restart, with: {service: web}, undo: true}"), "utf-8")

    with pytest.raises(ConfigError) as caught:
        load_playbook(path)

    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: steps[0].undo: service.restart cannot take back what it did; remove undo"
    ]


# On real parts: a kill in the middle of an undo, and an effect that makes it worse.

ENTER = "{action: ledger.enter, with: {note: one}, undo: true}"
FAILING = "{action: disk.clean, with: {root: /nowhere, down_to: 1MiB}}"
BOOKS = [
    of_the_rig(
        "killed",
        f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{ENTER}, {FAILING}]\n"
        "verify: {healthy_for: 0s, within: 4s, watch: 0s}\n",
    ),
    of_the_rig(
        "worse",
        f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{ENTER}]\nverify: {{healthy_for: 0s, within: 10s, watch: 0s}}\n",
    ),
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    tool("prometheus"), tool("alertmanager")
    limits = "limits: {rate: [1000/1h]}"
    with running(Rig(tmp_path_factory.mktemp("undo") / "r", RULES, playbooks=BOOKS, limits=limits)) as rig:
        rig.start()
        yield rig


def of(rig: Rig, case: str) -> dict[str, Any]:
    items = rig.api("/api/v1/remediations?limit=50")["items"]
    return next((entry for entry in items if entry["alert"]["labels"]["case"] == case), {})


@pytest.mark.acceptance
@pytest.mark.timeout(120)
def test_real_parts_a_kill_in_an_undo_and_an_effect_that_makes_it_worse(rig: Rig) -> None:
    rig.gauges.text = 'sick{item="a",case="worse"} 0\n'
    rig.start_remediator("--kill-at", "undo_begun:1")
    rig.gauges.text += 'sick{item="b",case="killed"} 1\n'
    assert rig.remediator is not None
    assert rig.remediator.wait(30) == -signal.SIGKILL
    rig.remediator = None
    rig.start_remediator()
    until(lambda: of(rig, "killed").get("state") == "unknown", 30)
    # longer than its proof could take; and how it was before tells what is worse
    until(lambda: rig.query('count_over_time(sick{case="killed"}[2m]) >= 16'), 40)
    settled = of(rig, "killed")
    entered = ledger.entries(rig.folder / "ledger")
    # what is in doubt in an undo is a person's to settle: nothing is judged
    assert (settled["state"], settled["verdict"]) == ("unknown", None)
    assert len(entered) == 1

    # it is sick for a while before the action, so that how far it moves by itself is known
    paused = rig.folder / "state/pause"
    paused.touch()
    rig.gauges.text = 'sick{item="a",case="worse"} 9\nsick{item="b",case="killed"} 1\n'
    until(lambda: rig.query('count_over_time((sick{case="worse"} > 8)[20s:1s]) >= 8'), 30)
    paused.unlink()
    until(lambda: len(ledger.entries(rig.folder / "ledger")) == 2, 20)
    rig.gauges.text = 'sick{item="a",case="worse"} 20\nsick{item="b",case="killed"} 1\n'
    until(lambda: of(rig, "worse").get("state") == "undone", 30)

    assert of(rig, "worse")["verdict"] == Verdict.WORSE
    lines = ledger.entries(rig.folder / "ledger")
    assert lines[2] == UNDONE + lines[1]
