"""Signals of a supervising program, turned into things to ask for: how often to stop, and when to look again."""

from __future__ import annotations

import select
import signal
import socket
from types import FrameType, TracebackType

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered (main thread only): counts requests to stop and wakes `wait` when a child ended."""

    def __init__(self) -> None:
        self.stops = 0
        self._before: dict[int, object] = {}
        self._wakeup_before = -1
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Signals:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for number in _STOP:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: whoever started us wants that
            self._before[number] = signal.signal(number, self._stop)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _nothing)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Return what becomes readable when a signal came, for a select of one's own."""
        return self._reader.fileno()

    def drain(self) -> None:
        """Forget what woke us."""
        try:
            while self._reader.recv(512):
                pass
        except BlockingIOError:
            return

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as a signal comes."""
        select.select([self._reader], [], [], max(0.0, seconds))
        self.drain()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler must exist, or SIGCHLD would not interrupt the wait."""
