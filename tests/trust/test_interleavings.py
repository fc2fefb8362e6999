"""Awkward moments: a reading, a start, a call or a clock that comes between two things that belong together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from benchmarks.rig import until
from remediator.model import Mode, Reason, State, Verdict
from remediator.trust import NotTrusted
from tests.pipeline.sources import Bench, alert
from tests.trust.conftest import PROOF, Trial, written
from tests.trust.test_ladder import promote, watching


def starts_again(trial: Trial, mode: str, highest: str) -> None:
    """The same program, its file and its configuration as given."""
    trial.stop()
    trial.write = partial(Bench.write, trial, highest_mode=highest)  # type: ignore[method-assign]
    trial.begin(mode)


def begins(trial: Trial) -> list[Callable[[], None]]:
    """Start in mode auto; return a list: what is put into it happens once, when the world was asked for a decision."""
    between: list[Callable[[], None]] = []

    def reached(point: str) -> None:
        if point == "before_intent" and between:
            between.pop()()

    trial.begin("auto", reached=reached)
    return between


def is_taken_back(trial: Trial, between: list[Callable[[], None]]) -> None:
    """Something falls ill, and SIGTERM comes while it is decided: the intent is stored, and taken back."""
    between.append(trial.running.parts.stopping.set)
    trial.clock.advance(1)
    found = alert("late", starts_at=trial.clock.now())
    trial.sources.firing = trial.sources.listed = [found]
    trial.deliver(found, rest=False)
    until(
        lambda: trial.remediations() and [each["state"] for each in trial.detail()["steps"]] == ["skipped"], 20, 0.005
    )
    assert trial.states()[0][0] == "running"
    trial.running.engine.stop(10.0)


def test_a_file_that_is_read_between_asking_and_deciding_counts(trial: Trial) -> None:
    def is_edited() -> None:
        trial.write(written("observe"))
        trial.running.reload()

    between = begins(trial)
    between.append(is_edited)
    trial.falls_ill()
    trial.advance(31)

    assert trial.act.ran == []
    assert ("skipped", "playbook_changed") in trial.states()
    assert trial.states()[0] == ("observed", "observe_mode")


@pytest.mark.parametrize(
    ("mode", "highest", "reason"),
    [("auto", "observe", "playbook_changed"), ("observe", "auto", "playbook_changed"), ("auto", "auto", "demoted")],
    ids=["highest_mode", "its file", "a demotion"],
)
def test_what_was_allowed_and_never_begun_is_asked_again_after_a_start(
    trial: Trial, mode: str, highest: str, reason: str
) -> None:
    between = begins(trial)
    number = watching(trial)
    ran = len(trial.act.ran)
    is_taken_back(trial, between)
    if reason == "demoted":
        now = trial.clock.now()
        trial.running.store.write(
            lambda tx: tx.move(number, State.INEFFECTIVE, Reason.WORSENED, now, verdict=Verdict.WORSE)
        )
    starts_again(trial, mode, highest)
    trial.advance(1)
    trial.advance(6)
    trial.advance(31)

    assert len(trial.act.ran) == ran
    assert ("failed", reason) in trial.states()


def test_what_was_allowed_and_never_begun_goes_on_after_a_start_that_takes_nothing_away(trial: Trial) -> None:
    is_taken_back(trial, begins(trial))
    assert trial.act.ran == []
    starts_again(trial, "auto", "auto")
    trial.advance(1)

    assert len(trial.act.ran) == 1


def test_a_person_takes_away_what_highest_mode_hides(trial: Trial) -> None:
    trial.begin("")
    trial.has(Mode.OBSERVE, 40, 40)
    promote(trial)
    starts_again(trial, "", "observe")
    assert trial.mode() == "observe"
    trial.running.demote("heal", "kim", "not when highest_mode is raised again")
    with pytest.raises(NotTrusted, match="there is no lower rung"):
        trial.running.demote("heal", "kim", "once more")
    starts_again(trial, "", "auto")

    assert trial.mode() == "observe"


def test_an_outcome_that_is_looked_at_by_itself_is_unknown_still(trial: Trial) -> None:
    trial.begin("approve")

    def dies() -> None:
        raise RuntimeError

    trial.act.while_running = dies
    trial.falls_ill()
    trial.say_yes()
    assert trial.states()[0][0] == "verifying"
    trial.has(Mode.APPROVE, 40, 40)

    assert trial.trust()["missing"] == ["unknown"]
    with pytest.raises(NotTrusted, match="1 of its outcomes are unknown"):
        trial.running.promote("heal", "kim", "it looks fine")


def test_a_call_that_comes_when_nothing_is_left_to_call_off_hides_no_failure(trial: Trial) -> None:
    trial.begin("auto")
    trial.act.while_running = lambda: trial.running.cancel(int(trial.remediations()[0]["id"]), "kim")
    trial.falls_ill()
    for _ in range(4):
        trial.advance(20)

    assert trial.states()[0] == ("ineffective", "not_proven")
    assert trial.trust()["evidence"]["recent"] == [False]


def test_what_a_person_called_off_between_two_steps_tells_nothing(trial: Trial) -> None:
    trial.start(written("auto").replace("steps: [", "steps: [{action: test.act}, "))
    trial.act.while_running = lambda: trial.running.cancel(int(trial.remediations()[0]["id"]), "kim")
    trial.falls_ill()
    for _ in range(4):
        trial.advance(20)

    assert len(trial.act.ran) == 1
    assert trial.states()[0] == ("ineffective", "not_proven")
    assert trial.trust()["evidence"]["recent"] == []


@pytest.mark.parametrize("days", [8, -8])
def test_a_clock_that_is_set_while_a_run_is_judged_makes_no_days(trial: Trial, days: int) -> None:
    trial.begin("auto")
    number, began = watching(trial), trial.clock.now()
    trial.clock.jump(days * 86_400.0)
    trial.running.store.write(
        lambda tx: tx.move(number, State.SUCCEEDED, Reason.HELD_WATCH, began, verdict=Verdict.FIXED)
    )
    trial.is_well()
    trial.advance(120)
    trial.fixes(60)

    assert trial.trust()["evidence"]["judged"] == 2
    assert trial.trust()["evidence"]["days"] < 0.1


def test_who_acted_on_the_target_is_seen_though_the_clock_was_set_back(trial: Trial) -> None:
    other = written("auto").replace("playbook: heal", "playbook: other").replace("{alert: Sick}", "{manual: true}")
    trial.start(written("observe", PROOF.replace("10s", "5m")), other.replace(PROOF, "verify: none\n"))
    found = trial.falls_ill()
    trial.clock.jump(-3_600.0)
    trial.running.engine.wake()
    until(lambda: trial.running.engine.clock_jumped_at, 20, 0.005)
    # a jump holds everything back for a minute
    trial.advance(61)
    trial.running.run_playbook("other", {"item": found.labels["item"]}, "kim", False)
    trial.rest()
    assert len(trial.act.ran) == 1
    trial.advance(226)
    trial.advance(31)

    (heal,) = [each for each in trial.running.trust() if each["playbook"] == "heal"]
    assert (heal["shadow"]["needed"], heal["shadow"]["left_out"]) == (0, 1)
