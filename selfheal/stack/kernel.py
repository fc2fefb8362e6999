"""What Linux offers to keep a family of processes together: death signals, adoption of orphans, reaping."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# loaded here, not between fork and exec, where nothing may be imported
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when process `parent` dies; end at once if it is already dead.

    The kernel watches the *thread* that forked: start children only from a thread that lives as long as the program.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0 or os.getppid() != parent:
        os._exit(127)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that none is lost. Raise OSError if refused."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot adopt orphans: {os.strerror(code)}")


def start(
    argv: list[str],
    log: IO[bytes] | None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    blocked: Collection[signal.Signals] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in its own session that dies with us; its output goes to `log` (None: nowhere).

    `blocked` signals wait until the child unblocks or takes them: one that comes too early does not kill it.
    """
    output: IO[bytes] | int = subprocess.DEVNULL if log is None else log
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=_prepare(os.getpid(), frozenset(blocked)),
    )


def _prepare(parent: int, blocked: frozenset[signal.Signals]) -> Callable[[], None]:
    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        die_with_parent(parent)

    return prepare


def reap_orphans(known: Collection[int]) -> int:
    """Collect ended children that are nobody's Popen; `known` are the pids that are. Return how many there were."""
    count = 0
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if found is None or found.si_pid in known:
            # an ended child of a Popen stands first in the queue: its owner collects it, the next call gets further
            return count
        os.waitpid(found.si_pid, 0)
        count += 1


def children(parent: int, procfs: Path = Path("/proc")) -> set[int]:
    """Return the pids whose parent is `parent` now, ended but uncollected ones included."""
    found: set[int] = set()
    for entry in procfs.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if len(fields) > 1 and int(fields[1]) == parent:
            found.add(int(entry.name))
    return found


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a child has ended, without collecting it: until then its pid and group stay its own."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_group(process: subprocess.Popen[bytes]) -> int:
    """Kill an uncollected child and all of its group, collect the child and return its exit code."""
    if process.returncode is None:
        signal_group(process, signal.SIGKILL)
    return process.wait()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal an uncollected child and all of its group."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
