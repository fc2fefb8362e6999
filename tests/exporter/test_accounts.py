"""Totals only grow, whatever members do, and sums are those of the living."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.accounts import Account, first_share, growth

# counters of a process as the table has them: eight, the last two unreadable as -1
COUNTERS = st.tuples(*[st.integers(0, 99)] * 6, *[st.integers(-1, 99)] * 2)


def counters(user: int, written: int = 0) -> tuple[int, ...]:
    """Return counters of which only two matter."""
    return (user, 0, 0, 0, 0, 0, written, written)


def test_of_an_older_process_nothing_counts_at_first_sight_and_of_one_born_since_all_does() -> None:
    assert first_share(counters(7, 5), born_since=False) == counters(0)
    assert first_share(counters(7, 5), born_since=True) == counters(7, 5)


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        (counters(9, 8), counters(5, 2), counters(4, 6)),
        (counters(5, 2), counters(5, 2), counters(0, 0)),
        # a thread ended and took its share with it
        (counters(3, 8), counters(5, 2), counters(0, 6)),
        # the right to read came, or went
        (counters(9, 5000), counters(5, -1), counters(4, 0)),
        (counters(9, -1), counters(5, 5000), counters(4, 0)),
        (counters(9, -1), counters(5, -1), counters(4, 0)),
    ],
    ids=["grew", "same", "fell", "now_readable", "unreadable", "never_readable"],
)
def test_growth_is_what_was_used_since(now: tuple[int, ...], last: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert growth(now, last) == expected


@given(st.lists(COUNTERS, min_size=1, max_size=20))
def test_no_total_ever_falls(looks: list[tuple[int, ...]]) -> None:
    account = Account(8, 1)
    last = first_share(looks[0], born_since=False)
    for look in looks:
        before = list(account.totals)
        account.grow(growth(look, last))
        last = look

        assert all(new >= old for new, old in zip(account.totals, before, strict=True))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=40))
def test_sums_are_those_of_the_present_members_whatever_moves(moves: list[tuple[int, int]]) -> None:
    account = Account(1, 2)
    shares: dict[int, tuple[int, int]] = {}
    for who, value in moves:
        if who in shares and value == 0:
            account.leave(shares.pop(who))
        elif who in shares:
            account.move((1, value), shares[who])
            shares[who] = (1, value)
        else:
            account.enter((1, value))
            shares[who] = (1, value)

    assert account.sums == [len(shares), sum(value for _, value in shares.values())]
