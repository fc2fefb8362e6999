"""Scrapes at the same time, collectors that are exchanged, and what they return that cannot be written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from exporter.encode import Family, Metric, encode, encode_open
from exporter.registry import Registry, close_all
from exporter.settings import NoDataError
from selfheal.common.clock import ManualClock
from tests.exporter.trees import values, wait_until

NUMBER = Metric("selfheal_number", "gauge", "Which collection this is.")


class Counting:
    """A collector that counts its calls, and begins or ends only when it is let go."""

    def __init__(self, offset: int = 0) -> None:
        self.calls = offset
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.closed = 0

    def __call__(self) -> list[Family]:
        self.calls += 1
        number = self.calls
        self.begun.release()
        assert self.let_go.acquire(timeout=30)
        return [NUMBER.only(number)]

    def close(self) -> None:
        """Count that too."""
        self.closed += 1


def scraping(scrape: Callable[[], bytes], pages: list[dict[str, str]]) -> threading.Thread:
    """Scrape on a thread of its own."""
    thread = threading.Thread(target=lambda: pages.append(values(scrape())))
    thread.start()
    return thread


def waiting(registry: Registry) -> int:
    """Return how many wait for a collection that has not begun, the one who will begin it included."""
    return sum(1 + len(found.done._cond._waiters) for found in registry._rounds._next.values())  # type: ignore[attr-defined]


def test_scrapes_that_come_while_one_runs_share_the_next_collection() -> None:
    collector = Counting()
    registry = Registry({"counting": collector}, ManualClock())
    first: list[dict[str, str]] = []
    others: list[dict[str, str]] = []
    threads = [scraping(registry.page, first)]
    assert collector.begun.acquire(timeout=10)
    threads += [scraping(registry.page, others) for _ in range(5)]
    wait_until(lambda: waiting(registry) == 5)
    collector.let_go.release(2)
    for thread in threads:
        thread.join(30)

    # what was being read when they asked is older than their question, so they do not get it
    assert [page["selfheal_number"] for page in first] == ["1"]
    assert [page["selfheal_number"] for page in others] == ["2"] * 5
    assert collector.calls == 2


def test_only_those_who_ask_the_same_share() -> None:
    collector = Counting()
    registry = Registry({"counting": collector, "other": list}, ManualClock())
    pages: list[dict[str, str]] = []
    threads = [scraping(registry.page, pages)]
    assert collector.begun.acquire(timeout=10)
    threads += [
        scraping(registry.page, pages),
        scraping(lambda: registry.page({"counting"}), pages),
        scraping(lambda: registry.page({"counting", "other"}), pages),
        scraping(lambda: registry.page(None, encode_open), pages),
    ]
    wait_until(lambda: waiting(registry) == 4)
    collector.let_go.release(4)
    for thread in threads:
        thread.join(30)

    # all by name is the same as all
    assert collector.calls == 4
    numbers = [page["selfheal_number"] for page in pages]
    assert (len(numbers), set(numbers)) == (5, {"1", "2", "3", "4"})


def test_a_page_that_cannot_be_made_is_an_error_for_all_who_share_it_and_the_next_is_made() -> None:
    collector = Counting()
    registry = Registry({"counting": collector}, ManualClock())
    errors: list[BaseException] = []

    def failing(_: list[Family]) -> bytes:
        raise MemoryError("no room")

    def scrape() -> None:
        try:
            registry.page(None, failing)
        except MemoryError as error:
            errors.append(error)

    threads = [threading.Thread(target=scrape)]
    threads[0].start()
    assert collector.begun.acquire(timeout=10)
    threads += [threading.Thread(target=scrape) for _ in range(2)]
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: waiting(registry) == 2)
    collector.let_go.release(3)
    for thread in threads:
        thread.join(30)

    assert [str(error) for error in errors] == ["no room"] * 3
    assert values(registry.page())["selfheal_number"] == "3"


def test_a_new_collector_is_asked_from_now_on_and_the_old_one_closed_after_its_last_answer() -> None:
    old, new = Counting(), Counting(100)
    new.let_go.release(1)
    registry = Registry({"counting": old}, ManualClock())
    pages: list[dict[str, str]] = []
    thread = scraping(registry.page, pages)
    assert old.begun.acquire(timeout=10)
    exchange = threading.Thread(target=lambda: registry.replace({"counting": new}))
    exchange.start()

    assert old.closed == 0
    old.let_go.release()
    for one in (thread, exchange):
        one.join(30)

    assert pages[0]["selfheal_number"] == "1"
    assert values(registry.page())["selfheal_number"] == "101"
    assert (old.closed, new.closed) == (1, 0)
    registry.close()
    assert (old.closed, new.closed) == (1, 1)


def test_one_that_cannot_be_closed_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn:
        closed = False

        def collect(self) -> list[Family]:
            return []

        def close(self) -> None:
            self.closed = True
            raise OSError("busy")

    first, second = Stubborn(), Stubborn()

    close_all([first.collect, list, second.collect])

    assert (first.closed, second.closed) == (True, True)
    assert [record.getMessage() for record in caplog.records] == ["collector could not be closed"] * 2


def test_no_data_is_no_success_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def nothing() -> list[Family]:
        raise NoDataError("no such hardware")

    registry = Registry({"nothing": nothing}, ManualClock())
    with caplog.at_level(logging.INFO):
        found = values(registry.page())

    assert found['node_scrape_collector_success{collector="nothing"}'] == "0"
    assert found['selfheal_exporter_collector_failures_total{collector="nothing"}'] == "0"
    assert caplog.records == []


def test_a_family_that_cannot_be_written_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    broken = Metric("selfheal_broken", "gauge", "B.", ("a", "b"))

    def collect() -> list[Family]:
        return [NUMBER.only(7), broken.of({("only one",): 1}), Metric("selfheal_late", "gauge", "L.").only(2)]

    registry = Registry({"odd": collect}, ManualClock())
    first, second = values(registry.page()), values(registry.page(None, encode_open))

    for found in (first, second):
        assert (found["selfheal_number"], found["selfheal_late"]) == ("7", "2")
        assert not any("selfheal_broken" in series for series in found)
    # told by the page after the one it happened on
    assert second["selfheal_exporter_families_left_out_total"] == "1"
    assert [(record.getMessage(), record.metric) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("family left out", "selfheal_broken")
    ]


def test_what_it_says_about_itself_can_be_left_out() -> None:
    registry = Registry({"empty": list}, ManualClock(), with_own=False)

    names = {series.partition("{")[0] for series in values(encode(registry.gather()))}

    assert names == {
        "node_exporter_build_info",
        "node_scrape_collector_duration_seconds",
        "node_scrape_collector_success",
    }
