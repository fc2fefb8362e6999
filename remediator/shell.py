"""The only starter of processes: commands that the policy names, and our own modules; each with a time limit.

No shell reads anything, nothing of our environment is passed on, and output goes to a file, never to a pipe: a program
that stays behind would keep a pipe open for ever.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from remediator.errors import ActionFailed
from remediator.policy import Door, Policy
from remediator.policy.owned import untrusted
from remediator.policy.parameters import fill, read_values
from remediator.policy.values import NamedCommand, Parameter, ParameterType

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
KEPT_OUTPUT = 4096
"""Bytes of the end of a command's output that are kept."""
CUT = "…"
"""Stands before output whose beginning is not kept."""
MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes after which a command is ended: it would fill the disk."""

_LOOK = 0.5  # seconds between two looks at the output's size


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one command: its exit code, None if it was ended; the end of its output; seconds it took."""

    code: int | None
    output: str
    seconds: float
    why_ended: str | None = None

    @property
    def ok(self) -> bool:
        """Say whether it ended by itself with exit code 0."""
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a command or playbook of the policy: its name, its parameters, and the alert it is about."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    alert: Mapping[str, Any] = field(default_factory=dict)
    """Given to a command whose policy says `stdin: alert`, as one line of JSON."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """With alert and number given to one whose policy says `stdin: plan`; empty while there is none yet."""
    remediation: int = 0
    only_reading: bool = False
    """Refuse whatever the policy does not mark `read_only`."""


def run_command(policy: Policy, service: str, verb: str, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a service and verb that the policy names, run its command and return what became of it.

    It is ended, with its whole process group, after `timeout` seconds or the policy's own limit, whichever is shorter.
    Raise Refused if the policy does not name it or others could have written the program, ActionFailed if it cannot be
    started.
    """
    command = policy.command(service, verb)
    trust(policy, command.argv(verb)[0])
    return run_program(command.argv(verb), f"{service} {verb}", min(timeout, command.timeout), monotonic)


def run_named(policy: Policy, asked: Asked, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a command that the policy names with `run:` and its parameters, run it as `run_command` does.

    Raise Refused also if a parameter is missing, unknown, or not what the policy says, or it may change something and
    must not.
    """
    command = permitted_command(policy, asked)
    if asked.only_reading and not command.read_only:
        raise policy.refused(Door.SHELL, f"command {asked.name!r} is not marked read_only in {policy.source}")
    return _run_filled(policy, asked, command.run, timeout, monotonic)


def check_named(policy: Policy, asked: Asked, timeout: float, monotonic: Callable[[], float]) -> Finished | None:
    """Given a command as for `run_named`, run what the policy declares as its `check`; None where it declares none.

    What is given by stdin is the alert, with no plan: there is none yet. Raise as `run_named` does.
    """
    command = permitted_command(policy, asked)
    return _run_filled(policy, asked, command.check, timeout, monotonic) if command.check else None


def permitted_command(policy: Policy, asked: Asked) -> NamedCommand:
    """Given a command and its parameters, return it if all that is permitted. Raise Refused as `run_named` does."""
    command = policy.named_command(asked.name)
    parameter_values(policy, asked, command.parameters)
    return command


def _run_filled(
    policy: Policy, asked: Asked, template: Sequence[str], timeout: float, monotonic: Callable[[], float]
) -> Finished:
    command = policy.named_command(asked.name)
    argv = fill(template, parameter_values(policy, asked, command.parameters))
    trust(policy, argv[0])
    given = _given(command.stdin, asked)
    return run_program(argv, asked.name, min(timeout, command.timeout), monotonic, stdin=given)


def _given(stdin: str, asked: Asked) -> bytes:
    """Return what a command reads: one line, in plain ASCII, so that no label can end it or be no text at all."""
    told: dict[str, Any] = dict(asked.alert)
    if stdin == "plan":
        told = {"alert": told, "remediation": asked.remediation, "plan": dict(asked.plan)}
    return b"" if stdin == "none" else json.dumps(told).encode("ascii") + b"\n"


def parameter_values(policy: Policy, asked: Asked, parameters: Sequence[Parameter]) -> dict[str, str]:
    """Given what is asked and the parameters that there are, return their values. Raise Refused if one is wrong."""

    def look_up(kind: ParameterType, value: str) -> str | None:
        if kind is ParameterType.GROUP:
            return policy.may_group(value)
        listed = any(root.path == value for root in policy.roots)
        return None if listed else f"root {value!r} is not permitted; list it under roots in {policy.source}"

    try:
        return read_values(parameters, asked.parameters, look_up)
    except ValueError as error:
        raise policy.refused(Door.SHELL, f"{asked.name}: {error}") from error


def trust(policy: Policy, path: str) -> None:
    """Raise Refused if somebody else could have written what is about to be run or read."""
    # what is not there cannot be another's: starting it tells so
    refusal = untrusted(path) if Path(path).exists() else None
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)


def run_program(
    argv: Sequence[str],
    what: str,
    seconds: float,
    monotonic: Callable[[], float],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    kept: int = KEPT_OUTPUT,
) -> Finished:
    """Start a program for a door that has asked the policy already, and return what became of it.

    Raise ActionFailed if it cannot be started.
    """
    begun = monotonic()
    with _file(argv) as output:
        process = _started(argv, f" ({what})", stdin, (output, subprocess.STDOUT), environment or {})
        why_ended = _wait(process, output, begun + seconds, monotonic)
        code = None if why_ended else process.returncode
        return Finished(code, _end_of(output, kept), round(monotonic() - begun, 3), why_ended)


def keep_output(
    argv: Sequence[str],
    environment: Mapping[str, str],
    stdin: bytes,
    end_at: float,
    monotonic: Callable[[], float],
) -> tuple[int, bytes, str]:
    """Start a program for a door that has asked the policy already; return its code, its output, its last error text.

    Nothing of our environment is passed on. Raise ActionFailed if it cannot be started, takes longer than until
    `end_at`, or writes more than 16 MiB.
    """
    with _file(argv) as output, _file(argv) as errors:
        process = _started(argv, "", stdin, (output, errors), environment)
        why_ended = _wait(process, output, end_at, monotonic)
        if why_ended is not None:
            raise ActionFailed(f"{argv[0]} was ended because {why_ended}")
        output.seek(0)
        return process.returncode, output.read(), _end_of(errors)


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


def _file(argv: Sequence[str]) -> IO[bytes]:
    """Return a file without a name for what a program writes. Raise ActionFailed if there is no room: nothing began."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise ActionFailed(f"cannot start {argv[0]}: no file for its output ({error.strerror})") from error


def _started(
    argv: Sequence[str],
    what: str,
    stdin: bytes,
    outputs: tuple[IO[bytes], IO[bytes] | int],
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a program that reads `stdin` from a file and sees nothing of our environment. Raise ActionFailed."""
    try:
        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            return subprocess.Popen(
                list(argv),
                stdin=given,
                stdout=outputs[0],
                stderr=outputs[1],
                env={**ENVIRONMENT, **environment},
                cwd="/",
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        raise ActionFailed(f"cannot start {argv[0]}{what}: {error}") from error


def _wait(
    process: subprocess.Popen[bytes], output: IO[bytes], end_at: float, monotonic: Callable[[], float]
) -> str | None:
    """Wait for a command's end, or end its process group; return why it was ended, or None if it ended by itself."""
    why = "an error here"
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(max(0.0, min(_LOOK, end_at - monotonic())))
                # by the kernel for want of memory, or by a person: its own word on how it went is missing
                return None if code >= 0 else f"it was killed by {_signal_name(-code)}"
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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end_of(output: IO[bytes], kept: int = KEPT_OUTPUT) -> str:
    size = os.fstat(output.fileno()).st_size
    data = os.pread(output.fileno(), kept, max(0, size - kept))
    mark = CUT if size > kept else ""
    return mark + data.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
