"""An alert that stays silenced: it is held once, then left alone, and decided again as soon as the silence is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

BOOK = playbook("{action: test.act}", limits="cooldown: 0s, rate: [1000/1h], hold_at_most: 15m")
SKIPPED = ("skipped", "hold_expired")
DONE = ("succeeded", "proof_not_asked")


def events(bench: Bench) -> int:
    assert bench.app is not None
    with bench.app.store.read() as reader:
        return len(reader.events_after(0, 10_000))


def let_expire(bench: Bench, sources: Sources) -> None:
    """Start with an alert that is held for its silence until it may be held no longer."""
    bench.start(BOOK)
    sources.firing = [alert()]
    sources.silenced = [alert()]
    bench.deliver(alert())
    assert bench.states() == [("held", "silenced")]
    bench.advance(901)
    assert bench.states() == [SKIPPED]


def reload(bench: Bench) -> None:
    assert bench.app is not None
    bench.app.reload()
    bench.advance(31)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda bench: bench.advance(31), id="reconciled"),
        pytest.param(lambda bench: bench.deliver(alert()), id="delivered again"),
        pytest.param(reload, id="playbooks read again"),
    ],
)
def test_while_the_silence_lasts_nothing_more_is_stored(
    bench: Bench, sources: Sources, act: Act, told: Callable[[Bench], None]
) -> None:
    let_expire(bench, sources)
    # another Alertmanager, which does not know of the silence, has it as active
    sources.listed = [alert()]
    before = events(bench)
    for _ in range(3):
        told(bench)
        bench.advance(3_601)

    assert (bench.states(), events(bench), act.ran) == ([SKIPPED], before, [])

    sources.silenced = []
    bench.advance(31)
    assert (bench.states(), len(act.ran)) == ([DONE, SKIPPED], 1)


def test_a_silence_over_an_alert_that_only_its_sender_knows_is_looked_for_every_hour(
    bench: Bench, sources: Sources, act: Act
) -> None:
    let_expire(bench, sources)
    sources.silenced = []
    bench.advance(3_590)
    before = list(act.ran)
    bench.advance(11)

    assert before == []
    assert (bench.states(), len(act.ran)) == ([DONE, SKIPPED], 1)


def test_a_resolve_during_the_silence_ends_it_and_nothing_comes_later(bench: Bench, sources: Sources, act: Act) -> None:
    let_expire(bench, sources)
    sources.firing = []
    bench.deliver(alert(status="resolved"))
    sources.silenced = []
    bench.advance(3_601)

    assert (bench.states(), act.ran) == ([SKIPPED], [])
    assert bench.alerts()[0]["closed_at"] is not None
