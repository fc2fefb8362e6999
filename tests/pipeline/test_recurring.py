"""An alert that comes back while its repair is watched: the repair did not help, and the next rung is climbed."""

from __future__ import annotations

import pytest

from remediator import verify
from remediator.model import Reason, State, Verdict
from remediator.store import Tx
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

ONE = "{action: test.act, with: {note: one}}"
WATCHED = "mode: auto\nverify: {healthy_for: 0s, within: 1m, watch: 10m}\n"
LADDER = "otherwise: [second, page_owner]\n"
ONCE = "cooldown: 0s, rate: [1000/1h], attempts: 1"
SECOND = (
    playbook(
        "{action: test.act, with: {note: two}}",
        WATCHED.replace("verify: {", "verify: {healthy: sick < 1, "),
        limits=ONCE,
    )
    .replace("playbook: heal", "playbook: second")
    .replace("trigger: {alert: Sick}", "trigger: {manual: true}\nwhen: sick > 0")
)


@pytest.fixture(autouse=True)
def gone(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the series is gone at the end of a watch; of what does not fire the made-up Prometheus has none."""
    says = [False]
    monkeypatch.setattr(verify, "_is_gone", lambda *_: says[0])
    return says


def begins(bench: Bench, sources: Sources) -> float:
    """Let the alert begin now and be told of; return when."""
    starts_at = bench.clock.now()
    sources.firing = sources.listed = [alert(starts_at=starts_at)]
    bench.deliver(alert(starts_at=starts_at))
    return starts_at


def is_proven_and_over(bench: Bench, sources: Sources, starts_at: float) -> None:
    """Say that the newest remediation healed it, and that the alert is over."""
    newest = bench.remediations()[0]
    now = bench.clock.now()

    def proven(tx: Tx) -> None:
        tx.move(int(newest["id"]), State.WATCHING, Reason.PROVEN, now, verdict=Verdict.FIXED, due=now + 15)

    assert bench.app is not None
    bench.app.store.write(proven)
    sources.firing = sources.listed = []
    bench.deliver(alert(status="resolved", starts_at=starts_at))
    bench.advance(20)


def test_what_came_back_between_two_looks_and_was_healed_again_recurred_all_the_same(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock
) -> None:
    bench.start(playbook(ONE, WATCHED))
    is_proven_and_over(bench, sources, begins(bench, sources))
    # the second repair ends it before the first one's next look
    act.while_running = lambda: setattr(sources, "firing", [])
    begins(bench, sources)
    bench.advance(20)

    assert len(act.ran) == 2
    assert (bench.remediations()[-1]["state"], bench.remediations()[-1]["verdict"]) == ("ineffective", "recurred")


def test_a_period_that_began_before_the_proof_is_no_recurrence(
    bench: Bench, sources: Sources, act: Act, clock: ManualClock
) -> None:
    bench.start(playbook(ONE, WATCHED))
    starts_at = begins(bench, sources)
    is_proven_and_over(bench, sources, starts_at)
    # told late, by an Alertmanager that had not heard of its end
    bench.deliver(alert(starts_at=starts_at))
    bench.deliver(alert(status="resolved", starts_at=starts_at))
    for _ in range(70):
        bench.advance(10)

    assert bench.states()[-1] == ("succeeded", "held_watch")


def test_what_recurs_climbs_the_ladder_and_ends_with_people(bench: Bench, sources: Sources, act: Act) -> None:
    bench.start(playbook(ONE, WATCHED + LADDER, limits=ONCE), SECOND)
    for tried in ("heal", "second"):
        starts_at = begins(bench, sources)
        assert bench.remediations()[0]["playbook"] == tried
        is_proven_and_over(bench, sources, starts_at)
    begins(bench, sources)

    assert [each["playbook"] for each in reversed(bench.remediations())] == ["heal", "second"]
    assert (bench.alerts()[0]["fate"], bench.alerts()[0]["reason"]) == ("handed_over", "attempts_used")


def test_what_held_through_its_watch_counts_no_more_when_the_alert_begins_again(
    bench: Bench, sources: Sources, act: Act
) -> None:
    bench.start(playbook(ONE, WATCHED + LADDER, limits=ONCE), SECOND)
    is_proven_and_over(bench, sources, begins(bench, sources))
    for _ in range(65):
        bench.advance(10)
    assert bench.states() == [("succeeded", "held_watch")]
    begins(bench, sources)

    assert [each["playbook"] for each in bench.remediations()] == ["heal", "heal"]


def test_a_series_that_is_gone_at_the_end_of_the_watch_does_not_say_that_it_held(
    bench: Bench, sources: Sources, act: Act, gone: list[bool]
) -> None:
    gone[0] = True
    bench.start(playbook(ONE, WATCHED))
    is_proven_and_over(bench, sources, begins(bench, sources))
    for _ in range(75):
        bench.advance(10)

    assert bench.states() == [("succeeded", "series_gone")]
