"""Asks the collectors one after the other; times and isolates each, so that one that fails costs only itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from logging import getLogger

from exporter.encode import Family, Metric
from exporter.settings import IncompleteError, NoDataError
from selfheal import __version__
from selfheal.common.clock import Clock

logger = getLogger(__name__)

_DURATION = Metric("node_scrape_collector_duration_seconds", "gauge", "Duration of a collector scrape.", ("collector",))
_SUCCESS = Metric("node_scrape_collector_success", "gauge", "Whether a collector succeeded.", ("collector",))
_FAILURES = Metric(
    "selfheal_exporter_collector_failures_total",
    "counter",
    "Scrapes in which a collector read nothing or only a part.",
    ("collector",),
)
_BUILD_INFO = Metric(
    "selfheal_exporter_build_info", "gauge", "A metric with the value 1, labelled by the version.", ("version",)
)


class Registry:
    """The switched-on collectors by name, and what is known about each."""

    def __init__(self, collectors: Mapping[str, Callable[[], list[Family]]], clock: Clock) -> None:
        self._collectors = dict(collectors)
        self._clock = clock
        self._failures = dict.fromkeys(self._collectors, 0)
        self._failing: set[str] = set()
        # collectors keep state from scrape to scrape: one scrape at a time
        self._turn = threading.Lock()

    def names(self) -> tuple[str, ...]:
        """Return the names of the switched-on collectors."""
        return tuple(self._collectors)

    def gather(self, wanted: Collection[str] | None = None) -> list[Family]:
        """Given the names of collectors (None: all), return their families and how each of them fared."""
        names = [name for name in self._collectors if wanted is None or name in wanted]
        with self._turn:
            families: list[Family] = []
            durations: dict[tuple[str, ...], float] = {}
            successes: dict[tuple[str, ...], float] = {}
            for name in names:
                begun = self._clock.monotonic()
                found, succeeded = self._ask(name)
                families += found
                durations[(name,)] = round(self._clock.monotonic() - begun, 9)
                successes[(name,)] = int(succeeded)
            failures = {(name,): self._failures[name] for name in names}
        return [
            *families,
            _DURATION.of(durations),
            _SUCCESS.of(successes),
            _BUILD_INFO.of({(__version__,): 1}),
            _FAILURES.of(failures),
        ]

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
