"""Namespaced hosts: network, pids, mounts, host name and IPC of their own, joined by veth to a bridge of ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.healing.decoys import Decoys
from benchmarks.healing.layout import APP, INIT_SOCKET, LEDGER, ROUTER, address_of
from benchmarks.healing.outer import UNSHARE
from benchmarks.rig import until
from selfheal.stack import kernel

BRIDGE = "healing0"
CHECKOUT = Path(__file__).resolve().parents[2]
INTERPRETER_FLAGS = "-IS"
OLD_SECONDS = 3 * 3600.0
"""Age of files that may be removed."""


def make_bridge() -> None:
    """Make the bridge that joins all hosts, with our own address on it. Raise CalledProcessError if it cannot be."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "name", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{ROUTER}/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)


@dataclass(slots=True)
class Host:
    """One namespaced host; `folder` holds its configuration, state and logs, outside of what its faults can reach."""

    number: int
    folder: Path
    decoys: Decoys = field(init=False)
    directories: list[str] = field(default_factory=list)
    """What its exporter counts."""
    heartbeats: set[str] = field(default_factory=set)
    probes: set[str] = field(default_factory=set)
    services: dict[str, int] = field(default_factory=dict)
    """Watched services with their ports."""
    _process: subprocess.Popen[bytes] | None = None
    _pid: int = 0

    def __post_init__(self) -> None:
        self.decoys = Decoys(self)

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"host-{self.number}"

    @property
    def address(self) -> str:
        """Return where it is on the bridge."""
        return address_of(self.number)

    @property
    def root(self) -> Path:
        """Return its file system as seen from here."""
        return Path("/proc") / str(self._pid) / "root"

    def start(self) -> None:
        """Make its namespaces and join it to the bridge. Raise TimeoutError or OSError if it does not come up."""
        self.folder.mkdir(mode=0o700)
        with (self.folder / "init.log").open("ab") as log:
            self._process = kernel.start(
                [*UNSHARE, sys.executable, "-m", "benchmarks.healing.init", self.name], log, CHECKOUT
            )
        until(lambda: kernel.children(self._process.pid) if self._process else None)
        (self._pid,) = kernel.children(self._process.pid)
        until(lambda: (self.root / INIT_SOCKET[1:]).exists())
        end = f"veth-{self.number}"
        _ip("link", "add", "name", end, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid))
        _ip("link", "set", end, "master", BRIDGE, "up")
        self.ask("address", address=self.address, router=ROUTER)

    def stop(self) -> None:
        """End it: with its first process all others go, and so do its namespaces, veth and mounts."""
        if self._process is not None:
            kernel.end_group(self._process)
            self._process = None
            # its first process has lost its parent and may be ours to collect: then it and all of its own have ended
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            # the kernel takes its time with namespaces, and the next host may have this number
            subprocess.run(
                ["ip", "link", "delete", f"veth-{self.number}"], capture_output=True, timeout=30, check=False
            )

    def ask(self, question: str, **more: Any) -> dict[str, Any]:
        """Ask its first process. Raise OSError if it does not answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(15)
            door.connect(str(self.root / INIT_SOCKET[1:]))
            door.sendall(json.dumps({"do": question, **more}).encode() + b"\n")
            line = door.makefile("r", encoding="utf-8").readline()
        if not line:
            raise OSError(f"{self.name} did not answer {question}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        uid: int = 0,
        keep: bool = False,
        environment: Mapping[str, str] | None = None,
        log: bool = False,
    ) -> tuple[int, int]:
        """Start a program; with `keep` it is started again whenever it ends. Return pid and start in its own terms."""
        file = str(self.folder / f"{name}.log") if log else ""
        folder = str(CHECKOUT) if log else "/"
        answer = self.ask(
            "spawn", name=name, argv=list(argv), uid=uid, keep=keep, environment=dict(environment or {}),
            log=file, folder=folder,
        )  # fmt: skip
        return int(answer["pid"]), int(answer["start_ticks"])

    def install(self, program: str, path: str) -> str:
        """Put a program of `patients` at `path`, to be called by the name that it has there; return the path."""
        text = (self.root / "srv/programs" / f"{program}.py").read_text("utf-8")
        self.write(path, f"#!{sys.executable} {INTERPRETER_FLAGS}\n{text}".encode(), mode=0o755, uid=0)
        return path

    def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = APP, age: float = 0.0) -> None:
        """Write a file on the host, `age` seconds old."""
        file = self.root / path[1:]
        file.write_bytes(content)
        finish(file, mode, uid, age)

    def plant(self, folder: str, prefix: str, count: int, size: int, age: float) -> None:
        """Fill a folder with files of `size` bytes that take no space."""
        for number in range(count):
            file = self.root / folder[1:] / f"{prefix}{number:04}"
            with file.open("wb") as opened:
                opened.truncate(size)
            finish(file, 0o644, APP, age)

    def names(self, folder: str) -> set[str]:
        """Return what lies in a folder now."""
        with suppress(FileNotFoundError):
            return {entry.name for entry in (self.root / folder[1:]).iterdir()}
        return set()

    def lives(self, name: str) -> set[tuple[int, int]]:
        """Return pid and start of everybody who was ever started under this name, or forked by such a one."""
        ever = {(int(pid), int(ticks)) for known, pid, ticks in self.ask("ever")["ever"] if known == name}
        ledger = (self.root / LEDGER[1:]).read_text("utf-8").splitlines()
        return ever | {(int(pid), int(ticks)) for known, pid, ticks in map(str.split, ledger) if known == name}

    def process(self, name: str) -> Path | None:
        """Return the folder in the host's /proc of a program that runs, or None."""
        answer = self.ask("signal", name=name, number=0)
        return self.root / "proc" / str(answer["pid"]) if answer["ok"] else None

    def runs(self, name: str) -> bool:
        """Say whether a program runs."""
        return bool(self.ask("status", name=name)["ok"])

    def falls_ill(self, name: str, number: int) -> None:
        """Signal a program. Raise RuntimeError if it does not run."""
        if not self.ask("signal", name=name, number=number)["ok"]:
            raise RuntimeError(f"{name} does not run on {self.name}")

    def ends(self, name: str) -> None:
        """End a program for good."""
        self.ask("stop", name=name)


def finish(file: Path, mode: int, uid: int, age: float) -> None:
    """Give a file its mode, owner and age."""
    file.chmod(mode)
    os.chown(file, uid, uid)
    if age:
        old = time.time() - age
        os.utime(file, (old, old))
