"""When and on which thread work runs. Everything that waits is a row of the store; here stand its ids, never payloads.

One scheduler thread moves rows from waiting to ready when their time comes; a bounded pool of workers takes the ready
ones. What a row means is its handler's business: the engine imports no stage.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from remediator.errors import StoreUnavailable
from remediator.queue import Queue, Row
from remediator.store import Due, Store
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

Handler = Callable[[int, float], float | None]
"""Given the row's id and the time, do one turn. Return when the next is due, or None: the row stays as the handler's
own writes left it, and an untouched one is done and deleted."""

LOOK = 1.0
"""Seconds between two looks at the clock when nothing else happens."""
JUMP = 30.0
"""Seconds by which the wall clock must leave the monotonic one to count as a jump."""
YIELD_AT_MOST = 10.0
"""Seconds a ready row lets deliveries go first: in a storm all is put on disk before the first question is asked."""
REMEMBERED = 5.0
"""A next turn sooner than this is kept in memory only: after a crash it would run at once, and an idle daemon need not
sync its disk twice a second."""
FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0


class Engine:
    """Runs due rows on a bounded pool: each row on one worker at a time, the earliest due first."""

    def __init__(self, store: Store, clock: Clock, handlers: Mapping[str, Handler], workers: int = 8) -> None:
        self._store = store
        self._clock = clock
        self._handlers = dict(handlers)
        self._lock = threading.Lock()
        self._work_wanted = threading.Condition(self._lock)
        self._time_wanted = threading.Condition(self._lock)
        self._queue = Queue(handlers)
        self._running = 0
        self._deliveries = 0
        self._stopping = False
        self._offset = clock.now() - clock.monotonic()
        self.clock_jumped_at: float | None = None
        """When (wall time after it) the last jump of the wall clock was seen."""
        self.errors: Counter[str] = Counter()
        """Turns that raised, by kind."""
        self.on_error: Callable[[str], None] | None = None
        """Told the kind of each turn that raised, to count it."""
        self._threads = [
            threading.Thread(target=self._schedule, name="engine-scheduler", daemon=True),
            *(threading.Thread(target=self._work, name=f"engine-{n}", daemon=True) for n in range(workers)),
        ]

    def start(self) -> None:
        """Load every work row and begin. Raise StoreUnavailable if the store cannot be read."""
        self._store.on_due = self._take
        with self._store.read() as reader:
            stored = reader.work()
        self._take(stored)
        for thread in self._threads:
            thread.start()

    def stop(self, deadline: float = 10.0) -> bool:
        """Begin no further turn and wait up to `deadline` seconds for those that run; say whether all have ended."""
        with self._lock:
            self._stopping = True
            self._work_wanted.notify_all()
            self._time_wanted.notify_all()
        until = self._clock.monotonic() + deadline
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        self._store.on_due = None
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Look at the clock now: for whoever moved it."""
        with self._lock:
            self._time_wanted.notify()

    @contextmanager
    def intake(self) -> Iterator[None]:
        """While inside, a delivery is being stored: turns wait for it, for at most YIELD_AT_MOST each."""
        with self._lock:
            self._deliveries += 1
        try:
            yield
        finally:
            with self._lock:
                self._deliveries -= 1
                if self._deliveries == 0 and self._queue.ready:
                    self._work_wanted.notify_all()

    def queue_depth(self) -> int:
        """Return how many rows are due and have not begun."""
        with self._lock:
            return self._queue.ready

    def oldest_seconds(self) -> float:
        """Return for how long the longest waiting due row has been due; 0 without any."""
        with self._lock:
            now = self._clock.now()
            return max((now - row.due for row in self._queue.known() if row.ready), default=0.0)

    def idle(self) -> bool:
        """Say whether nothing runs and nothing is due."""
        with self._lock:
            if self._running or self._queue.ready:
                return False
            now = self._clock.now()
            return all(row.due > now for row in self._queue.known())

    def _take(self, changed: list[Due]) -> None:
        """Learn what a commit did to work rows; called on the store's writer thread, before its callers go on."""
        with self._lock:
            now = self._clock.now()
            for due in changed:
                row = self._queue.learn(due, now)
                if row is not None:
                    self._enqueue(row, now)

    def _enqueue(self, row: Row, now: float) -> None:
        """Put a row where its due time says, and wake whom it concerns."""
        self._queue.put(row, now, self._clock.monotonic())
        if row.ready:
            if not self._deliveries or self._queue.ready == 1:
                # while deliveries go first, one worker is enough to look when the first row has waited its time
                self._work_wanted.notify()
        elif self._queue.is_next(row):
            self._time_wanted.notify()

    def _schedule(self) -> None:
        """Scheduler thread: move rows to ready when their time has come."""
        with self._lock:
            while not self._stopping:
                self._time_wanted.wait(self._turn())

    def _turn(self) -> float:
        """Make ready what is due, and return the seconds until the next look."""
        now = self._look_at_clock()
        while (row := self._queue.next_waiting()) is not None:
            if row.due > now:
                return min(LOOK, row.due - now)
            # it leaves those that wait, because its entry there is not valid any more
            self._enqueue(row, now)
        return LOOK

    def _look_at_clock(self) -> float:
        """Return the time; notice when the wall clock jumped, and let no row wait longer because of it."""
        now = self._clock.now()
        offset = now - self._clock.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) <= JUMP:
            return now
        self.clock_jumped_at = now
        logger.warning("the wall clock jumped", extra={"seconds": round(jump, 1)})
        if jump < 0:
            # otherwise what waits would wait that much longer
            self._queue.pull(jump)
        return now

    def _work(self) -> None:
        """Worker thread: one ready row after the other."""
        while True:
            with self._lock:
                row = self._pick()
                while row is None:
                    if self._stopping:
                        return
                    self._work_wanted.wait(self._until_pick())
                    row = self._pick()
            self._run(row)

    def _pick(self) -> Row | None:
        """Take the first ready row, unless deliveries go first; None if there is nothing to run now."""
        if self._stopping or self._until_pick() is not None:
            return None
        row = self._queue.take()
        if row is None:
            return None
        row.running, row.again, row.gone = True, False, False
        row.thread = threading.get_ident()
        self._running += 1
        if self._deliveries and self._queue.ready:
            self._work_wanted.notify()
        return row

    def _until_pick(self) -> float | None:
        """Return for how many seconds ready rows still let deliveries go first, or None: they need not wait."""
        since = self._queue.first_ready_since() if self._deliveries else None
        if since is None:
            return None
        left = since + YIELD_AT_MOST - self._clock.monotonic()
        return left if left > 0 else None

    def _run(self, row: Row) -> None:
        """Run one turn of a row and put it where it belongs afterwards."""
        generation = row.generation
        try:
            due = self._handlers[row.kind](row.id, self._clock.now())
            self._settle(row, generation, due)
        except StoreUnavailable as error:
            logger.warning("turn put off", extra={"kind": row.kind, "row": row.id, "problem": str(error)})
            self._failed(row)
        except Exception:
            # the border to the stages: a turn that broke is tried again, and nothing else suffers
            logger.exception("turn failed", extra={"kind": row.kind, "row": row.id})
            self._failed(row)
        else:
            row.failures = 0
            self._put_back(row)

    def _settle(self, row: Row, generation: int, due: float | None) -> None:
        """Store when the next turn is, or that there is none, unless the row was written during the turn."""
        if row.generation != generation:
            return
        if due is None:
            deleted = self._store.write(lambda tx: tx.finish_work(row.kind, row.id, generation))
            with self._lock:
                if not deleted and row.generation == generation:
                    # it was deleted between loading and learning
                    row.gone = True
        elif due - self._clock.now() >= REMEMBERED:
            self._store.write(lambda tx: tx.postpone_work(row.kind, row.id, generation, due))
        else:
            with self._lock:
                if row.generation == generation:
                    row.due = due

    def _failed(self, row: Row) -> None:
        self.errors[row.kind] += 1
        if self.on_error is not None:
            self.on_error(row.kind)
        row.failures += 1
        pause = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(row.failures - 1, 10))
        with self._lock:
            row.due = max(row.due, self._clock.now() + pause)
        self._put_back(row)

    def _put_back(self, row: Row) -> None:
        """The turn is over: the row waits again, runs again, or is gone."""
        with self._lock:
            self._running -= 1
            row.running = False
            if row.gone:
                self._queue.drop(row)
                return
            now = self._clock.now()
            if row.again:
                row.due = min(row.due, now)
            self._enqueue(row, now)
