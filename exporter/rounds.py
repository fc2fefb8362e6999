"""Work that many may ask for at once and that one at a time may do: all who wait share what is done next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")


class _Round(Generic[V]):
    """One piece of work that has not begun, or is being done; `done` is set once it has its answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: V | None = None
        self.error: BaseException | None = None

    def run(self, work: Callable[[], V]) -> None:
        """Do the work and keep its answer or its error."""
        try:
            self.value = work()
        except BaseException as error:  # noqa: BLE001 - handed to all who wait, each of whom raises it
            self.error = error
        self.done.set()

    def answer(self) -> V:
        """Wait for the answer and return it, or raise the error."""
        self.done.wait()
        if self.error is not None:
            raise self.error
        # set, for there was no error; None is an answer like any other
        return cast(V, self.value)


class Rounds(Generic[K, V]):
    """Rounds of work under one lock: whoever asks joins the round that has not begun yet, never one that has.

    So an answer is never older than the question, and any number of askers cost at most two rounds at a time.
    """

    def __init__(self, turn: threading.Lock) -> None:
        self._turn = turn
        self._lock = threading.Lock()
        self._next: dict[K, _Round[V]] = {}

    def join(self, key: K, work: Callable[[], V]) -> V:
        """Given what is asked for and how to do it, return the answer, done by us or by another who asked the same."""
        with self._lock:
            joined = self._next.get(key)
            if joined is None:
                own = self._next[key] = _Round()
        if joined is not None:
            return joined.answer()
        with self._turn:
            with self._lock:
                # it begins: whoever comes from here on gets the next one
                del self._next[key]
            own.run(work)
        return own.answer()
