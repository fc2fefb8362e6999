"""A resolve that comes late, of a period that was over before the open one began: it ends nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.model import Alert, Occurrence
from remediator.receive import is_earlier_period
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"
ONCE = "cooldown: 0s, rate: [1000/1h], lock: target, attempts: 1"
BEGAN = 1_699_999_990.0
"""When the open period began, by the clock of who told of it."""


def resolved(began: float, ended: float | None, **labels: str) -> Alert:
    """A resolve of a period that began, and ended, so many seconds after the open one began."""
    ends_at = None if ended is None else BEGAN + ended
    return replace(alert(status="resolved", starts_at=BEGAN + began, **labels), ends_at=ends_at)


STALE = resolved(-300, -60)

EARLIER = {
    "over before it began": (resolved(-300, -60), True),
    "over just before it began": (resolved(-300, -0.001), True),
    "over as it began": (resolved(-300, 0), False),
    "another replica's, over before it began": (resolved(-295, -55, replica="b"), True),
    "another replica's, which had begun before": (resolved(-90, 120, replica="b"), False),
    "another replica's, which had begun before and ended soon": (resolved(-15, 1, replica="b"), False),
    "another replica's, which began after": (resolved(90, 120, replica="b"), False),
    "its own": (resolved(0, 120), False),
    "its own, told with another fraction of a second": (resolved(-1, 120), False),
    "its own, whose end is not told": (resolved(0, None), False),
    "its own, whose end makes no sense": (resolved(0, -3_600), False),
    "a later one, whose firing was never told": (resolved(60, 120), False),
    "begun before, its end not told": (resolved(-60, None), True),
    "begun before and ended now, by hand": (resolved(-86_400, 30), False),
}


@pytest.mark.parametrize(("told", "earlier"), EARLIER.values(), ids=EARLIER)
def test_a_period_is_an_earlier_one_if_it_was_over_before_the_open_one_began(told: Alert, earlier: bool) -> None:
    occurrence = Occurrence(1, alert(replica="a"), BEGAN + 10, BEGAN + 10, None, None, None, None)

    assert is_earlier_period(occurrence, told) is earlier


def test_a_resolve_of_the_period_before_does_not_have_the_open_one_healed_again(
    bench: Bench, sources: Sources, act: Act
) -> None:
    sources.firing = sources.listed = [alert()]
    app = bench.start(playbook(ONE, limits=ONCE))
    bench.deliver(alert())
    bench.deliver(STALE)
    bench.deliver(alert())
    bench.advance(31)

    assert [entry["closed_at"] for entry in bench.alerts()] == [None]
    assert len(act.ran) == len(bench.remediations()) == 1
    # it came, all the same
    assert app.metrics.registry.get_sample_value("selfheal_alerts_total", {"status": "resolved"}) == 1


def test_a_resolve_of_the_period_before_leaves_no_step_out(bench: Bench, sources: Sources, act: Act) -> None:
    sources.firing = [alert()]

    def late() -> None:
        act.while_running = lambda: None
        bench.deliver(STALE, rest=False)

    act.while_running = late
    bench.start(playbook(f"{ONE}, {ONE}", limits=ONCE))
    bench.deliver(alert())
    bench.deliver(alert())

    assert [step["state"] for step in bench.detail()["steps"]] == ["done", "done"]
    assert bench.states() == [("succeeded", "proof_not_asked")]
    assert len(act.ran) == 2


@pytest.mark.parametrize("began", [-90.0, -5.0, 0.0, 5.0])
def test_a_replicas_resolve_ends_the_period_that_another_told_of(bench: Bench, sources: Sources, began: float) -> None:
    sources.firing = [alert(replica="a")]
    bench.start(playbook(ONE, limits=ONCE))
    bench.deliver(alert(replica="a"))
    bench.deliver(resolved(began, 9.0, replica="b"))

    assert [entry["closed_at"] is None for entry in bench.alerts()] == [False]


def test_a_resolve_that_could_not_be_believed_is_found_by_asking(bench: Bench, sources: Sources) -> None:
    sources.firing = sources.listed = [alert()]
    bench.start(playbook(ONE, limits=ONCE))
    bench.deliver(alert())
    bench.deliver(resolved(-60, None))
    believed = bench.alerts()[0]["closed_at"]
    sources.firing = sources.listed = []
    bench.advance(31)

    assert believed is None
    assert bench.alerts()[0]["closed_at"] is not None
