"""A parent that does not wait for its ended children when told so, until somebody sends it SIGCHLD."""

from __future__ import annotations

import os
import signal
import time

from selfheal.stack.patient import CEILING_SECONDS, CEILING_ZOMBIES
from selfheal.stack.patient.identities import note_from_worker

name = "sick-parent"

# siginfo's si_code of a signal that a process sent; the kernel's own SIGCHLD has a positive one (CLD_EXITED …)
_SENT_BY_A_PROCESS = 0


def live(port: int) -> None:  # noqa: ARG001  (every worker gets the port; one uses it)
    """On SIGUSR1 leave `CEILING_ZOMBIES` zombies; reap them on a SIGCHLD that somebody sent. Never returns."""
    until: float | None = None
    while True:
        left = CEILING_SECONDS if until is None else max(0.0, until - time.monotonic())
        found = signal.sigtimedwait({signal.SIGUSR1, signal.SIGCHLD}, left)
        if found is None:
            _reap()
            until = None
        elif found.si_signo == signal.SIGUSR1 and until is None:
            # all at once: later, the kernel's SIGCHLD for a new one could swallow the one that is sent to heal
            _leave_zombies(CEILING_ZOMBIES)
            until = time.monotonic() + CEILING_SECONDS
        elif found.si_signo == signal.SIGCHLD and found.si_code <= _SENT_BY_A_PROCESS:
            _reap()
            until = None


def _leave_zombies(count: int) -> None:
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended; it stays a zombie
        note_from_worker(pid, name)


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
