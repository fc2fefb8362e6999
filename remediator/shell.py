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
from remediator.policy.protected import read_standing, refusal_by_kind
from remediator.policy.units import is_never, own_units
from remediator.policy.values import Parameter, ParameterType
from selfheal.common.processes import read_process

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


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a command or playbook of the policy: its name, its parameters, and the alert it is about."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    alert: Mapping[str, Any] = field(default_factory=dict)
    """Given to a command whose policy says `stdin: alert`, as one line of JSON."""
    only_reading: bool = False
    """Refuse whatever the policy does not mark `read_only`."""


def run_command(policy: Policy, service: str, verb: str, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a service and verb that the policy names, run its command and return what became of it.

    It is ended, with its whole process group, after `timeout` seconds or the policy's own limit, whichever is shorter.
    Raise Refused if the policy does not name it or others could have written the program, ActionFailed if it cannot be
    started.
    """
    command = policy.command(service, verb)
    _trust(policy, command.argv(verb)[0])
    return _run(command.argv(verb), f"{service} {verb}", min(timeout, command.timeout), monotonic)


def run_named(policy: Policy, asked: Asked, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a command that the policy names with `run:` and its parameters, run it as `run_command` does.

    Raise Refused also if a parameter is missing, unknown, or not what the policy says, or it may change something and
    must not.
    """
    command = policy.named_command(asked.name)
    if asked.only_reading and not command.read_only:
        raise policy.refused(Door.SHELL, f"command {asked.name!r} is not marked read_only in {policy.source}")
    argv = fill(command.run, _values(policy, asked, command.parameters))
    _trust(policy, argv[0])
    stdin = json.dumps(dict(asked.alert), ensure_ascii=False).encode() if command.stdin == "alert" else b""
    return _run(argv, asked.name, min(timeout, command.timeout), monotonic, stdin=stdin)


def run_unit(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given a unit of systemd and a verb that the policy permits, run `systemctl` and return what became of it.

    `status` gives `KEY=VALUE` lines. Raise Refused if the policy does not permit it, the unit has another name that is
    never touched, we run in it ourselves, or its process is one that is never signalled; ActionFailed as `run_command`.
    """
    policy.unit(unit, verb)
    systemctl = policy.programs.systemctl
    _trust(policy, systemctl)
    end_at = monotonic() + timeout
    show = (systemctl, "--no-ask-password", "show", f"--property={','.join(_SHOWN)}", "--", unit)
    shown = _run(show, f"{unit} status", timeout, monotonic)
    if verb == "status":
        return shown
    if not shown.ok:
        raise ActionFailed(f"unit {unit!r} cannot be looked at before it is touched: {shown.output[-200:]}")
    refusal = _unit_refusal(unit, shown.output, policy)
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)
    argv = (systemctl, "--no-ask-password", "--no-pager", verb, "--", unit)
    return _run(argv, f"{unit} {verb}", max(0.0, end_at - monotonic()), monotonic)


def run_ansible(policy: Policy, asked: Asked, timeout: float, monotonic: Callable[[], float]) -> Finished:
    """Given an Ansible playbook that the policy names and its parameters, run it as `run_command` does.

    Parameters become extra variables, and none may hold what Ansible would read as a template.
    Raise Refused also if others could have written the playbook or its inventory.
    """
    entry = policy.ansible_playbook(asked.name)
    values = _values(policy, asked, entry.parameters)
    for name, value in values.items():
        if any(mark in value for mark in ("{{", "{%", "{#")):
            raise policy.refused(Door.SHELL, f"parameter {name!r} holds a template, which Ansible would fill in")
    program = policy.programs.ansible_playbook
    for path in (program, entry.playbook, *([entry.inventory] if entry.inventory.startswith("/") else [])):
        _trust(policy, path)
    limit = [] if entry.limit is None else ["--limit", entry.limit]
    variables = ["--extra-vars", json.dumps(values, ensure_ascii=False)] if values else []
    argv = (program, "--inventory", entry.inventory, *limit, *variables, "--", entry.playbook)
    with tempfile.TemporaryDirectory() as home:
        # it writes below its home, and reads settings there that nobody should have left
        environment = {"HOME": home, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "0"}
        return _run(argv, asked.name, min(timeout, entry.timeout), monotonic, environment=environment)


_SHOWN = ("Id", "Names", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "ExecMainStatus")


def _unit_refusal(unit: str, shown: str, policy: Policy) -> str | None:
    """Given what systemd says of a unit, return why it is not touched although its name is permitted, or None."""
    facts = dict(line.partition("=")[::2] for line in shown.splitlines())
    names = {unit, facts.get("Id", ""), *facts.get("Names", "").split()} - {""}
    hidden = sorted(name for name in names if is_never(name))
    if hidden:
        return f"unit {unit!r} is also {hidden[0]!r}, which is never touched"
    if names & own_units(policy.procfs):
        return f"the remediator itself runs in unit {unit!r}"
    pid = facts.get("MainPID", "0")
    process = read_process(policy.procfs, int(pid)) if pid.isdecimal() and pid != "0" else None
    if process is None:
        return None
    if process.pid == os.getpid():
        return f"the remediator itself is the process of unit {unit!r}"
    standing = read_standing(policy.procfs, process.pid)
    refusal = None if standing is None else refusal_by_kind(process, standing, policy.procfs)
    return refusal and f"unit {unit!r} is not touched: {refusal}"


def _values(policy: Policy, asked: Asked, parameters: Sequence[Parameter]) -> dict[str, str]:
    def look_up(kind: ParameterType, value: str) -> str | None:
        if kind is ParameterType.GROUP:
            return policy.may_group(value)
        listed = any(root.path == value for root in policy.roots)
        return None if listed else f"root {value!r} is not permitted; list it under roots in {policy.source}"

    try:
        return read_values(parameters, asked.parameters, look_up)
    except ValueError as error:
        raise policy.refused(Door.SHELL, f"{asked.name}: {error}") from error


def _trust(policy: Policy, path: str) -> None:
    """Raise Refused if somebody else could have written what is about to be run or read."""
    # what is not there cannot be another's: starting it tells so
    refusal = untrusted(path) if Path(path).exists() else None
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)


def _run(
    argv: Sequence[str],
    what: str,
    seconds: float,
    monotonic: Callable[[], float],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Finished:
    begun = monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=given if stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ENVIRONMENT, **(environment or {})},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ActionFailed(f"cannot start {argv[0]} ({what}): {error}") from error
        why_ended = _wait(process, output, begun + seconds, monotonic)
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
