"""The ladder through the whole pipeline: what is earned, what is taken away, and that a rung counts everywhere."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from remediator import pause
from remediator.model import Mode, Pause, Reason, State, Verdict
from remediator.store import Tx
from remediator.trust import NotTrusted
from selfheal.common.clock import ManualClock
from tests.trust.conftest import PROOF, Trial, written


def promote(trial: Trial) -> None:
    trial.running.promote("heal", "kim", "its plans were right")
    trial.rest()


def refused(trial: Trial, why: str) -> None:
    before = trial.mode()
    with pytest.raises(NotTrusted, match=why):
        trial.running.promote("heal", "kim", "why not")
    trial.rest()
    assert trial.mode() == before


def worsens(trial: Trial, number: int) -> None:
    """The run with this id is found to have made it worse, as verifying finds it."""

    def store(tx: Tx) -> None:
        tx.move(number, State.INEFFECTIVE, Reason.WORSENED, trial.clock.now(), verdict=Verdict.WORSE)

    trial.running.store.write(store)
    trial.rest()


def watching(trial: Trial) -> int:
    """A run that was proven and is watched; return its number."""
    trial.act.while_running = lambda: setattr(trial.sources, "firing", [])
    trial.falls_ill()
    trial.say_yes()
    for _ in range(10):
        if trial.remediations()[0]["state"] == "watching":
            return int(trial.remediations()[0]["id"])
        trial.advance(1.0)
    raise AssertionError(trial.detail())


def test_a_playbook_climbs_from_observing_to_acting_by_what_it_shows_and_people_say(trial: Trial) -> None:
    trial.begin("")
    assert trial.mode() == "observe"
    trial.has(Mode.OBSERVE, 20, 20, days=7.0)
    trial.would_be_needed()
    assert trial.trust()["missing"] == ["bound"]
    trial.would_be_needed()

    assert trial.act.ran == []
    assert (trial.trust()["proposed"], trial.trust()["next"]) == (True, "approve")
    assert trial.value("selfheal_trust_promotion_proposed", playbook="heal") == 1.0
    with trial.running.store.read() as reader:
        ((name, rung, earned),) = reader.proposals()
    assert (name, rung, earned.judged) == ("heal", Mode.OBSERVE, 22)
    (proposed,) = trial.told("promotion_proposed")
    assert (proposed["from"], proposed["to"]) == ("observe", "approve")
    assert (proposed["detail"]["judged"], proposed["detail"]["succeeded"]) == (22, 22)
    assert trial.mode() == "observe"

    promote(trial)
    assert trial.mode() == "approve"
    assert trial.value("selfheal_trust_promotion_proposed", playbook="heal") == 0.0
    with trial.running.store.read() as reader:
        assert reader.proposals() == []
    trial.has(Mode.APPROVE, 20, 20, days=7.0)
    trial.fixes()
    assert trial.trust()["proposed"] is False
    trial.fixes()
    assert len(trial.act.ran) == 2
    assert trial.trust()["proposed"] is True

    promote(trial)
    assert trial.mode() == "auto"
    trial.fixes()
    assert len(trial.act.ran) == 3
    assert trial.running.approvals(50, None, "open")["items"] == []
    (first, second) = trial.told("promoted")
    assert [first["to"], second["to"]] == ["approve", "auto"]
    # as the audit names who did something
    assert (second["detail"]["who"], second["detail"]["why"]) == ("kim", "its plans were right")
    assert trial.running.audit_verify()["ok"] is True


def test_who_is_promoted_is_asked_about_what_is_on_already(trial: Trial) -> None:
    trial.begin("")
    trial.falls_ill()
    assert trial.states() == [("observed", "observe_mode")]
    trial.has(Mode.OBSERVE, 22, 22)

    promote(trial)

    assert trial.states() == [("held", "approval_needed"), ("observed", "observe_mode")]


@pytest.mark.parametrize(
    ("judged", "succeeded", "days", "why"),
    [
        (19, 19, 8.0, "19 of 20 judged runs"),
        (21, 21, 8.0, "certain to be 0.845 only, 0.85 are needed"),
        (30, 28, 8.0, "only, 0.85 are needed"),
        (22, 22, 6.9, "they span 6.9 of 7 days"),
    ],
)
def test_a_promotion_is_refused_with_what_is_missing(
    trial: Trial, judged: int, succeeded: int, days: float, why: str
) -> None:
    trial.begin("approve")
    trial.has(Mode.APPROVE, judged, succeeded, days)

    refused(trial, why)
    assert trial.told("promoted", "promotion_proposed") == []


def test_a_promotion_is_refused_when_the_numbers_hold_no_more(trial: Trial) -> None:
    trial.begin("approve")
    trial.has(Mode.APPROVE, 22, 22)
    assert trial.trust()["proposed"] is True
    trial.does_not_fix()

    assert trial.value("selfheal_trust_promotion_proposed", playbook="heal") == 0.0
    assert len(trial.told("promotion_withdrawn")) == 1
    refused(trial, "are needed")


def test_an_open_unknown_holds_a_promotion_back_until_it_is_settled(trial: Trial) -> None:
    trial.begin("approve")
    trial.has(Mode.APPROVE, 40, 40)
    number = trial.unknown()
    assert trial.remediations()[0]["state"] == "unknown"

    trial.advance(16)
    assert trial.trust()["missing"] == ["unknown"]
    refused(trial, "1 of its outcomes are unknown; settle them first")
    trial.running.settle(number, "give-up", "kim")
    trial.rest()
    # what was given up is not proven, and counts so
    assert trial.trust()["evidence"]["recent"] == [True, True, True, True, False]
    promote(trial)


def test_nothing_climbs_above_highest_mode(trial: Trial) -> None:
    trial.begin("approve")
    trial.stop()
    trial.write(written("approve"), highest_mode="approve")
    trial.app = None
    trial.write = lambda *_: None  # type: ignore[method-assign,misc]
    trial.start()
    trial.has(Mode.APPROVE, 40, 40)

    assert (trial.trust()["proposed"], trial.trust()["missing"]) == (False, ["highest_mode"])
    refused(trial, "highest_mode of the configuration is approve")


def test_what_proves_nothing_earns_nothing(trial: Trial) -> None:
    trial.begin("observe", "verify: none\n")
    trial.would_be_needed()

    assert trial.trust()["missing"][0] == "no_proof"
    assert trial.trust()["shadow"]["left_out"] == 1
    refused(trial, "verify: none proves nothing")


def test_one_worse_takes_a_rung_away_at_once_and_people_are_told(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    trial.begin("auto")
    assert trial.value("selfheal_trust_demotions_total", playbook="heal") == 0.0
    number = watching(trial)
    with caplog.at_level(logging.WARNING):
        worsens(trial, number)
        trial.advance(1)

    assert trial.mode() == "approve"
    (event,) = trial.told("demoted")
    assert (event["from"], event["to"], event["reason"]) == ("auto", "approve", "demoted")
    assert (event["remediation_id"], event["detail"]["because"]) == (str(number), "worse")
    assert trial.value("selfheal_trust_demotions_total", playbook="heal") == 1.0
    assert "playbook demoted" in caplog.text
    trial.falls_ill()
    assert trial.states()[0] == ("held", "approval_needed")


def test_two_of_five_that_were_not_fixed_take_a_rung_away(trial: Trial) -> None:
    trial.begin("auto")
    trial.does_not_fix()
    trial.has(Mode.AUTO, 4, 3, recent="0111")
    assert trial.mode() == "auto"
    trial.does_not_fix()

    assert trial.mode() == "approve"
    assert trial.told("demoted")[0]["detail"]["recent"] == "01110"


def test_one_of_five_does_not(trial: Trial) -> None:
    trial.begin("auto")
    trial.has(Mode.AUTO, 5, 4, recent="01111")
    trial.does_not_fix()

    assert trial.mode() == "auto"
    assert trial.trust()["evidence"]["recent"] == [True, True, True, True, False]


def test_a_demotion_holds_and_what_was_before_it_does_not_count_again(trial: Trial) -> None:
    trial.begin("auto")
    trial.has(Mode.APPROVE, 500, 500)
    late = watching(trial)
    worse = watching(trial)
    worsens(trial, worse)
    assert trial.mode() == "approve"
    assert trial.trust()["evidence"]["judged"] == 0
    trial.sources.firing = trial.sources.listed = []
    trial.advance(45)

    assert [each["state"] for each in trial.remediations() if each["id"] == str(late)] == ["succeeded"]
    assert trial.trust()["evidence"]["judged"] == 0
    refused(trial, "0 of 20 judged runs")
    trial.fixes()
    assert trial.trust()["evidence"]["judged"] == 1
    # nor does a start, or a reading of the same file
    trial.running.reload()
    trial.rest()
    trial.stop()
    trial.begin("auto")
    assert trial.mode() == "approve"


def test_worse_counts_even_if_it_began_before_a_demotion(trial: Trial) -> None:
    trial.begin("auto")
    first, second = watching(trial), watching(trial)
    worsens(trial, first)
    worsens(trial, second)

    assert trial.mode() == "observe"
    assert [event["to"] for event in trial.told("demoted")] == ["approve", "observe"]


def test_what_began_before_a_demotion_and_was_not_fixed_takes_no_second_rung_away(trial: Trial) -> None:
    trial.begin("auto")
    runs = [watching(trial) for _ in range(4)]

    for number in runs:
        trial.running.store.write(
            lambda tx, number=number: tx.move(  # type: ignore[misc]
                number, State.INEFFECTIVE, Reason.RECURRED, trial.clock.now(), verdict=Verdict.RECURRED
            )
        )
    trial.rest()

    assert trial.mode() == "approve"
    assert len(trial.told("demoted")) == 1


def test_the_same_run_is_judged_once(trial: Trial) -> None:
    trial.begin("auto")
    number = watching(trial)
    worsens(trial, number)
    trial.advance(1)
    trial.running.store.write(lambda tx: tx._judge(number, Reason.WORSENED, trial.clock.now()))

    assert trial.mode() == "approve"


@pytest.mark.parametrize("state", ["held by a pause", "asked", "approved"])
def test_a_demotion_stops_what_waits_to_begin(trial: Trial, state: str) -> None:
    path = trial.folder / "state" / pause.NAME
    trial.begin("auto" if state == "held by a pause" else "approve")
    number = watching(trial)
    if state != "asked":
        pause.write(path, Pause("lee", "a deployment", None))
    trial.falls_ill()
    if state == "approved":
        trial.say_yes()
    assert trial.states()[0][0] == "held"
    done = len(trial.act.ran)
    worsens(trial, number)
    pause.clear(path)
    trial.advance(6)
    trial.advance(31)

    assert ("skipped", "demoted") in trial.states()
    assert len(trial.act.ran) == done
    # one rung lower it is decided anew
    expected = ("held", "approval_needed") if state == "held by a pause" else ("observed", "observe_mode")
    assert trial.states()[0] == expected


def test_a_demotion_between_asking_and_deciding_counts(trial: Trial) -> None:
    gate: list[Any] = []

    def reached(point: str) -> None:
        if point == "before_intent" and gate:
            gate.pop()()

    trial.begin("auto", reached=reached)
    number = watching(trial)
    app = trial.running

    def demote() -> None:
        now = trial.clock.now()
        done = threading.Event()

        def store() -> None:
            app.store.write(lambda tx: tx.move(number, State.INEFFECTIVE, Reason.WORSENED, now, verdict=Verdict.WORSE))
            done.set()

        threading.Thread(target=store).start()
        assert done.wait(15)

    gate.append(demote)
    done = len(trial.act.ran)
    trial.falls_ill()

    assert trial.states()[0] == ("skipped", "demoted")
    assert len(trial.act.ran) == done


def test_another_version_is_another_playbook_and_says_so(trial: Trial) -> None:
    trial.begin("")
    trial.has(Mode.OBSERVE, 40, 40)
    promote(trial)
    before = trial.trust()
    trial.write(written("", PROOF.replace("40s", "50s")))
    trial.running.reload()
    trial.rest()

    assert trial.mode() == "observe"
    assert trial.trust()["evidence"]["judged"] == 0
    assert trial.trust()["earlier"]["digest"] == before["digest"]
    assert trial.trust()["earlier"]["mode"] == "approve"
    (event,) = trial.told("trust_restarted")
    assert (event["from"], event["to"], event["detail"]["before"]) == ("approve", "observe", before["digest"])
    # the file as it was is the playbook that it was
    trial.write(written(""))
    trial.running.reload()
    trial.rest()
    assert trial.mode() == "approve"


def test_runs_of_another_version_do_not_count(trial: Trial) -> None:
    trial.begin("auto")
    number = watching(trial)
    trial.write(written("auto", PROOF.replace("40s", "50s")))
    trial.running.reload()
    trial.rest()
    worsens(trial, number)

    assert trial.mode() == "auto"
    trial.write(written("auto"))
    trial.running.reload()
    trial.rest()
    assert trial.mode() == "approve"


def test_a_person_takes_a_rung_away(trial: Trial) -> None:
    trial.begin("auto")
    trial.has(Mode.AUTO, 50, 50)
    trial.running.demote("heal", "kim", "the new version starts slowly")
    trial.rest()

    assert trial.mode() == "approve"
    assert trial.trust()["why"] == "the new version starts slowly"
    trial.running.demote("heal", "kim", "and worse")
    trial.rest()
    with pytest.raises(NotTrusted, match="there is no lower rung"):
        trial.running.demote("heal", "kim", "once more")
    assert trial.mode() == "observe"


@pytest.mark.parametrize("who, why", [("", "x"), ("kim", " "), ("kim", "a\nb"), ("kim", "x" * 1_025)])
def test_a_word_without_a_name_or_a_reason_counts_not(trial: Trial, who: str, why: str) -> None:
    trial.begin("approve")
    trial.has(Mode.APPROVE, 50, 50)

    with pytest.raises(NotTrusted, match="must be one line of 1 to 1024 characters"):
        trial.running.promote("heal", who, why)
    assert trial.mode() == "approve"


def test_of_two_promotions_at_once_one_counts(trial: Trial) -> None:
    trial.begin("")
    trial.has(Mode.OBSERVE, 50, 50)
    gate, refused_ = threading.Barrier(2), list[str]()

    def say() -> None:
        gate.wait(15)
        try:
            trial.running.promote("heal", "kim", "yes")
        except NotTrusted as error:
            refused_.append(str(error))

    threads = [threading.Thread(target=say) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    trial.rest()

    assert trial.mode() == "approve"
    assert len(refused_) == 1


def test_a_clock_that_is_set_makes_no_seven_days(trial: Trial, clock: ManualClock) -> None:
    trial.begin("approve")
    trial.fixes(60)
    trial.clock.jump(8 * 86_400.0)
    trial.running.engine.wake()
    trial.rest()
    trial.advance(120)
    for _ in range(2):
        trial.fixes(60)

    assert trial.trust()["evidence"]["judged"] == 3
    assert trial.trust()["evidence"]["days"] < 0.1
