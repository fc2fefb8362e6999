"""The patient's parent: starts its workers, restarts the ones that are ended, and does what the socket asks.

It adopts and reaps what its workers leave. One thread: its children get a death signal tied to it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from selfheal.common.clock import Clock
from selfheal.stack import kernel
from selfheal.stack.patient import FAULTS, SERVICE
from selfheal.stack.patient.control import SOCKET, short_path
from selfheal.stack.patient.folder import Folder
from selfheal.stack.patient.identities import (
    HISTORY_VARIABLE,
    Identity,
    history_path,
    identify,
    note,
    write_identities,
)
from selfheal.stack.patient.worker import BLOCKED, KINDS, arguments
from selfheal.stack.signals import Signals

# fault → the worker that falls ill; the folder is the parent's own
ILL_WORKER = {"memory_leak": "leaker", "zombies": "sick-parent", "cpu_spin": "spinner", "service_down": "web"}

_STILLBORN = 1.0  # a worker that lived shorter than this is restarted after this long, not in a hot loop
_STOP_WITHIN = 3.0
_START_WITHIN = 8.0


@dataclass(slots=True)
class Patient:
    """The workers of one patient, in `folder`, under one `name` that all their command lines carry."""

    folder: Path
    name: str
    port: int
    clock: Clock
    signals: Signals
    _workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)
    _filling: Folder | None = None

    def run(self) -> None:
        """Live until asked to stop."""
        kernel.adopt_orphans()
        self._filling = Folder(self.folder / "folder")
        self._filling.path.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            (self.folder / SOCKET).unlink(missing_ok=True)
            with short_path(self.folder) as path:
                door.bind(path)
            for kind in KINDS:
                self._start(kind)
            # answered only from here on: who can ask knows that all are there
            door.listen(16)
            door.setblocking(False)
            while not self.signals.stops:
                self._turn(door)
        for kind in list(self._workers):
            self._end(kind)

    def _turn(self, door: socket.socket) -> None:
        now = self.clock.monotonic()
        waits = [5.0]
        due = self._filling.turn(now) if self._filling is not None else None
        if due is not None:
            waits.append(due - now)
        waits += [left for kind in KINDS if kind != SERVICE and (left := self._restart_if_ended(kind, now)) is not None]
        kernel.reap_orphans({process.pid for process in self._workers.values()})
        ready, _, _ = select.select([door.fileno(), self.signals.fileno()], [], [], max(0.0, min(waits)))
        self.signals.drain()
        if door.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._answer(door.accept()[0])

    def _restart_if_ended(self, kind: str, now: float) -> float | None:
        """Start an ended worker again; return the seconds to wait first if it never really lived."""
        process = self._workers.get(kind)
        if process is not None:
            if not kernel.has_ended(process):
                return None
            self._end(kind)
        left = self._started[kind] + _STILLBORN - now
        if left > 0:
            return left
        self._start(kind)
        return None

    def _start(self, kind: str) -> None:
        environment = os.environ | {HISTORY_VARIABLE: str(history_path(self.folder))}
        argv = arguments(kind, self.name, self.port)
        # our own stderr: what a worker says when it fails belongs into the patient's log
        process = kernel.start(argv, sys.stderr.buffer, None, environment, BLOCKED)
        self._started[kind] = self.clock.monotonic()
        self._workers[kind] = process
        identity = identify(process.pid, kind)
        if identity is not None:
            note(history_path(self.folder), identity)
            self._identities[kind] = identity
        write_identities(self.folder, self._identities.values())

    def _end(self, kind: str) -> None:
        process = self._workers.pop(kind)
        kernel.signal_group(process, signal.SIGTERM)
        deadline = self.clock.monotonic() + _STOP_WITHIN
        while not kernel.has_ended(process) and self.clock.monotonic() < deadline:
            self.signals.wait(0.02)
        # no longer ours to point at before its pid can belong to somebody else
        self._identities.pop(kind, None)
        write_identities(self.folder, self._identities.values())
        kernel.end_group(process)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(2.0)
            try:
                request = connection.makefile("r", encoding="utf-8").readline(200).split()
                connection.sendall(f"{self._do(request)}\n".encode())
            except (OSError, UnicodeDecodeError):
                return  # it hung up or spoke nonsense: its loss

    def _do(self, request: list[str]) -> str:
        match request:
            case ["start"]:
                return self._start_service()
            case ["stop"]:
                if SERVICE in self._workers:
                    self._end(SERVICE)
                return "ok not running"
            case ["status"]:
                return "ok running" if self._service_answers() else "ok not running"
            case ["ill", fault]:
                return self._fall_ill(fault)
            case _:
                return "error asked for something else than start, stop, status or ill FAULT"

    def _start_service(self) -> str:
        process = self._workers.get(SERVICE)
        if process is not None and kernel.has_ended(process):
            self._end(SERVICE)
            process = None
        if process is None:
            self._start(SERVICE)
        deadline = self.clock.monotonic() + _START_WITHIN
        while not self._service_answers():
            if self.clock.monotonic() > deadline:
                return "error the service does not answer"
            self.signals.wait(0.05)
        return "ok running"

    def _service_answers(self) -> bool:
        process = self._workers.get(SERVICE)
        if process is None or kernel.has_ended(process):
            return False
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}/", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _fall_ill(self, fault: str) -> str:
        if fault not in {known.name for known in FAULTS}:
            return "error no such fault"
        kind = ILL_WORKER.get(fault)
        if kind is None:
            if self._filling is not None:
                self._filling.fall_ill(self.clock.monotonic())
            return "ok ill"
        process = self._workers.get(kind)
        if process is None or kernel.has_ended(process):
            return "error that worker does not run now"
        process.send_signal(signal.SIGUSR1)
        return "ok ill"


def serve(folder: Path, name: str, port: int, clock: Clock) -> int:
    """Run the patient until a signal asks it to stop."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Signals() as signals:
        Patient(folder, name, port, clock, signals).run()
    return 0
