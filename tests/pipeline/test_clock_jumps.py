"""A clock that is set by hours, ahead or back: nothing happens sooner for it, and nothing waits for ever.

How long a wait may grow by a clock that is set back is bounded: by as much as it was set back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.rig import until
from remediator import pause
from remediator.approvals import NotAnswered
from remediator.errors import ActionFailed
from remediator.model import Alert, Context, Pause, Plan
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act}"
HOURS = 2 * 3_600
SETTLES = 61
"""Seconds after a jump within which nothing begins, so that there is a fresh answer of everybody."""
STEP = 900.0
QUICK = "cooldown: 0s, rate: [1000/1h], lock: target"
NOT_ASKED = "monitoring: {targets: 1000000, scrape_gap: 0, after_restart: 0s}\ntrust: {not_fixed: 6}\n"
both_ways = pytest.mark.parametrize("jump", [HOURS, -HOURS], ids=["ahead", "back"])


class Steady(Act):
    """An action that plans the same each time."""

    def plan(self, _arguments: object, _context: Context) -> Plan:
        """Plan the same."""
        return Plan(({"kind": "command", "service": "test", "verb": "same"},))


@pytest.fixture
def act() -> Act:
    return Steady()


def ill(bench: Bench, *alerts: Alert) -> None:
    bench.sources.firing = [*bench.sources.firing, *alerts]
    bench.sources.listed = [*bench.sources.listed, *alerts]
    bench.deliver(*alerts)


def jump_by(bench: Bench, seconds: float) -> None:
    """Set the clock; the engine looks at it every second."""
    assert bench.app is not None
    engine = bench.app.engine
    bench.clock.jump(seconds)
    engine.wake()
    until(lambda: engine.clock_jumped_at is not None, 10, 0.005)
    bench.rest()


def over_within(bench: Bench, over: Callable[[], bool], seconds: float, jump: float) -> bool:
    """Let that much time pass, and as much more as the clock was set back; say whether something is so then."""
    left = seconds + max(0.0, -jump)
    while not over() and left > 0:
        bench.advance(min(left, STEP))
        left -= STEP
    return over()


@both_ways
@pytest.mark.parametrize(
    ("limits", "reason", "seconds"),
    [
        pytest.param("cooldown: 10m, rate: [1000/1h], lock: target", "cooldown", 600, id="cooldown"),
        pytest.param("cooldown: 0s, rate: [1/30m], lock: target", "rate_limited", 1_800, id="rate"),
    ],
)
def test_no_limit_is_over_sooner_and_each_is_over_in_the_end(
    bench: Bench, act: Act, limits: str, reason: str, seconds: int, jump: int
) -> None:
    bench.start(playbook(ONE, limits=limits))
    ill(bench, alert())
    jump_by(bench, jump)
    ill(bench, alert(part="second"))
    bench.advance(SETTLES)
    held = bench.states()[0]
    bench.advance(seconds - SETTLES - 1)
    before = len(act.ran)

    assert (held, before) == (("held", reason), 1)
    assert over_within(bench, lambda: len(act.ran) == 2, 2, jump)


@both_ways
def test_a_hold_that_ends_after_a_jump_ends_soon(bench: Bench, act: Act, jump: int) -> None:
    path = bench.folder / "state" / pause.NAME
    path.parent.mkdir(mode=0o700)
    pause.write(path, Pause("kim", "a test", None))
    bench.start(playbook(ONE, limits=QUICK))
    ill(bench, alert())
    held = bench.states()
    jump_by(bench, jump)
    pause.clear(path)
    bench.advance(SETTLES)
    bench.advance(6)

    assert held == [("held", "paused")]
    assert len(act.ran) == 1


@both_ways
def test_a_silence_that_does_not_end_is_given_up_in_the_end(
    bench: Bench, sources: Sources, act: Act, jump: int
) -> None:
    bench.start(playbook(ONE, limits=f"{QUICK}, hold_at_most: 15m"))
    sources.silenced = [alert()]
    sources.firing = [alert()]
    bench.deliver(alert())
    held = bench.states()
    jump_by(bench, jump)

    assert held == [("held", "silenced")]
    assert over_within(bench, lambda: bench.states()[0][0] != "held", 901, jump)
    assert bench.states()[0] == ("skipped", "hold_expired")
    assert act.ran == []


@both_ways
def test_what_is_looked_at_by_the_clock_still_is(bench: Bench, sources: Sources, act: Act, jump: int) -> None:
    bench.start(playbook(ONE, limits=QUICK))
    jump_by(bench, jump)
    # its delivery is lost: reconciliation takes it in
    sources.firing = sources.listed = [alert()]
    bench.advance(31)
    taken_in = len(bench.alerts())
    bench.advance(SETTLES)
    bench.advance(6)

    assert taken_in == 1
    assert len(act.ran) == 1


@both_ways
def test_a_breaker_stays_open_for_its_time_and_not_for_ever(bench: Bench, act: Act, jump: int) -> None:
    def fail() -> None:
        raise ActionFailed("it is broken")

    act.while_running = fail
    bench.careful = NOT_ASKED + "breaker: {minimum: 3, open_for: 30m}"
    bench.start(playbook(ONE, limits=f"{QUICK}, attempts: 1"))
    ill(bench, alert("a"), alert("b"), alert("c"))
    jump_by(bench, jump)
    act.while_running = lambda: None
    ill(bench, alert("d"))
    bench.advance(SETTLES)
    held = bench.states()[0]
    bench.advance(1_800 - SETTLES - 1)
    before = len(act.ran)

    assert (held, before) == (("held", "breaker_open"), 3)
    assert over_within(bench, lambda: len(act.ran) == 4, 2, jump)


@pytest.mark.parametrize(("jump", "state"), [(2 * 3_600, "succeeded"), (-2 * 3_600, "succeeded"), (600, "held")])
def test_a_window_is_what_the_clock_on_the_wall_says(bench: Bench, act: Act, jump: int, state: str) -> None:
    # 22:13:20 in UTC, a Tuesday, is when the clock begins
    bench.careful += "windows: [{name: night, cron: '0 22 * * 2', for: 30m, timezone: UTC, why: backup}]\n"
    bench.start(playbook(ONE, limits=QUICK))
    ill(bench, alert())
    held = bench.states()
    jump_by(bench, jump)
    bench.advance(SETTLES)
    if jump < 0:
        # a hold lasts at most as long as it would have
        bench.advance(1_000)
    bench.advance(6)

    assert held == [("held", "window")]
    assert bench.states()[0][0] == state


@pytest.mark.parametrize("granted", [True, False], ids=["a yes that has not begun", "a question"])
@both_ways
def test_a_request_to_people_never_outlives_its_time(bench: Bench, act: Act, granted: bool, jump: int) -> None:
    app = bench.start(playbook(ONE, "mode: approve\nverify: none\n", QUICK))
    ill(bench, alert())
    request = app.approvals(50, None, "open")["items"][0]
    path = bench.folder / "state" / pause.NAME
    if granted:
        pause.write(path, Pause("kim", "not yet", None))
        app.approve(int(request["id"]), request["plan_hash"], "kim")
        bench.rest()
    jump_by(bench, jump)
    bench.advance(1_801)
    if not granted:
        with pytest.raises(NotAnswered, match=r"expired|void"):
            app.approve(int(request["id"]), request["plan_hash"], "kim")
    pause.clear(path)
    for _ in range(3):
        bench.advance(SETTLES)

    assert act.ran == []
    assert app.approvals(50, None, "used")["items"] == []


@both_ways
def test_what_is_sent_again_after_a_jump_is_the_same_alert(bench: Bench, act: Act, jump: int) -> None:
    bench.start(playbook(ONE, limits=QUICK))
    ill(bench, alert())
    jump_by(bench, jump)
    for _ in range(3):
        bench.deliver(alert(), replace(alert(), annotations={"told": "again"}))
        bench.advance(SETTLES)

    assert len(bench.alerts()) == len(act.ran) == 1
