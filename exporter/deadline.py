"""A call that may hang on the kernel, asked on a thread of its own so that its caller never does."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class LateError(Exception):
    """The call did not answer in time; it goes on by itself until it does."""


class _Job(Generic[T]):
    """One call and, once it has ended, its answer."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        # held while the call goes on; waiting for it costs half of what it does with an Event
        self._going_on = threading.Lock()
        self._going_on.acquire()
        self.answer: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call and keep its answer or its error."""
        try:
            self.answer = self._call()
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits on another thread
            self.error = error
        self._going_on.release()

    def has_ended(self, seconds: float = 0) -> bool:
        """Say whether the call has ended, as soon as it has or so many seconds are over."""
        if not self._going_on.acquire(timeout=max(0.0, seconds)):
            return False
        self._going_on.release()
        return True


class BoundedCaller(Generic[T]):
    """Makes calls one after the other on a kept thread; while one is late no other is begun, so none pile up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[T] | None] | None = None
        self._late: _Job[T] | None = None

    def call(self, call: Callable[[], T], seconds: float) -> T:
        """Return what `call` returns, or raise what it raises. Raise LateError if that takes longer than `seconds`."""
        if self.is_stuck():
            raise LateError("the last call has not answered yet")
        job = _Job(call)
        self._queue().put(job)
        if not job.has_ended(seconds):
            self._late = job
            raise LateError(f"no answer in {seconds:g} s")
        if job.error is not None:
            raise job.error
        # set, for there was no error; None is an answer like any other
        return cast(T, job.answer)

    def is_stuck(self, seconds: float = 0) -> bool:
        """Say whether a late call is still without answer, also after waiting for it so many seconds more."""
        if self._late is not None and self._late.has_ended(seconds):
            self._late = None
        return self._late is not None

    def _queue(self) -> queue.SimpleQueue[_Job[T] | None]:
        if self._jobs is None:
            jobs: queue.SimpleQueue[_Job[T] | None] = queue.SimpleQueue()
            # if the system gives no more threads, the next call tries again
            threading.Thread(target=_work, args=(jobs,), name=self._name, daemon=True).start()
            # the thread knows the queue but not us, so that it ends when nobody can call any more
            weakref.finalize(self, jobs.put, None)
            self._jobs = jobs
        return self._jobs


def _work(jobs: queue.SimpleQueue[_Job[T] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        # not kept while waiting for the next: its answer may be large, and may lead back to our owner
        del job
