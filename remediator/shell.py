"""The only starter of processes: commands that the policy names, and our own modules; each with a time limit.

No shell reads anything, nothing of our environment is passed on, and output goes to a file, never to a pipe: a program
that stays behind would keep a pipe open for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from remediator.errors import ActionFailed
from remediator.policy import Policy

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
KEPT_OUTPUT = 4096
"""Bytes of the end of a command's output that are kept."""
MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes after which a command is ended: it would fill the disk."""

_LOOK = 0.5  # seconds between two looks at the output's size


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one command: its exit code, None if it had to be ended; the end of its output; seconds it took."""

    code: int | None
    output: str
    seconds: float
    why_ended: str | None = None

    @property
    def ok(self) -> bool:
        """Say whether it ended by itself with exit code 0."""
        return self.code == 0


def run_command(policy: Policy, service: str, verb: str, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a service and verb that the policy names, run its command and return what became of it.

    It is ended, with its whole process group, after `timeout` seconds or the policy's own limit, whichever is shorter.
    Raise Refused if the policy does not name it, ActionFailed if it cannot be started.
    """
    command = policy.command(service, verb)
    argv = list(command.argv(verb))
    begun = monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ActionFailed(f"cannot start {argv[0]} ({service} {verb}): {error}") from error
        why_ended = _wait(process, output, begun + min(timeout, command.timeout), monotonic)
        return Finished(
            None if why_ended else process.returncode, _end_of(output), round(monotonic() - begun, 3), why_ended
        )


def run_own(module: str, arguments: Sequence[str], timeout: float) -> tuple[int, bytes]:
    """Run one of our own modules with this interpreter; return its exit code (-9 after `timeout`) and its output.

    What it writes to standard error is ours. It finds modules where we do and nowhere else.
    """
    argv = [sys.executable, "-P", "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL, b""
    return done.returncode, done.stdout


def _wait(
    process: subprocess.Popen[bytes], output: IO[bytes], end_at: float, monotonic: Callable[[], float]
) -> str | None:
    """Wait for a command's end, or end its process group; return why, or None if it ended by itself."""
    why = "an error here"
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, min(_LOOK, end_at - monotonic())))
                return None
            if monotonic() >= end_at:
                why = "it took too long"
                break
            if os.fstat(output.fileno()).st_size > MOST_OUTPUT:
                why = f"it wrote more than {MOST_OUTPUT} bytes"
                break
    finally:
        if process.returncode is None:
            # not reaped yet, so the number of its group cannot be another's
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return why


def _end_of(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    data = os.pread(output.fileno(), KEPT_OUTPUT, max(0, size - KEPT_OUTPUT))
    mark = "…" if size > KEPT_OUTPUT else ""
    return mark + data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
