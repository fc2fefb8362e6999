"""Shadow decisions: was it needed, what would have stopped it, and who could not tell; from the store's own events."""

from __future__ import annotations

from typing import Any

import pytest

from remediator import pause
from remediator.errors import Refused
from remediator.model import Pause
from selfheal.common.clock import ManualClock
from tests.pipeline.measured import Measured
from tests.pipeline.sources import alert, playbook
from tests.trust.conftest import PROOF, STEP, Trial, written

NOTHING = {
    "waiting": 0,
    "needed": 0,
    "cleared_alone": 0,
    "left_out": 0,
    "blocked": [],
    "cleared_after_median_seconds": None,
}


def shadow(trial: Trial) -> dict[str, Any]:
    return dict(trial.trust()["shadow"])


def judged(trial: Trial) -> tuple[int, int]:
    evidence = trial.trust()["evidence"]
    return evidence["judged"], evidence["succeeded"]


def test_an_alert_that_is_on_when_its_time_is_over_was_needed(trial: Trial) -> None:
    trial.begin("observe")
    trial.falls_ill()
    assert shadow(trial) == NOTHING | {"waiting": 1}
    trial.advance(9.5)
    assert shadow(trial)["waiting"] == 1
    trial.advance(16)

    assert shadow(trial) == NOTHING | {"needed": 1}
    assert judged(trial) == (1, 1)
    assert trial.act.ran == []
    # how long it went on is told as well, and changes nothing
    trial.advance(40)
    trial.is_well()
    assert shadow(trial) == NOTHING | {"needed": 1, "cleared_after_median_seconds": 65.5}
    assert judged(trial) == (1, 1)


@pytest.mark.parametrize("heard", [True, False], ids=["its end is delivered", "its end is not delivered"])
def test_an_alert_that_is_over_before_was_not_needed(trial: Trial, heard: bool) -> None:
    trial.begin("observe")
    trial.falls_ill()
    trial.advance(8)
    if heard:
        trial.is_well()
    else:
        trial.sources.firing = []
    trial.advance(16)

    assert shadow(trial) | {"cleared_after_median_seconds": 0} == NOTHING | {
        "cleared_alone": 1,
        "cleared_after_median_seconds": 0,
    }
    assert judged(trial) == (1, 0)
    assert shadow(trial)["cleared_after_median_seconds"] == (8 if heard else pytest.approx(16, abs=9))


def test_what_nobody_could_see_in_time_is_left_out(trial: Trial, sources: Measured) -> None:
    trial.begin("observe")
    trial.falls_ill()
    sources.away = True
    trial.advance(26)
    assert shadow(trial)["waiting"] == 1
    trial.advance(60)

    assert shadow(trial) == NOTHING | {"left_out": 1}
    assert judged(trial) == (0, 0)


def test_who_can_tell_again_within_a_minute_tells(trial: Trial, sources: Measured) -> None:
    trial.begin("observe")
    trial.falls_ill()
    sources.away = True
    trial.advance(26)
    sources.away = False
    trial.advance(31)

    assert shadow(trial) == NOTHING | {"needed": 1}


@pytest.mark.parametrize("over", [True, False], ids=["it is over by then", "it is on still"])
def test_what_went_on_while_nothing_ran_is_left_out(trial: Trial, over: bool) -> None:
    trial.begin("observe")
    trial.falls_ill()
    trial.stop()
    trial.clock.advance(600)
    if over:
        trial.sources.firing = trial.sources.listed = []
    trial.begin("observe")
    trial.advance(31)
    trial.advance(31)

    assert shadow(trial)["left_out"] == 1
    assert judged(trial) == (0, 0)


def test_a_clock_that_is_set_ends_no_wait(trial: Trial, clock: ManualClock) -> None:
    trial.begin("observe")
    trial.falls_ill()
    clock.jump(3_600.0)
    trial.running.engine.wake()
    trial.rest()
    trial.advance(1)

    assert shadow(trial)["waiting"] == 1
    trial.advance(25)
    assert shadow(trial)["needed"] == 1


def test_what_a_guard_would_have_stopped_is_told_with_the_guard_and_why(trial: Trial) -> None:
    def refuses() -> None:
        raise Refused("not here")

    trial.begin("observe")
    trial.act.while_planning = refuses
    trial.falls_ill()
    trial.act.while_planning = lambda: None
    pause.write(trial.folder / "state" / pause.NAME, Pause("lee", "a deployment", None))
    for _ in range(2):
        trial.falls_ill()
    trial.advance(30)
    trial.is_well()

    assert shadow(trial)["blocked"] == [
        {"guard": "pause", "reason": "paused", "count": 2},
        {"guard": "policy", "reason": "policy", "count": 1},
    ]
    assert judged(trial) == (0, 0)
    assert shadow(trial)["cleared_after_median_seconds"] is not None


def test_shadow_decisions_use_up_limits_as_runs_would_have(trial: Trial) -> None:
    limits = "cooldown: 0s, rate: [2/1h], lock: target"
    trial.start(playbook(STEP, PROOF, limits))
    ill = [alert(item, starts_at=trial.clock.now()) for item in "abcd"]
    trial.sources.firing = trial.sources.listed = ill
    trial.deliver(*ill)

    assert shadow(trial) == NOTHING | {
        "waiting": 2,
        "blocked": [{"guard": "rate", "reason": "rate_limited", "count": 2}],
    }


def test_a_target_rests_after_a_shadow_decision_too(trial: Trial) -> None:
    trial.start(playbook(STEP, PROOF, "cooldown: 1h, rate: [1000/1h]"))
    for seconds in (3_598, 5, 0):
        trial.clock.advance(1)
        found = alert("a", starts_at=trial.clock.now())
        trial.sources.firing = trial.sources.listed = [found]
        trial.deliver(found)
        trial.is_well()
        trial.advance(seconds)

    # at once, an hour less a second later, and an hour later
    assert shadow(trial)["cleared_alone"] == 2
    assert shadow(trial)["blocked"] == [{"guard": "cooldown", "reason": "cooldown", "count": 1}]


def test_what_another_playbook_acted_upon_tells_nothing(trial: Trial) -> None:
    other = written("auto").replace("playbook: heal", "playbook: other").replace("Sick}", "{}}")
    other = other.replace("trigger: {alert: {}}", "trigger: {manual: true}").replace(PROOF, "verify: none\n")
    trial.start(written("observe"), other)
    found = trial.falls_ill()
    trial.advance(1)
    trial.running.run_playbook("other", {"item": found.labels["item"]}, "kim", False)
    trial.rest()
    assert len(trial.act.ran) <= 1
    trial.advance(25)

    (heal,) = [each for each in trial.running.trust() if each["playbook"] == "heal"]
    assert len(trial.act.ran) == 1
    assert heal["shadow"] == NOTHING | {"left_out": 1}


def test_what_a_person_asked_for_tells_nothing(trial: Trial) -> None:
    trial.begin("observe")
    trial.sources.firing = trial.sources.listed = [alert("x", starts_at=trial.clock.now())]
    trial.running.run_playbook("heal", {"item": "x"}, "kim", False)
    trial.rest()

    assert trial.states() == [("observed", "observe_mode")]
    assert shadow(trial) == NOTHING | {"left_out": 1}
