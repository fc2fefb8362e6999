"""Totals only grow, whatever members do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.accounts import Accounts
from exporter.procfs.members import Counters


def counters(user: int, read: int | None = 0) -> Counters:
    """Return counters of which only two matter."""
    return Counters(user, 0, 0, 0, 0, 0, read, 0)


def test_bytes_that_can_be_read_only_later_do_not_count_as_used_at_once() -> None:
    accounts = Accounts(born_after_ticks=0)
    for read in (None, 5_000, 5_010, None, 5_030):
        accounts.update([("g", (1, 5), counters(0, read))], {1})

    assert accounts.total("g")[6] == 10


def test_a_counter_that_fell_because_a_thread_ended_adds_nothing_and_goes_on() -> None:
    accounts = Accounts(born_after_ticks=10)
    for user in (100, 120, 50, 60):
        accounts.update([("g", (1, 5), counters(user))], {1})

    assert accounts.total("g")[0] == 30


def test_a_process_that_could_not_be_read_for_a_while_is_not_counted_twice() -> None:
    accounts = Accounts(born_after_ticks=0)
    accounts.update([("g", (1, 5), counters(100))], {1})
    accounts.update([], {1})
    accounts.update([("g", (1, 5), counters(110))], {1})

    assert accounts.total("g")[0] == 110


def test_the_dead_are_forgotten() -> None:
    accounts = Accounts(born_after_ticks=10)
    accounts.update([("g", (1, 5), counters(100))], {1})
    accounts.update([], set())
    accounts.update([("g", (1, 5), counters(900))], {1})

    assert accounts.total("g")[0] == 0


@given(
    st.lists(
        st.dictionaries(
            st.tuples(st.integers(1, 4), st.integers(1, 20)), st.tuples(st.sampled_from("ab"), st.integers(0, 99))
        ),
        max_size=12,
    )
)
def test_no_total_ever_falls(looks: list[dict[tuple[int, int], tuple[str, int]]]) -> None:
    accounts = Accounts(born_after_ticks=10)
    last = {"a": [0] * 8, "b": [0] * 8}

    for look in looks:
        accounts.update([(group, who, counters(user)) for who, (group, user) in look.items()], {pid for pid, _ in look})
        now = {group: list(accounts.total(group)) for group in last}
        for group, total in now.items():
            assert all(new >= old for new, old in zip(total, last[group], strict=True))
        last = now
