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
    """One call and, once `done` is set, its answer."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.done = threading.Event()
        self.answer: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call and keep its answer or its error."""
        try:
            self.answer = self.call()
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits on another thread
            self.error = error
        self.done.set()


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
        if not job.done.wait(seconds):
            self._late = job
            raise LateError(f"no answer in {seconds:g} s")
        if job.error is not None:
            raise job.error
        # set, for there was no error; None is an answer like any other
        return cast(T, job.answer)

    def is_stuck(self) -> bool:
        """Say whether a late call is still without answer."""
        if self._late is not None and self._late.done.is_set():
            self._late = None
        return self._late is not None

    def _queue(self) -> queue.SimpleQueue[_Job[T] | None]:
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            # the thread knows the queue but not us, so that it ends when nobody can call any more
            weakref.finalize(self, self._jobs.put, None)
            threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True).start()
        return self._jobs


def _work(jobs: queue.SimpleQueue[_Job[T] | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        # not kept while waiting for the next: its answer may be large, and may lead back to our owner
        del job
