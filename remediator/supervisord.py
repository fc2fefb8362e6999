"""The door to supervisord: XML-RPC on its Unix socket or on loopback; it asks the policy at each call.

(Supervisor, "XML-RPC API Documentation": getProcessInfo, startProcess, stopProcess; its codes stand in
`supervisor/xmlrpc.py` and `supervisor/states.py`.)
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from threading import Event
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown
from remediator.local_http import Call, Place, exchange
from remediator.model import Context
from remediator.policy import Door
from remediator.policy.managed import (
    Supervisor,
    ourselves_and_above,
    permitted_program,
    pids_below,
    refusal_within,
)
from remediator.xml_rpc import Fault, read_answer, write_call
from selfheal.common.files import privacy_problem
from selfheal.common.processes import read_process

LOOK_SECONDS = 10.0
"""What one look at a program may take."""
LARGEST_CREDENTIALS = 1024
_PAUSE_SECONDS, _MOST_LOOKS = 0.1, 10
"""How often, and how many times at most, a program is looked at until its process has begun."""


class Code(IntEnum):
    """Faults that supervisord answers with, as far as we tell them apart."""

    BAD_NAME = 10  # there is no such program or group
    NO_FILE = 20  # its program is not there
    NOT_EXECUTABLE = 21  # its program may not be run
    ABNORMAL_TERMINATION = 40  # it ended before it counted as started
    SPAWN_ERROR = 50  # it could not be started at all
    ALREADY_STARTED = 60
    NOT_RUNNING = 70


@dataclass(frozen=True, slots=True)
class Program:
    """One program as supervisord tells it."""

    name: str
    """As the policy and the playbook name it."""
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int
    """0 while it does not run."""
    start: int
    """When it was last started, in seconds since the epoch."""
    trouble: str
    """Why it could not be started, as supervisord says it; empty if it could."""


def look(name: str, verb: str, context: Context, *, least: float = 0.0) -> Program:
    """Given a permitted program and verb, return how it stands.

    With `least`, only what came of an effect is looked at: it is given so many seconds even when time is over, and what
    runs there is not judged again.
    Raise Refused if the policy does not permit it or it is ours or the monitoring's, ActionFailed if there is none or
    supervisord cannot be asked.
    """
    now = context.monotonic()
    end_at = max(now + least, min(context.deadline, now + LOOK_SECONDS))
    found = _look(name, verb, context, end_at)
    if least or verb == "status":
        return found
    pause = Event()
    for _ in range(_MOST_LOOKS):
        if found.pid <= 0 or _has_begun(found.pid, context.procfs):
            break
        # it ends or begins just now; what stays so is judged as it is
        pause.wait(_PAUSE_SECONDS)
        found = _look(name, verb, context, end_at)
    refusal = _refusal(found, context)
    if refusal is not None:
        raise context.policy.refused(Door.HTTP, refusal)
    return found


def _look(name: str, verb: str, context: Context, end_at: float) -> Program:
    try:
        info = _ask(name, verb, context, ("supervisor.getProcessInfo", name), end_at)
    except Fault as fault:
        what = f"there is no program {name!r}" if fault.code == Code.BAD_NAME else f"program {name!r}: {fault}"
        raise ActionFailed(what) from fault
    return _read(name, info)


def _has_begun(pid: int, procfs: Path) -> bool:
    """Say whether a process is there and runs its own program: at first it is a copy of supervisord."""
    process = read_process(procfs, pid)
    parent = None if process is None else read_process(procfs, process.ppid)
    return process is not None and (parent is None or parent.argv != process.argv)


def tell(name: str, verb: str, context: Context, end_at: float, *, method: str = "stop") -> None:
    """Given a program that was looked at, `start` or `stop` it as a part of `verb`, and wait until that is done.

    Raise Refused if the policy does not permit the verb, Fault as supervisord answers, ActionFailed if it was not
    reached, OutcomeUnknown if it was and gave no answer in time.
    """
    called = {"start": "supervisor.startProcess", "stop": "supervisor.stopProcess"}[method]
    if _ask(name, verb, context, (called, name, True), end_at, changes=True) is not True:
        raise OutcomeUnknown(f"supervisord did not say that it did {method} {name!r}")


def _ask(
    name: str,
    verb: str,
    context: Context,
    asked: tuple[str, str] | tuple[str, str, bool],
    end_at: float,
    *,
    changes: bool = False,
) -> Any:
    supervisor = permitted_program(context.policy, name, verb)
    method, *parameters = asked
    headers = {"Content-Type": "text/xml", **_credentials(supervisor)}
    call = Call("POST", "/RPC2", write_call(str(method), *parameters), headers, changes)
    answer = exchange(_place(supervisor), call, end_at, context.monotonic)
    if answer.status == 401:
        raise ActionFailed("supervisord wants other credentials than those of credentials_file")
    kind = OutcomeUnknown if changes else ActionFailed
    if answer.status != 200:
        raise kind(f"supervisord answered {method} with HTTP {answer.status}")
    try:
        return read_answer(answer.body)
    except ValueError as error:
        raise kind(f"what supervisord answered to {method} {error}") from error


def _place(supervisor: Supervisor) -> Place:
    if supervisor.url is None:
        return Place(supervisor.socket)
    # the policy lets only loopback through; a name would have to be looked up
    host = "127.0.0.1" if supervisor.url.host.endswith("localhost") else supervisor.url.host
    return Place("", host, supervisor.url.port)


def _credentials(supervisor: Supervisor) -> dict[str, str]:
    """Return the header with the credentials. Raise ActionFailed, without their text, if they cannot be read."""
    if not supervisor.credentials:
        return {}
    path = Path(supervisor.credentials)
    try:
        problem = privacy_problem(path)
        with path.open("rb") as file:
            text = file.read(LARGEST_CREDENTIALS).strip()
    except OSError as error:
        raise ActionFailed(f"cannot read {path} ({error.strerror})") from error
    if problem or b":" not in text or b"\n" in text:
        raise ActionFailed(problem or f"{path} does not hold one line user:password")
    return {"Authorization": f"Basic {base64.b64encode(text).decode('ascii')}"}


def _read(name: str, info: Any) -> Program:
    """Given what supervisord tells of a program, return it. Raise ActionFailed if it is another or not understood."""
    fields = {"name": str, "group": str, "statename": str, "pid": int, "start": int}
    if not isinstance(info, dict) or any(type(info.get(key)) is not kind for key, kind in fields.items()):
        raise ActionFailed(f"what supervisord says of {name!r} is not understood")
    # alone it stands for the program of a group of the same name
    group, _, program = name.partition(":") if ":" in name else (name, "", name)
    if (info["group"], info["name"]) != (group, program):
        raise ActionFailed(f"supervisord took {name!r} for another program")
    trouble = "".join(sign if sign.isprintable() else " " for sign in str(info.get("spawnerr", "")))
    return Program(name, info["statename"], info["pid"], info["start"], trouble[:200])


def _refusal(program: Program, context: Context) -> str | None:
    """Return why a program is never touched although its name is permitted, or None."""
    if program.pid <= 0:
        return None
    if read_process(context.procfs, program.pid) is None:
        return f"program {program.name!r} is not touched: its process cannot be seen from here"
    below = pids_below(program.pid, context.procfs)
    if not ourselves_and_above(context.procfs).isdisjoint(below):
        return f"the remediator itself runs as program {program.name!r}"
    refusal = refusal_within(below, context.procfs, program.pid)
    return refusal and f"program {program.name!r} is not touched: {refusal}"
