"""The door to the container engine of this host: the part of Docker's API that Podman speaks too, on its Unix socket.

It asks the policy at each call, knows containers by their full id, and never touches the one that we run in.
(Docker Engine API, "Inspect", "Start", "Stop" and "Restart a container"; the same paths without a version.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remediator.errors import ActionFailed
from remediator.local_http import Answer, Call, Place, exchange
from remediator.model import Context
from remediator.policy import Door
from remediator.policy.managed import ourselves_and_above, permitted_container
from remediator.policy.protected import read_standing, refusal_by_kind
from selfheal.common.processes import read_process

LOOK_SECONDS = 10.0
"""What one look at a container may take."""
GRACE_SECONDS = 10
"""What a container is given to end before it is killed."""
_ID = re.compile(r"[0-9a-f]{64}")
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the engine tells it."""

    name: str
    id: str
    state: str
    """created, running, paused, restarting, removing, exited, dead; Podman also: configured, stopped, initialized …"""
    started_at: str
    pid: int
    health: str
    """Empty or none where no check is declared; starting, healthy, unhealthy."""
    removed_at_end: bool

    @property
    def runs(self) -> bool:
        """Say whether it runs."""
        return self.state == "running"


def look(name: str, verb: str, context: Context, *, least: float = 0.0) -> Container:
    """Given a permitted container and verb, return how it stands. `least` seconds are given even when time is over.

    Raise Refused if the policy does not permit it or it is ours or the monitoring's, ActionFailed if there is none of
    exactly that name or the engine cannot be asked.
    """
    engine = permitted_container(context.policy, name, verb)
    now = context.monotonic()
    end_at = max(now + least, min(context.deadline, now + LOOK_SECONDS))
    answer = exchange(Place(engine.socket), Call("GET", f"/containers/{name}/json"), end_at, context.monotonic)
    if answer.status == 404:
        raise ActionFailed(f"there is no container {name!r}")
    if answer.status != 200:
        raise ActionFailed(f"container {name!r} cannot be looked at: {told(answer)}")
    found = _read(name, answer)
    refusal = _refusal(found, context)
    if refusal is not None and verb != "status":
        raise context.policy.refused(Door.HTTP, refusal)
    return found


def tell(container: Container, verb: str, context: Context) -> Answer:
    """Given a container that was looked at and `start`, `stop` or `restart`, tell the engine once; return its answer.

    Raise Refused if the policy does not permit it, ActionFailed if the engine was not reached, OutcomeUnknown if it
    was and gave no answer in time.
    """
    engine = permitted_container(context.policy, container.name, verb)
    grace = "" if verb == "start" else f"?t={GRACE_SECONDS}"
    call = Call("POST", f"/containers/{container.id}/{verb}{grace}", changes=True)
    return exchange(Place(engine.socket), call, context.deadline, context.monotonic)


def told(answer: Answer) -> str:
    """Return what an engine says of a failure, in a few words."""
    try:
        message = json.loads(answer.body)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = ""
    text = "".join(sign if sign.isprintable() else " " for sign in str(message))
    return f"HTTP {answer.status}{': ' if text else ''}{text[:_SHOWN]}"


def _read(name: str, answer: Answer) -> Container:
    """Given the engine's answer, return the container. Raise ActionFailed if it is another one or not understood."""
    try:
        body: Any = json.loads(answer.body)
        state = body["State"]
        health = (state.get("Health") or {}).get("Status") or ""
        removed = bool((body.get("HostConfig") or {}).get("AutoRemove"))
        found = Container(
            str(body["Name"]).removeprefix("/"),
            str(body["Id"]),
            str(state["Status"]),
            str(state["StartedAt"]),
            int(state["Pid"]),
            str(health),
            removed,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ActionFailed(f"what the engine says of container {name!r} is not understood") from error
    if not _ID.fullmatch(found.id):
        raise ActionFailed(f"what the engine says of container {name!r} holds no id")
    if found.name != name:
        # an engine also takes the beginning of an id for a name
        raise ActionFailed(f"there is no container {name!r}; the engine took it for an id")
    return found


def _refusal(container: Container, context: Context) -> str | None:
    """Return why a container is never touched although its name is permitted, or None."""
    procfs = context.procfs
    what = f"container {container.name!r}"
    if any(container.id in text for text in _own_traces(procfs)):
        return f"the remediator itself runs in {what}"
    pid = container.pid
    if pid <= 0:
        return None
    if pid in ourselves_and_above(procfs):
        return f"the remediator itself runs in {what}"
    process = read_process(procfs, pid)
    # a number of another pid namespace would be somebody else's here
    if process is None or not any(container.id in path for path in process.cgroups):
        return None
    standing = read_standing(procfs, pid)
    if standing is None:
        return None
    # that it lives in a pid namespace of its own is what makes it a container
    refusal = refusal_by_kind(process, replace(standing, is_elsewhere=False), procfs)
    return refusal and f"{what} is not touched: {refusal}"


def _own_traces(procfs: Path) -> Iterator[str]:
    """Yield what tells of the container that we run in: its id stands in its control group, or in what is mounted.

    Of a mount only the folder that it shows counts (proc(5), mountinfo, the fourth field), as of a container's
    /etc/hostname: where an engine mounts things for others is seen by every program of the host.
    """
    yield _read_own(procfs, "cgroup")
    for line in _read_own(procfs, "mountinfo").splitlines():
        fields = line.split(" ")
        if len(fields) > 3:
            yield fields[3]


def _read_own(procfs: Path, name: str) -> str:
    try:
        return (procfs / "self" / name).read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
