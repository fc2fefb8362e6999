"""How a container is, asked of its engine's socket; Docker's API, which Podman speaks too.

https://docs.docker.com/reference/api/engine/: `GET /containers/{name}/json`, whose path needs no version.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from exporter.deployment.model import Container, Finding, State
from exporter.deployment.web import get_unix
from exporter.paths import Paths
from exporter.probe.model import ProbeError
from selfheal.common.clock import Clock

ENGINES = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")


def find_container(paths: Paths, wanted: Container, seconds: float, clock: Clock) -> Finding:
    """Given a wanted container, say how it is; not known if its engine cannot be asked."""
    socket = _engine(paths, wanted)
    if socket is None:
        return Finding(None, f"no engine at {' or '.join((wanted.engine,) if wanted.engine else ENGINES)}")
    try:
        answer = get_unix(str(socket), f"/containers/{quote(wanted.name)}/json", seconds, clock)
    except OSError as error:
        return Finding(None, f"the engine at {socket} cannot be asked ({error.strerror or error})")
    except ProbeError as error:
        return Finding(None, f"the engine at {socket} cannot be asked ({error})")
    if answer.status == 404:
        return Finding(State.UNAVAILABLE, "there is no such container")
    if answer.status != 200:
        return Finding(None, f"the engine at {socket} answered {answer.status}")
    try:
        return judge_container(answer.body)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Finding(None, f"the engine at {socket} answered what is no description of a container")


def _engine(paths: Paths, wanted: Container) -> Path | None:
    for engine in (wanted.engine,) if wanted.engine else ENGINES:
        path = paths.below_root(engine)
        if path.exists():
            return path
    return None


def judge_container(body: bytes) -> Finding:
    """Given the engine's description, say how the container is.

    Raise ValueError, KeyError or TypeError if it is no description.
    """
    state = json.loads(body)["State"]
    status = state["Status"]
    if not isinstance(status, str):
        raise TypeError
    if status != "running":
        return Finding(State.UNAVAILABLE, f"is {status}")
    # absent if the image has no check of its own; "none" if it was switched off
    health = (state.get("Health") or {"Status": "none"})["Status"]
    if health in ("none", "", "healthy"):
        return Finding(State.HEALTHY, "is running")
    return Finding(State.DEGRADED, f"is running, its own check says {health}")
