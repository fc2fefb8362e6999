"""`python -m benchmarks.healing.init NAME`: the first process of a namespaced host.

It gives the host its own file system below /srv and its name, starts what it is asked to start, starts again what is to
be kept, collects what ended, and remembers who ever lived here. When it ends, the kernel ends everybody else.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.healing.layout import FOLDERS, INIT_SOCKET, LEDGER, PROGRAMS
from selfheal.common.procfs import read_process

LOOK = 0.05
"""Seconds between two looks at who ended."""
PAUSE = 0.3
"""Seconds before what ended is started again."""
GRACE = 1.0
"""Seconds between the request to end and the kill."""


@dataclass(slots=True)
class Child:
    """One program that was asked for."""

    spec: Mapping[str, Any]
    process: subprocess.Popen[bytes] | None = None
    due: float | None = None
    """When it is started again."""


class Init:
    """Everything that runs on this host, as children of this process."""

    def __init__(self) -> None:
        self._children: dict[str, Child] = {}
        self._ever: list[tuple[str, int, int]] = []

    def serve(self) -> None:
        """Answer questions until the end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(INIT_SOCKET)
            door.listen(16)
            while True:
                self._look(time.monotonic())
                if select.select([door], [], [], LOOK)[0]:
                    connection, _ = door.accept()
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5.0)
            try:
                request = json.loads(connection.makefile("r", encoding="utf-8").readline())
                connection.sendall(json.dumps(self._do(request)).encode() + b"\n")
            except (OSError, ValueError, KeyError) as error:
                print(f"init: {error!r}", file=sys.stderr, flush=True)

    def _do(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request.get("name", "")
        match request["do"]:
            case "address":
                return _network(request["address"], request["router"])
            case "spawn":
                self._children[name] = Child(request)
                return self._start(name)
            case "start":
                return self._start(name)
            case "stop":
                return self._stop(name)
            case "status":
                return {"ok": self._alive(name) is not None}
            case "signal":
                process = self._alive(name)
                if process is not None:
                    os.kill(process.pid, int(request["number"]))
                return {"ok": process is not None, "pid": process.pid if process else 0}
            case "ever":
                return {"ok": True, "ever": self._ever}
        return {"ok": False, "why": "unknown question"}

    def _start(self, name: str) -> dict[str, Any]:
        child = self._children.get(name)
        if child is None:
            return {"ok": False, "why": "no such program"}
        process = self._alive(name)
        if process is None:
            spec = child.spec
            with open(spec.get("log") or os.devnull, "ab") as log:
                process = subprocess.Popen(
                    spec["argv"],
                    cwd=spec.get("folder") or "/",
                    env={**os.environ, **spec.get("environment", {})},
                    user=spec.get("uid", 0),
                    group=spec.get("uid", 0),
                    extra_groups=[],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            child.process, child.due = process, None
            found = read_process(Path("/proc"), process.pid)
            # for whoever watches by pid files
            Path("/srv/run", f"{name}.pid").write_text(f"{process.pid}\n", "utf-8")
            self._ever.append((name, process.pid, found.start_ticks if found else 0))
        return {"ok": True, "pid": process.pid, "start_ticks": self._ever_ticks(process.pid)}

    def _ever_ticks(self, pid: int) -> int:
        return next((ticks for _, known, ticks in reversed(self._ever) if known == pid), 0)

    def _stop(self, name: str) -> dict[str, Any]:
        """End a program and its group for good: ask, then kill."""
        child = self._children.get(name)
        process = self._alive(name)
        if child is not None:
            child.due = None
        if child is None or process is None:
            return {"ok": child is not None}
        child.process = None
        end = time.monotonic() + GRACE
        os.killpg(process.pid, signal.SIGTERM)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return {"ok": True}

    def _alive(self, name: str) -> subprocess.Popen[bytes] | None:
        child = self._children.get(name)
        if child is None or child.process is None or child.process.poll() is not None:
            return None
        return child.process

    def _look(self, now: float) -> None:
        ours = set()
        for name, child in self._children.items():
            if child.process is not None and child.process.poll() is not None:
                child.process = None
                child.due = now + PAUSE if child.spec.get("keep") else None
            if child.due is not None and now >= child.due:
                self._start(name)
            if child.process is not None:
                ours.add(child.process.pid)
        _collect(ours)


def _collect(ours: set[int]) -> None:
    """Collect whatever ended and was left to us."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return
        os.waitpid(found.si_pid, 0)


def _network(address: str, router: str) -> dict[str, Any]:
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "addr", "add", f"{address}/24", "dev", "eth0"],
        ["ip", "link", "set", "eth0", "up"],
        ["ip", "route", "add", "default", "via", router],
    ):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    return {"ok": True}


def _furnish(name: str) -> None:
    """Give this host its name and a file system of its own, with the programs that may fall ill."""
    socket.sethostname(name)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "healing", "/srv"], check=True, timeout=30)
    for folder, owner in FOLDERS.items():
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.chown(folder, owner, owner)
    Path(LEDGER).touch()
    Path(LEDGER).chmod(0o666)
    # decoys of several users write down here what they get
    Path("/srv/witness").chmod(0o1777)
    for program in PROGRAMS:
        shutil.copyfile(Path(__file__).parent / "patients" / f"{program}.py", f"/srv/programs/{program}.py")
    ctl = Path("/srv/tools/ctl")
    ctl.write_text(f"#!{sys.executable} -IS\n" + Path("/srv/programs/ctl.py").read_text("utf-8"), "utf-8")
    ctl.chmod(0o755)


def main() -> None:
    """Be the host's first process."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o022)
    _furnish(sys.argv[1])
    Init().serve()


if __name__ == "__main__":
    main()
