"""The door to the container engine of this host: the part of Docker's API that Podman speaks too, on its Unix socket.

It asks the policy at each call, knows containers by their full id, and never touches the one that we run in.
(Docker Engine API, "Inspect", "Start", "Stop" and "Restart a container"; the same paths without a version.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from remediator.errors import ActionFailed
from remediator.local_http import Answer, Call, Place, exchange
from remediator.model import Context
from remediator.policy import Door
from remediator.policy.managed import (
    image_name,
    is_never,
    ourselves_and_above,
    permitted_container,
    pids_within,
    refusal_within,
)

LOOK_SECONDS = 10.0
"""What one look at a container may take."""
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
    image: str
    """What it was made from, as somebody wrote it; empty where the engine does not tell."""
    program: str
    """What is started in it, as `/bin/sh`."""

    @property
    def runs(self) -> bool:
        """Say whether it runs."""
        return self.state == "running"


def look(name: str, verb: str, context: Context, *, least: float = 0.0) -> Container:
    """Given a permitted container and verb, return how it stands.

    With `least`, only what came of an effect is looked at: it is given so many seconds even when time is over, and what
    runs there is not judged again.
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
    refusal = None if least or verb == "status" else _refusal(found, context)
    if refusal is not None:
        raise context.policy.refused(Door.HTTP, refusal)
    return found


def tell(container: Container, verb: str, context: Context) -> Answer:
    """Given a container that was looked at and `start`, `stop` or `restart`, tell the engine once; return its answer.

    How long it may take to end before it is killed is its own time, as it was made with (Compose: stop_grace_period).
    Raise Refused if the policy does not permit it, ActionFailed if the engine was not reached, OutcomeUnknown if it
    was and gave no answer in time.
    """
    engine = permitted_container(context.policy, container.name, verb)
    call = Call("POST", f"/containers/{container.id}/{verb}", changes=True)
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
            str((body.get("Config") or {}).get("Image") or ""),
            str(body.get("Path") or ""),
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
    image = image_name(container.image)
    kept = next((name for name in (image, PurePosixPath(container.program).name) if is_never(name)), None)
    if kept is not None:
        return f"{what} runs {kept!r}, which belongs to the monitoring itself, or is the way in; it is never touched"
    if container.pid <= 0 and not container.runs:
        return None
    # the number that the engine tells may be one of another pid namespace, and somebody else's here
    pids = pids_within(container.id, procfs)
    if not ourselves_and_above(procfs).isdisjoint({container.pid, *pids}):
        return f"the remediator itself runs in {what}"
    if not pids and not image:
        return f"{what} is not touched: neither its processes can be seen from here nor the name of its image"
    # that it lives in a pid namespace of its own is what makes it a container
    refusal = refusal_within(pids, procfs)
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
