"""What was never told: lost resolves, swallowed firings, reloads, repeats, and a watch that could not see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from benchmarks.rig import until
from remediator import pause
from remediator.model import Alert, Context, Pause, Plan, Reason, State, Try, Verdict
from remediator.receive import TRIES_THAT_COUNT, rest_after
from remediator.store import Tx
from selfheal.common.clock import ManualClock, from_rfc3339
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"
WATCHED = "mode: auto\nverify: {healthy_for: 0s, within: 1m, watch: 1m}\n"


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

    assert [entry["fingerprint"] for entry in bench.alerts()] == [alert().fingerprint]
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


def test_a_period_that_begins_while_the_end_of_the_last_is_asked_about_stays_open(
    bench: Bench, sources: Sources
) -> None:
    paused(bench)
    bench.start(playbook(ONE))
    sources.listed = sources.firing = []

    def deliver(question: str) -> None:
        if question.startswith("ALERTS"):
            sources.on_ask = lambda _question: None
            bench.deliver(alert(status="resolved"), rest=False)
            bench.deliver(alert(starts_at=bench.clock.now() - 1), rest=False)

    bench.clock.advance(20)
    sources.on_ask = deliver
    bench.advance(11)

    assert [entry["closed_at"] is None for entry in bench.alerts()] == [True, False]


def test_what_ends_after_alertmanager_was_asked_is_not_taken_in_from_its_answer(bench: Bench, sources: Sources) -> None:
    paused(bench)
    bench.start(playbook(ONE))

    def resolve(question: str) -> None:
        if question == "/api/v2/alerts":
            sources.on_ask = lambda _question: None
            bench.clock.advance(1)
            bench.deliver(alert(status="resolved"), rest=False)

    sources.on_ask = resolve
    bench.advance(31)
    told = len(bench.alerts())
    # what still stands in a later answer is news again
    bench.advance(31)

    assert told == 1
    assert [entry["closed_at"] is None for entry in bench.alerts()] == [True, False]


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


@pytest.mark.parametrize("told_by", ["a delivery", "Alertmanager's list"])
@pytest.mark.parametrize("flapped", ["a", "b"])
@pytest.mark.parametrize("last", ["a", "b"])
def test_a_replica_that_missed_a_scrape_begins_no_new_period_while_the_other_goes_on(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock, told_by: str, last: str, flapped: str
) -> None:
    def told(replica: str, starts_at: float) -> Alert:
        return alert(starts_at=starts_at, replica=replica)

    sources.listed = [told("a", 1_699_999_990.0), told("b", 1_699_999_991.0)]
    bench.start(playbook(ONE))
    clock.advance(20)
    started = {"a": 1_699_999_990.0, "b": 1_699_999_991.0} | {flapped: clock.now() - 5}
    both = [told(replica, started[replica]) for replica in sorted(started, reverse=last == "a")]
    if told_by == "a delivery":
        bench.deliver(*both)
    else:
        sources.listed = both
        bench.advance(11)

    assert len(bench.alerts()) == 1
    assert len(act.ran) == 1


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


# What is skipped for the same reason again and again is looked at less and less.


def skips(*reasons: Reason | None) -> list[Try]:
    """The newest first; None for one that failed."""
    return [
        Try("heal", reason is None, State.FAILED if reason is None else State.SKIPPED, reason or Reason.STEP_FAILED)
        for reason in reasons
    ]


IDLE, WELL = Reason.NOTHING_TO_DO, Reason.SELF_RESOLVED
RESTS = {
    "nothing was tried": ([], 0),
    "once": ([IDLE], 0),
    "twice": ([IDLE] * 2, 30),
    "thrice": ([IDLE] * 3, 60),
    "six times": ([IDLE] * 6, 480),
    "seven times": ([IDLE] * 7, 900),
    "more often": ([IDLE] * 50, 900),
    "another reason before": ([IDLE, WELL, IDLE, IDLE], 0),
    "twice, another reason before": ([IDLE, IDLE, WELL, IDLE], 30),
    "an attempt before": ([IDLE, IDLE, None, IDLE, IDLE], 30),
    "attempts": ([None] * 5, 0),
    "a person had stopped it": ([Reason.MONITORING_STOPPED] * 9, 0),
}


@pytest.mark.parametrize(("reasons", "seconds"), RESTS.values(), ids=RESTS)
def test_each_skip_for_the_same_reason_doubles_the_rest_up_to_a_quarter_of_an_hour(
    reasons: list[Reason | None], seconds: int
) -> None:
    newest = skips(*reasons)

    assert rest_after(newest) == seconds
    assert rest_after(newest[:TRIES_THAT_COUNT]) == seconds


@dataclass
class Idle(Act):
    """An action that finds nothing to do until it does."""

    idle: bool = True

    def plan(self, arguments: Mapping[str, Any], context: Context) -> Plan:
        return Plan(()) if self.idle else super().plan(arguments, context)


@pytest.fixture
def resting(tmp_path: Path, sources: Sources, clock: ManualClock) -> Iterator[Bench]:
    """An alert that has been on for some minutes with nothing to do about it."""
    made = Bench(tmp_path, sources, clock, Idle())
    sources.firing = sources.listed = [alert()]
    made.start(playbook(ONE))
    for _ in range(12):
        made.advance(30)
    yield made
    made.stop()


def no_longer_idle(bench: Bench) -> Act:
    act = bench.actions["test.act"]
    act.idle = False  # type: ignore[attr-defined]
    return act


def test_an_alert_that_stays_on_with_nothing_to_do_is_tried_less_and_less_and_never_given_up(resting: Bench) -> None:
    for _ in range(18):
        resting.advance(300)
    tried = [from_rfc3339(each["created_at"]) for each in reversed(resting.remediations())]
    gaps = [later - former for former, later in pairwise(tried)]
    act = no_longer_idle(resting)
    for _ in range(3):
        resting.advance(300)

    assert set(resting.states()[1:]) == {("skipped", "nothing_to_do")}
    assert gaps == sorted(gaps)
    assert gaps[0] == 30
    assert gaps[-3:] == [900] * 3
    assert act.ran


@pytest.mark.parametrize("told", ["a delivery", "a reload", "a restart", "the clock was set back"])
def test_what_rests_is_tried_at_once_when_there_is_news(resting: Bench, clock: ManualClock, told: str) -> None:
    act = no_longer_idle(resting)
    app = resting.app
    assert app is not None
    match told:
        case "a delivery":
            resting.deliver(alert())
        case "a reload":
            app.reload()
            resting.rest()
        case "a restart":
            resting.stop()
            resting.start(playbook(ONE))
        case _:
            clock.jump(-86_400)
            app.engine.wake()
            until(lambda: app.engine.clock_jumped_at is not None, 10, 0.005)
            for _ in range(5):
                resting.advance(30)

    assert act.ran
