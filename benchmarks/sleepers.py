"""A crowd of processes that sleep, and run for a moment when they are woken: a program of its own, run by `Crowd`.

It imports almost nothing and forks: each process is small, and is one of 25 names. Lines on its input tell it what to
do: `grow N` until there are N of them, `wake` to let each run once; it answers when all of them sleep again.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time

NAMES = 25


def main() -> None:
    """Do what the input says until it ends; then everybody ends."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
    crowd = _Crowd()
    # shared pages stay shared: nothing of the parent is moved or counted again in its children
    gc.disable()
    gc.freeze()
    try:
        for line in iter(sys.stdin.readline, ""):
            word, *rest = line.split()
            if word == "grow":
                crowd.grow(int(rest[0]))
            else:
                crowd.wake()
            crowd.wait_until_asleep()
            os.write(1, b"done\n")
    finally:
        crowd.end()


class _Crowd:
    """The processes. All of them wait at one of two pipes, in turn, so that nobody takes two bytes of one waking."""

    def __init__(self) -> None:
        self._gates = (os.pipe(), os.pipe())
        self._passed = os.pipe()
        self._turn = 0
        self._pids: list[int] = []

    def grow(self, count: int) -> None:
        """Fork until there are `count`."""
        while len(self._pids) < count:
            pid = os.fork()
            if not pid:
                try:
                    self._sleep(len(self._pids))
                finally:
                    os._exit(0)
            self._pids.append(pid)

    def _sleep(self, number: int) -> None:
        for _, end in self._gates:
            os.close(end)
        os.close(0)
        comm = os.open("/proc/self/comm", os.O_WRONLY)
        os.write(comm, b"sleeper-%d" % (number % NAMES))
        os.close(comm)
        turn = self._turn
        while os.read(self._gates[turn][0], 1):
            os.write(self._passed[1], b".")
            turn ^= 1

    def wake(self) -> None:
        """Let everybody run once."""
        waiting = len(self._pids)
        os.write(self._gates[self._turn][1], b"." * waiting)
        self._turn ^= 1
        while waiting:
            waiting -= len(os.read(self._passed[0], 65536))

    def wait_until_asleep(self) -> None:
        """Wait until nobody uses CPU any more."""
        clocks = [(~pid << 3) | 2 for pid in self._pids]
        before: list[int] = []
        while (now := list(map(time.clock_gettime_ns, clocks))) != before:
            before = now
            time.sleep(0.005)

    def end(self) -> None:
        """Close the gates, at which everybody ends, and wait for them."""
        for _, end in self._gates:
            os.close(end)
        for pid in self._pids:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
