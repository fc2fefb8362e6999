"""Sources too slow for a scrape: each is read on its own timer, and a scrape gets what was read last."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from logging import getLogger

from exporter.encode import Family, Metric
from exporter.settings import IncompleteError, NoDataError, Settings

Read = Callable[[], list[Family]]

logger = getLogger(__name__)

_LABELS = ("collector", "source")
_TIMESTAMP = Metric(
    "selfheal_collector_refresh_timestamp_seconds",
    "gauge",
    "When the last complete refresh of a source began; the cached values of that source are not older than this.",
    _LABELS,
)
_FAILURES = Metric(
    "selfheal_collector_refresh_failures_total",
    "counter",
    "Refreshes of a source that failed or did not end in time; its cached values stayed as they were.",
    _LABELS,
)

# how long `close` waits for a refresh that is still running; one that takes longer ends by itself, unheard
_LONGEST_GOODBYE = 2.0


class _Source:
    """One source: how and when to read it, and what is known of it. Guarded by its refresher's lock."""

    __slots__ = (
        "begun", "deadline", "due", "every", "failures", "families", "is_waiting", "late", "name", "problem", "read",
        "seen",
    )  # fmt: skip

    def __init__(self, name: str, read: Read, every: float, deadline: float, now: float) -> None:
        self.name = name
        self.read = read
        self.every = every
        self.deadline = deadline
        self.due = now
        """When to read it next, or when the reading that goes on was due."""
        self.is_waiting = False
        """It is due and waits for a thread."""
        self.begun: float | None = None
        self.late = False
        self.families: list[Family] = []
        self.seen: float | None = None
        """When the last complete refresh began, in seconds since the epoch."""
        self.failures = 0
        self.problem: str | None = None

    @property
    def is_known(self) -> bool:
        """Say whether a first refresh has ended, well or not, or is late."""
        return self.seen is not None or self.problem is not None

    def next_event(self) -> float:
        """Return when something is to be done about it: to begin reading, or to give up waiting."""
        if self.is_waiting or self.late:
            return math.inf
        return self.due if self.begun is None else self.begun + self.deadline

    def end(self, now: float) -> None:
        """Plan the next refresh: at a whole number of intervals after the first; those missed meanwhile are skipped."""
        self.due += self.every * (math.floor((now - self.due) / self.every) + 1)
        self.begun, self.late, self.is_waiting = None, False, False

    def fail(self, problem: str) -> None:
        """Count a failure; what was read before stays."""
        self.failures += 1
        self.problem = problem


class Refresher:
    """Reads sources on its own threads, at most `threads` at once, and keeps what each gave last.

    A source that does not answer within its deadline holds only its own thread: another takes that one's place, and
    the source is not asked again until it has answered. What it answers at last is taken all the same.
    """

    def __init__(
        self,
        collector: str,
        sources: Mapping[str, Read],
        every: float | Mapping[str, float],
        settings: Settings,
        *,
        deadline: float | None = None,
        threads: int = 4,
    ) -> None:
        self._collector = collector
        self._clock = settings.clock
        self._once = settings.once
        self._most_threads = threads
        now = self._clock.monotonic()
        self._sources: list[_Source] = []
        for name, read in sources.items():
            seconds = every[name] if isinstance(every, Mapping) else every
            self._sources.append(_Source(name, read, seconds, deadline or seconds, now))
        self._changed = threading.Condition()
        self._waiting: deque[_Source] = deque()
        self._workers: dict[threading.Thread, _Source | None] = {}
        self._merged: list[Family] | None = None
        self._ended = False
        self._timer = threading.Thread(target=self._keep_time, name=f"{collector}-timer", daemon=True)
        # one page may never be asked for: a check of the configuration must not ask others
        if self._sources and not self._once:
            self._timer.start()

    def collect(self) -> list[Family]:
        """Return what each source gave last, merged by metric, and how fresh it is; under `--once` wait for it first.

        Raise IncompleteError with the same families if the last refresh of a source failed, or none has ended yet.
        """
        with self._changed:
            if self._next_event() <= self._clock.monotonic():
                # the timer wakes by itself, unless this clock runs otherwise than the system's
                self._changed.notify_all()
            if self._once:
                if self._sources and self._timer.ident is None and not self._ended:
                    self._timer.start()
                self._changed.wait_for(lambda: self._ended or all(source.is_known for source in self._sources))
            families = [*self._merge(), *self._about()]
            problems = [
                f"{source.name}: {source.problem or 'not refreshed yet'}"
                for source in self._sources
                if source.problem is not None or source.seen is None
            ]
        if problems:
            raise IncompleteError("; ".join(problems), families)
        return families

    def close(self) -> None:
        """End the threads; one that reads something slow right now is waited for shortly and then left alone."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()
            workers = [worker for worker, source in self._workers.items() if source is None or not source.late]
        if self._timer.ident is not None:
            self._timer.join()
        for worker in workers:
            worker.join(_LONGEST_GOODBYE / len(workers))

    def _next_event(self) -> float:
        return min((source.next_event() for source in self._sources), default=math.inf)

    def _merge(self) -> list[Family]:
        if self._merged is None:
            families = [family for source in self._sources for family in source.families]
            by_name: dict[str, list[Family]] = {}
            for family in families:
                by_name.setdefault(family.metric.name, []).append(family)
            self._merged = [_joined(parts) for parts in by_name.values()]
        return self._merged

    def _about(self) -> list[Family]:
        name = self._collector
        return [
            _TIMESTAMP.of({(name, source.name): source.seen for source in self._sources if source.seen is not None}),
            _FAILURES.of({(name, source.name): source.failures for source in self._sources}),
        ]

    def _keep_time(self) -> None:
        with self._changed:
            while not self._ended:
                now = self._clock.monotonic()
                self._give_up_on_late_ones(now)
                for source in self._sources:
                    if source.begun is None and not source.is_waiting and source.due <= now:
                        source.is_waiting = True
                        self._waiting.append(source)
                self._start_workers(now)
                rest = self._next_event() - now
                self._changed.wait(None if math.isinf(rest) else max(0.0, min(rest, threading.TIMEOUT_MAX)))

    def _give_up_on_late_ones(self, now: float) -> None:
        for source in self._sources:
            if source.begun is not None and not source.late and source.begun + source.deadline <= now:
                source.late = True
                self._fail(source, f"no answer in {source.deadline:g} s", None)
                self._changed.notify_all()

    def _start_workers(self, now: float) -> None:
        busy = sum(source is None or not source.late for source in self._workers.values())
        for _ in range(min(len(self._waiting), self._most_threads - busy)):
            worker = threading.Thread(target=self._work, name=self._collector, daemon=True)
            self._workers[worker] = None
            try:
                worker.start()
            except RuntimeError:
                del self._workers[worker]
                for source in self._waiting:
                    self._fail(source, "the system gives no more threads", None)
                    source.end(now)
                self._waiting.clear()
                self._changed.notify_all()
                return

    def _work(self) -> None:
        """Read sources until none waits."""
        this = threading.current_thread()
        try:
            while (source := self._take(this)) is not None:
                self._refresh(source)
        finally:
            with self._changed:
                del self._workers[this]
                self._changed.notify_all()

    def _take(self, worker: threading.Thread) -> _Source | None:
        with self._changed:
            if self._ended or not self._waiting:
                return None
            source = self._workers[worker] = self._waiting.popleft()
            source.begun, source.is_waiting = self._clock.monotonic(), False
            # the timer now has its deadline to watch
            self._changed.notify_all()
            return source

    def _refresh(self, source: _Source) -> None:
        began = self._clock.now()
        families: list[Family] = []
        error: Exception | None = None
        try:
            families = source.read()
        except Exception as caught:  # noqa: BLE001 - the border: whatever a source does, the others go on
            error = caught
        with self._changed:
            if error is None:
                source.families, source.seen, source.problem = families, began, None
                self._merged = None
            elif not source.late:
                self._fail(source, _reason(error), error)
            source.end(self._clock.monotonic())
            self._changed.notify_all()

    def _fail(self, source: _Source, problem: str, error: Exception | None) -> None:
        source.fail(problem)
        fields = {"collector": self._collector, "source": source.name, "reason": problem}
        # the page's success tells, and its one warning; here only what nobody foresaw
        if error is None or isinstance(error, (OSError, ValueError, IncompleteError, NoDataError)):
            logger.debug("refresh failed", extra=fields)
        else:
            logger.warning("refresh failed", extra=fields, exc_info=error)


def _joined(parts: list[Family]) -> Family:
    """Return the families of one metric as one."""
    if len(parts) == 1:
        return parts[0]
    samples = [sample for part in parts for sample in part.samples]
    return Family(parts[0].metric, samples, [line for part in parts for line in part.rendered])


def _reason(error: Exception) -> str:
    if isinstance(error, (OSError, ValueError, IncompleteError, NoDataError)):
        return str(error)
    return f"{error.__class__.__name__}: {error}"
