"""Asks the collectors one after the other; times and isolates each, so that one that fails costs only itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from logging import getLogger

from exporter.encode import Family, Metric, encode
from exporter.own import build_info
from exporter.rounds import Rounds
from exporter.settings import IncompleteError, NoDataError
from selfheal import __version__
from selfheal.common.clock import Clock

logger = getLogger(__name__)

Collect = Callable[[], list[Family]]
Render = Callable[[list[Family]], bytes]

_DURATION = Metric("node_scrape_collector_duration_seconds", "gauge", "Duration of a collector scrape.", ("collector",))
_SUCCESS = Metric("node_scrape_collector_success", "gauge", "Whether a collector succeeded.", ("collector",))
_FAILURES = Metric(
    "selfheal_exporter_collector_failures_total",
    "counter",
    "Scrapes in which a collector read nothing or only a part.",
    ("collector",),
)
_LEFT_OUT = Metric(
    "selfheal_exporter_families_left_out_total",
    "counter",
    "Families that a collector returned and that could not be written as text; the rest of the page came.",
)
_BUILD_INFO = Metric(
    "selfheal_exporter_build_info", "gauge", "A metric with the value 1, labelled by the version.", ("version",)
)
_NODE_BUILD_INFO = build_info()


class Registry:
    """The switched-on collectors by name, and what is known about each."""

    def __init__(self, collectors: Mapping[str, Collect], clock: Clock, with_own: bool = True) -> None:
        """Take `with_own` false to leave out what the exporter says about itself."""
        self._collectors = dict(collectors)
        self._clock = clock
        self._with_own = with_own
        self._failures = dict.fromkeys(self._collectors, 0)
        self._failing: set[str] = set()
        self._left_out: dict[str, int] = {}
        # collectors keep state from scrape to scrape, and what they return may be read from it: one scrape at a time
        self._turn = threading.Lock()
        self._rounds: Rounds[tuple[tuple[str, ...], Render], bytes] = Rounds(self._turn)

    def names(self) -> tuple[str, ...]:
        """Return the names of the switched-on collectors."""
        return tuple(self._collectors)

    def collectors(self) -> Mapping[str, Collect]:
        """Return what is asked, by name."""
        return self._collectors

    def failures(self) -> Mapping[str, int]:
        """Return how often each collector read nothing or only a part."""
        return dict(self._failures)

    def page(self, wanted: Collection[str] | None = None, render: Render = encode) -> bytes:
        """Given the names of collectors (None: all) and how to write a page, return the page.

        Whoever asks while another is being answered waits, and shares one collection with all who wait for the same:
        one that begins after they asked, so that no value is older than the time Prometheus stores with it.
        """
        names = self._chosen(wanted)
        return self._rounds.join((names, render), lambda: self._written(self._collect(names), render))

    def gather(self, wanted: Collection[str] | None = None) -> list[Family]:
        """Given the names of collectors (None: all), return their families and how each of them fared."""
        with self._turn:
            return self._collect(self._chosen(wanted))

    def replace(self, collectors: Mapping[str, Collect]) -> None:
        """Given new collectors for names that are there, ask those from now on, and close the old ones."""
        # in the same turn: old and new may share what is closed, and the new must not have begun to use it
        with self._turn:
            old = [self._collectors[name] for name in collectors]
            self._collectors = {**self._collectors, **collectors}
            close_all(old)

    def close(self) -> None:
        """End what the collectors do by themselves."""
        close_all(self._collectors.values())

    def _chosen(self, wanted: Collection[str] | None) -> tuple[str, ...]:
        return tuple(name for name in self._collectors if wanted is None or name in wanted)

    def _collect(self, names: Iterable[str]) -> list[Family]:
        families: list[Family] = []
        durations: dict[tuple[str, ...], float] = {}
        successes: dict[tuple[str, ...], float] = {}
        for name in names:
            begun = self._clock.monotonic()
            found, succeeded = self._ask(name)
            families += found
            durations[(name,)] = round(self._clock.monotonic() - begun, 9)
            successes[(name,)] = int(succeeded)
        families += [_DURATION.of(durations), _SUCCESS.of(successes), _NODE_BUILD_INFO]
        if self._with_own:
            failures = {(name,): self._failures[name] for (name,) in durations}
            left_out = _LEFT_OUT.only(sum(self._left_out.values()))
            families += [_BUILD_INFO.of({(__version__,): 1}), _FAILURES.of(failures), left_out]
        return families

    def _ask(self, name: str) -> tuple[list[Family], bool]:
        try:
            families = self._collectors[name]()
        except IncompleteError as error:
            self._failed(name, error)
            return error.families, False
        except NoDataError as error:
            # as node_exporter has it: no success, and no failure either
            logger.debug("collector has no data", extra={"collector": name, "reason": str(error)})
            return [], False
        except Exception as error:  # noqa: BLE001 - the border: whatever a collector does, the page comes
            self._failed(name, error)
            return [], False
        if name in self._failing:
            self._failing.discard(name)
            logger.info("collector works again", extra={"collector": name})
        return families, True

    def _failed(self, name: str, error: Exception) -> None:
        self._failures[name] += 1
        # one warning when it begins to fail: a scrape a second would fill the log
        report = logger.debug if name in self._failing else logger.warning
        self._failing.add(name)
        expected = isinstance(error, (OSError, ValueError, IncompleteError))
        reason = str(error) if expected else f"{error.__class__.__name__}: {error}"
        report("collector failed", extra={"collector": name, "reason": reason}, exc_info=None if expected else error)

    def _written(self, families: list[Family], render: Render) -> bytes:
        try:
            return render(families)
        except Exception:  # noqa: BLE001 - what is wrong is found below, and anything else is raised there
            return render([family for family in families if self._can_be_written(family)])

    def _can_be_written(self, family: Family) -> bool:
        try:
            encode([family])
        except Exception as error:  # noqa: BLE001 - the border: whatever a collector returned, the page comes
            name = family.metric.name
            report = logger.debug if name in self._left_out else logger.warning
            self._left_out[name] = self._left_out.get(name, 0) + 1
            report("family left out", extra={"metric": name, "reason": f"{error.__class__.__name__}: {error}"})
            return False
        return True


def close_all(collectors: Iterable[Collect]) -> None:
    """Given collectors, call `close` of those that have one; one that cannot be closed keeps none from being closed."""
    for collect in collectors:
        # a bound method stands for its object
        close = getattr(getattr(collect, "__self__", collect), "close", None)
        if close is None:
            continue
        try:
            close()
        except Exception:  # the border: it is given up either way
            logger.exception("collector could not be closed")
