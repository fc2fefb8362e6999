"""The guard blast_radius: a share or a count of a group, its quorum, and nothing on an answer that is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.guards import blast_radius
from remediator.model import Answer, BlastRadius, Facts, Frozen, Group, GuardAnswer, Limits, Reason, Touched
from tests.guards.test_guards import FACTS, FROZEN, HISTORY, NOW, facts, history, live

FIFTH = BlastRadius(("job",), percent=20)
TWO = BlastRadius(("job",), count=2)
QUORUM = BlastRadius(("job",), count=2, quorum="count(up == 1) >= 3")


def frozen(radius: BlastRadius | None) -> Frozen:
    return replace(FROZEN, labels=FROZEN.labels | {"job": "web"}, limits=Limits(blast_radius=radius))


def touched(*leaving: float | None) -> tuple[Touched, ...]:
    return tuple(Touched(f"web-{n}/service:shop", leaves_at) for n, leaves_at in enumerate(leaving, 2))


def check(radius: BlastRadius | None, group: Group | None, *leaving: float | None) -> GuardAnswer:
    return blast_radius.check(frozen(radius), facts(group=group), history(touched=touched(*leaving)), NOW)


@pytest.mark.parametrize(
    ("radius", "group", "others", "reason"),
    [
        pytest.param(None, None, 9, Reason.ALLOWED, id="no blast radius"),
        pytest.param(TWO, Group(None, None), 0, Reason.ALLOWED, id="count, nobody touched"),
        pytest.param(TWO, Group(None, None), 1, Reason.ALLOWED, id="count, one place left"),
        pytest.param(TWO, Group(None, None), 2, Reason.BLAST_RADIUS, id="count, full"),
        pytest.param(FIFTH, Group(5, None), 0, Reason.ALLOWED, id="a fifth of five is one"),
        pytest.param(FIFTH, Group(5, None), 1, Reason.BLAST_RADIUS, id="and no more"),
        pytest.param(FIFTH, Group(9, None), 1, Reason.BLAST_RADIUS, id="a fifth of nine is one"),
        pytest.param(FIFTH, Group(10, None), 1, Reason.ALLOWED, id="a fifth of ten is two"),
        pytest.param(FIFTH, Group(4, None), 0, Reason.BLAST_RADIUS, id="a fifth of four is none"),
        pytest.param(FIFTH, Group(1, None), 0, Reason.BLAST_RADIUS, id="a fifth of one is none"),
        pytest.param(FIFTH, Group(0, None), 0, Reason.BLAST_RADIUS, id="an unknown group is none"),
        pytest.param(FIFTH, Group(None, None), 0, Reason.BLIND, id="size not known"),
        pytest.param(FIFTH, Group(None, None, blind=True), 0, Reason.BLIND, id="no answer"),
        pytest.param(TWO, Group(None, None, blind=True), 0, Reason.BLIND, id="no answer where none was needed"),
        pytest.param(FIFTH, None, 0, Reason.BLIND, id="nothing was asked"),
        pytest.param(BlastRadius(("job",)), Group(5, None), 0, Reason.BLIND, id="neither share nor count"),
        pytest.param(QUORUM, Group(None, True), 0, Reason.ALLOWED, id="quorum there"),
        pytest.param(QUORUM, Group(None, False), 0, Reason.QUORUM, id="quorum missing"),
        pytest.param(QUORUM, Group(None, None), 0, Reason.BLIND, id="quorum not known"),
        pytest.param(QUORUM, Group(None, False), 2, Reason.BLAST_RADIUS, id="full, and without quorum"),
    ],
)
def test_as_much_as_allowed_and_no_more(
    radius: BlastRadius | None, group: Group | None, others: int, reason: Reason
) -> None:
    answer = check(radius, group, *[NOW + 100] * others)

    assert (answer.guard, answer.reason) == ("blast_radius", reason)
    assert answer.answer is (Answer.ALLOW if reason is Reason.ALLOWED else Answer.HOLD)


@pytest.mark.parametrize("given_facts", [live(firing=False), facts(live=None), live(firing=None)])
def test_what_does_not_fire_is_for_another_guard(given_facts: Facts) -> None:
    assert blast_radius.check(frozen(FIFTH), given_facts, HISTORY, NOW).answer is Answer.ALLOW


@pytest.mark.parametrize(
    ("leaving", "frees_at"),
    [
        pytest.param((NOW + 10, NOW + 20), NOW + 10, id="the first to leave makes room"),
        pytest.param((NOW + 20, NOW + 10, NOW + 90), NOW + 20, id="one too many: the second"),
        pytest.param((NOW + 10, None), NOW + 10, id="one is in flight"),
        pytest.param((None, None), None, id="all are in flight"),
        pytest.param((NOW + 10, None, None), None, id="too many are in flight"),
        pytest.param((NOW + 500, NOW + 600), NOW + 500, id="far off"),
    ],
)
def test_a_hold_names_the_group_who_is_touched_and_until_when(
    leaving: tuple[float | None, ...], frees_at: float | None
) -> None:
    answer = check(TWO, Group(None, None), *leaving)

    assert answer.until == min(frees_at or NOW + 30, NOW + blast_radius.ASK_AGAIN)
    assert answer.detail == {
        "group": {"job": "web"},
        "max": 2,
        "allowed": 2,
        "size": None,
        "window_seconds": 3_600.0,
        "touched": len(leaving),
        "targets": [each.target for each in touched(*leaving)],
        "until": frees_at,
    }


def test_what_is_never_allowed_is_told_with_the_share_and_the_size() -> None:
    answer = check(FIFTH, Group(4, None))

    assert (answer.detail["max"], answer.detail["size"], answer.detail["allowed"]) == ("20%", 4, 0)
    assert answer.detail["until"] is None


def test_a_missing_quorum_is_told_with_its_expression() -> None:
    answer = check(QUORUM, Group(None, False))

    assert answer.detail == {"group": {"job": "web"}, "quorum": "count(up == 1) >= 3"}


# Four targets share their fifth: there is no end in sight, nor is there of a quorum that is missing.
ENDLESS = {
    "the share allows none": (FIFTH, Group(4, None), (), Reason.BLAST_RADIUS),
    "it allows none, and one is touched": (FIFTH, Group(4, None), (NOW + 100,), Reason.BLAST_RADIUS),
    "quorum missing": (QUORUM, Group(None, False), (), Reason.QUORUM),
    "no answer": (FIFTH, Group(None, None, blind=True), (), Reason.BLIND),
    "quorum not known": (QUORUM, Group(None, None), (), Reason.BLIND),
}


@pytest.mark.parametrize(("radius", "group", "leaving", "reason"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("held", [None, 0.0, 870.1, 899.9, 900.0, 5_000.0])
def test_a_hold_without_an_end_in_sight_ends_when_it_was_held_for_as_long_as_allowed(
    radius: BlastRadius, group: Group, leaving: tuple[float, ...], reason: Reason, held: float | None
) -> None:
    given = facts(group=group, held_since=None if held is None else NOW - held)
    answer = blast_radius.check(frozen(radius), given, history(touched=touched(*leaving)), NOW)

    if held is not None and held >= 900:
        assert (answer.answer, answer.reason, answer.until) == (Answer.DENY, Reason.HOLD_EXPIRED, None)
        assert answer.detail["held_for"] == reason
        assert answer.detail.get("allowed", 0) == 0
    else:
        assert (answer.answer, answer.reason) == (Answer.HOLD, reason)
        assert answer.until is not None
        assert answer.until - NOW == pytest.approx(min(blast_radius.ASK_AGAIN, 900 - (held or 0)), abs=0.01)


def test_a_hold_that_ends_when_others_leave_goes_on_until_they_do() -> None:
    given = facts(group=Group(None, None), held_since=NOW - 5_000)
    answer = blast_radius.check(frozen(TWO), given, history(touched=touched(NOW + 10, None)), NOW)

    assert (answer.answer, answer.reason) == (Answer.HOLD, Reason.BLAST_RADIUS)


@given(size=st.integers(0, 10_000), percent=st.integers(1, 100), others=st.integers(0, 30))
def test_what_is_allowed_never_exceeds_the_share(size: int, percent: int, others: int) -> None:
    answer = check(BlastRadius(("job",), percent=percent), Group(size, None), *[NOW + 1] * others)

    assert (answer.answer is Answer.ALLOW) == (100 * (others + 1) <= percent * size)


def test_the_facts_of_other_playbooks_hold_nothing() -> None:
    assert FACTS.group is None
    assert check(None, None).answer is Answer.ALLOW
