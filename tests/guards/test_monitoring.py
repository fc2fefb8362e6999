"""Whether the monitoring can be trusted: the guard on both sides of each boundary, and what it is told by the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.errors import SourceUnavailable
from remediator.evidence.scraping import Scraping, longest
from remediator.guards import monitoring
from remediator.judge import Element
from remediator.model import Alert, Answer, Monitoring, MonitoringLimits, Reason
from remediator.monitoring import Bursts, most_in
from remediator.store import Store
from selfheal.common.clock import ManualClock
from tests.guards.values import FACTS, FROZEN, HISTORY, NOW

ALLOW, HOLD, DENY = Answer.ALLOW, Answer.HOLD, Answer.DENY
BROKEN = Reason.MONITORING_BROKEN
LIMITS = MonitoringLimits()
WHOLE = Monitoring(LIMITS, begun=1, gap=0.9, gap_of="web-1:9976", restarted=9_000.0, reloaded=9_000.0)


def found(**changes: object) -> Monitoring:
    return replace(WHOLE, **changes)  # type: ignore[arg-type]


LIFTED = MonitoringLimits(targets=1_000_000, scrape_gap=0, after_restart=0.0)


@pytest.mark.parametrize(
    ("given", "answer", "until"),
    [
        pytest.param(WHOLE, ALLOW, None, id="whole"),
        pytest.param(Monitoring(), ALLOW, None, id="nothing known against it"),
        pytest.param(found(restarted=120.0), ALLOW, None, id="restarted just long enough ago"),
        pytest.param(found(restarted=119.5), HOLD, NOW + 0.5, id="restarted not quite long enough ago"),
        pytest.param(found(restarted=-3.0), HOLD, NOW + 123.0, id="restarted, its clock is behind"),
        pytest.param(found(reloaded=120.0), ALLOW, None, id="reloaded just long enough ago"),
        pytest.param(found(reloaded=119.5), HOLD, NOW + 0.5, id="reloaded not quite long enough ago"),
        pytest.param(found(restarted=None, reloaded=None), ALLOW, None, id="it does not tell when it started"),
        pytest.param(found(gap=2.99), ALLOW, None, id="nearly three intervals without a sample"),
        pytest.param(found(gap=3.0), HOLD, NOW + 5, id="three intervals without a sample"),
        pytest.param(found(begun=4, up=4), ALLOW, None, id="four of four: too few to tell"),
        pytest.param(found(begun=5, up=20), HOLD, NOW + 5, id="five of twenty are a quarter"),
        pytest.param(found(begun=5, up=21), ALLOW, None, id="five of twenty-one are less than a quarter"),
        pytest.param(found(begun=5, up=0), HOLD, NOW + 5, id="five where none was up"),
        pytest.param(found(begun=5, up=None), HOLD, NOW + 5, id="five of nobody knows how many"),
        pytest.param(Monitoring(LIFTED, 9, 9, 9.0, "x", 0.0, 0.0), ALLOW, None, id="limits that were lifted"),
    ],
)
def test_alerts_wait_while_the_monitoring_is_not_to_be_trusted(
    given: Monitoring, answer: Answer, until: float | None
) -> None:
    said = monitoring.check(FROZEN, replace(FACTS, monitoring=given), HISTORY, NOW)

    assert (said.guard, said.answer, said.reason) == (
        "monitoring",
        answer,
        BROKEN if answer is HOLD else Reason.ALLOWED,
    )
    assert said.until == (None if until is None else pytest.approx(until))


def test_what_could_not_be_asked_is_blindness() -> None:
    said = monitoring.check(FROZEN, replace(FACTS, monitoring=Monitoring(LIMITS, blind=True)), HISTORY, NOW)

    assert (said.answer, said.reason) == (HOLD, Reason.BLIND)


@pytest.mark.parametrize(
    ("held", "answer", "reason"), [(899.9, HOLD, BROKEN), (900.0, DENY, Reason.HOLD_EXPIRED)], ids=["nearly", "over"]
)
def test_it_waits_no_longer_than_a_hold_may_last(held: float, answer: Answer, reason: Reason) -> None:
    given = replace(FACTS, monitoring=found(gap=9.0), held_since=NOW - held)

    said = monitoring.check(FROZEN, given, HISTORY, NOW)

    assert (said.answer, said.reason) == (answer, reason)
    assert said.detail["what"] == "scrape gap"


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("prometheus restarted", found(restarted=1.0)),
        ("prometheus reloaded", found(reloaded=1.0)),
        ("scrape gap", found(gap=4.0)),
        ("many targets at once", found(begun=6, up=8)),
    ],
)
def test_a_hold_says_what_is_wrong(what: str, given: Monitoring) -> None:
    assert monitoring.check(FROZEN, replace(FACTS, monitoring=given), HISTORY, NOW).detail["what"] == what


@pytest.mark.parametrize(
    ("times", "now", "gap"),
    [
        pytest.param([0, 15, 30, 45], 50, 1.0, id="as usual"),
        pytest.param([0, 15, 30, 45], 89, 44 / 15, id="nearly three intervals ago"),
        pytest.param([0, 15, 30, 45], 90, 3.0, id="three intervals ago"),
        pytest.param([0, 60, 120, 180], 240, 1.0, id="a target that is scraped more seldom"),
        pytest.param([0, 15, 30, 90, 105, 120], 121, 4.0, id="a hole, and two samples since"),
        pytest.param([0, 15, 30, 45, 105, 120, 135, 150], 151, 1.0, id="a hole, and as many samples since as may miss"),
        pytest.param([30], 500, 0.0, id="one sample tells nothing"),
        pytest.param([], 500, 0.0, id="no sample tells nothing"),
    ],
)
def test_a_gap_is_counted_in_the_intervals_of_the_target_itself(times: list[float], now: float, gap: float) -> None:
    assert longest(times, now, 3) == pytest.approx(gap)


@pytest.mark.parametrize(
    ("begun", "most"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([(0, "a"), (0, "b"), (120, "c")], 3, id="within the span"),
        pytest.param([(0, "a"), (1, "b"), (121, "c")], 2, id="one second beyond it"),
        pytest.param([(0, "a"), (5, "a"), (9, "a")], 1, id="an instance counts once"),
        pytest.param([(0, "a"), (90, "b"), (100, "a"), (200, "c"), (210, "d")], 4, id="the fullest span counts"),
    ],
)
def test_instances_are_counted_in_one_span(begun: list[tuple[int, str]], most: int) -> None:
    assert most_in(begun, 120) == most


def deliver(store: Store, clock: ManualClock, instance: str | None, ago: float = 0.0) -> None:
    labels = {"alertname": "Sick"} | ({} if instance is None else {"instance": instance})
    alert = Alert("firing", labels, {}, clock.now() - ago, f"{instance}-{ago}")
    store.write(lambda tx: tx.open_occurrence(alert, clock.now()))


def around(store: Store, clock: ManualClock, ago: float = 0.0, bursts: Bursts | None = None) -> int:
    return (bursts or Bursts(store, clock, 120.0)).around(int(clock.now() - ago))


def test_a_burst_is_what_began_within_the_span_around_the_alert(store: Store, clock: ManualClock) -> None:
    for number, ago in enumerate((300, 200, 190, 100, 0)):
        deliver(store, clock, f"h{number}", ago)

    assert [around(store, clock, ago) for ago in (300, 195, 0)] == [3, 3, 2]


def test_alerts_without_an_instance_are_no_targets(store: Store, clock: ManualClock) -> None:
    deliver(store, clock, None)
    deliver(store, clock, "a")

    assert around(store, clock) == 1


def test_what_is_stored_is_counted_at_once_and_what_closed_a_second_later(store: Store, clock: ManualClock) -> None:
    bursts = Bursts(store, clock, 120.0)
    start = int(clock.now())
    seen = [bursts.around(start)]
    for instance in "abcde":
        deliver(store, clock, instance)
        seen.append(bursts.around(start))
    # open alerts stay a burst however long they are on; what closed lately counts until the span is over
    clock.advance(600)
    seen.append(bursts.around(start))
    store.write(lambda tx: tx.close_occurrence("a-0.0", clock.now(), "resolved"))
    clock.advance(1.0)

    assert [*seen, bursts.around(start)] == [0, 1, 2, 3, 4, 5, 5, 4]


def test_what_began_and_ended_within_the_span_was_there_too(store: Store, clock: ManualClock) -> None:
    deliver(store, clock, "a", 10)
    deliver(store, clock, "b", 10)
    store.write(lambda tx: tx.close_occurrence("a-10", clock.now(), "resolved"))

    flapping = around(store, clock, 10)
    clock.advance(111)

    assert (flapping, around(store, clock, 121)) == (2, 1)


def test_a_start_in_the_future_is_the_moment_of_delivery(store: Store, clock: ManualClock) -> None:
    deliver(store, clock, "a", -5_000)
    deliver(store, clock, "b")

    assert around(store, clock) == 2


def test_what_people_ran_by_hand_is_no_burst_of_alerts(store: Store, clock: ManualClock) -> None:
    bursts = Bursts(store, clock, 120.0)
    deliver(store, clock, "h")
    before = around(store, clock, bursts=bursts)
    for instance in "abcde":
        asked = Alert("firing", {"alertname": "Sick", "instance": instance}, {}, clock.now(), f"manual-{instance}")
        store.write(lambda tx, asked=asked: tx.add_request("Sick", asked, clock.now()))  # type: ignore[misc]

    assert (before, around(store, clock, bursts=bursts), around(store, clock)) == (1, 1, 1)


class _Odd:
    """A Prometheus that answers a question about its time with something else."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def query(self, _expression: str, _at: float | None = None) -> tuple[Element, ...]:
        return tuple(Element({"said": "last"}, value) for value in self._values)


@pytest.mark.parametrize("values", [(), (1.0,), (float("nan"),)])
def test_a_prometheus_that_does_not_say_the_time_is_blindness_and_no_error(
    clock: ManualClock, values: tuple[float, ...]
) -> None:
    scraping = Scraping(_Odd(*values), clock)  # type: ignore[arg-type]

    with pytest.raises(SourceUnavailable):
        scraping.gap({"instance": "a"}, 15.0, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_count_that_is_no_number_is_blindness_and_no_error(clock: ManualClock, value: float) -> None:
    with pytest.raises(SourceUnavailable):
        Scraping(_Odd(value), clock).up()  # type: ignore[arg-type]
