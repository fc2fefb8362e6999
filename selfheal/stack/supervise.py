"""Starts the programs of the stack, waits until they answer, restarts what dies, and leaves nothing behind.

One thread only, and every wait is the caller's: children get a death signal tied to the thread that started them.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from selfheal.common.clock import Clock
from selfheal.common.memory import without_caches
from selfheal.stack import kernel
from selfheal.stack.events import Event, ProgramDied, ProgramReady, ProgramRestarted, ProgramStarted

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_AFTER = 60.0  # seconds of life after which a death is a new story and the pause starts small again
START_WITHIN = 90.0
STOP_GRACE = 10.0
_LOG_KEPT = 10 * 1024 * 1024
_OURS_TO_SAY = ("SELFHEAL_WEB_", "SELFHEAL_CONFIG_")
"""Variables of flags that every program has its own of: where and how it listens, which files it reads."""


class StartFailed(Exception):
    """A program did not get ready; carries which, its exit code (None: it still ran), its log and that log's end."""

    def __init__(self, program: str, code: int | None, log: Path) -> None:
        what = "was not ready in time" if code is None else f"ended with code {code} before it was ready"
        super().__init__(f"{program} {what}; its log is {log}")
        self.program = program
        self.code = code
        self.log = log

    def tail(self, lines: int = 5) -> tuple[str, ...]:
        """Return the last lines of the log."""
        try:
            text = self.log.read_text("utf-8", "replace")
        except OSError:
            return ()
        return tuple(text.splitlines()[-lines:])


@dataclass(frozen=True, slots=True)
class Program:
    """One program to run: what, where it logs, how to know that it is ready, and whether to restart it."""

    name: str
    argv: tuple[str, ...]
    log: Path
    ready: Callable[[], bool]
    url: str = ""
    folder: Path | None = None
    restart: bool = True


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    ready: bool = False
    deaths: int = 0
    due: float | None = None  # when to start it again


@dataclass(slots=True)
class Supervisor:
    """The programs of one stack, as children of this process."""

    programs: tuple[Program, ...]
    clock: Clock
    _children: list[_Child] = field(default_factory=list)
    _not_ours: frozenset[int] | None = None
    """Children that were there before `start`."""

    def start(self) -> Iterator[Event]:
        """Start every program in order. Whatever is raised half-way, `stop` ends what was started."""
        kernel.adopt_orphans()
        self._not_ours = frozenset(kernel.children(os.getpid()))
        for program in self.programs:
            child = _Child(program)
            self._children.append(child)
            yield ProgramStarted(program.name, self._spawn(child))

    def turn(self) -> list[Event]:
        """Look once at every child: note deaths, start again what is due, ask the others whether they are ready.

        Raise StartFailed if a program ended, or was not ready in time, before it was ever ready.
        """
        events: list[Event] = []
        now = self.clock.monotonic()
        for child in self._children:
            events += self._look(child, now)
        kernel.reap_orphans(self.pids() | (self._not_ours or frozenset()))
        return events

    @property
    def ready(self) -> bool:
        """Say whether every program has answered since its first start."""
        return bool(self._children) and all(child.ready for child in self._children)

    def pids(self) -> frozenset[int]:
        """Return the pids of the programs that run, as far as noticed."""
        return frozenset(child.process.pid for child in self._children if child.process is not None)

    def stop(self, hurry: Callable[[], bool], wait: Callable[[float], None]) -> None:
        """End everything: ask, wait up to the grace, then kill; at once when `hurry()` says so. Nothing stays behind.

        `wait(seconds)` is how the caller lets time pass.
        """
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            kernel.signal_group(process, signal.SIGTERM)
        deadline = self.clock.monotonic() + STOP_GRACE
        while not hurry() and self.clock.monotonic() < deadline:
            if all(kernel.has_ended(process) for process in running):
                break
            wait(0.05)
        for process in running:
            kernel.end_group(process)
        self._children.clear()
        self._end_orphans(wait)

    def _look(self, child: _Child, now: float) -> list[Event]:
        program = child.program
        if child.process is None:
            if child.due is None or now < child.due:
                return []
            child.due = None
            return [ProgramRestarted(program.name, self._spawn(child))]
        if kernel.has_ended(child.process):
            return [self._note_death(child, kernel.end_group(child.process), now)]
        if not child.ready:
            if program.ready():
                child.ready = True
                return [ProgramReady(program.name, program.url)]
            if now - child.started > START_WITHIN:
                raise StartFailed(program.name, None, program.log)
        return []

    def _note_death(self, child: _Child, code: int, now: float) -> Event:
        program = child.program
        child.process = None
        if not child.ready:
            raise StartFailed(program.name, code, program.log)
        if not program.restart:
            return ProgramDied(program.name, code, None, program.log)
        child.deaths = 1 if now - child.started >= STEADY_AFTER else child.deaths + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (child.deaths - 1))
        child.due = now + pause
        return ProgramDied(program.name, code, pause, program.log)

    def _spawn(self, child: _Child) -> int:
        program = child.program
        _rotate(program.log)
        with program.log.open("ab") as log:
            child.process = kernel.start(list(program.argv), log, program.folder, without_caches(passed_on(os.environ)))
        child.started = self.clock.monotonic()
        return child.process.pid

    def _end_orphans(self, wait: Callable[[float], None]) -> None:
        """Kill what our children left to us, until nothing below us is alive; what cannot be killed in time is left."""
        if self._not_ours is None:
            return
        deadline = self.clock.monotonic() + STOP_GRACE
        while self.clock.monotonic() < deadline:
            # only our own children, orphans become that: nobody else can collect them, so no pid here is stale
            left = kernel.children(os.getpid()) - self._not_ours
            if not left:
                return
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            kernel.reap_orphans(self._not_ours)
            wait(0.02)


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Given our environment, return it without what was meant for another daemon and would reach every program here."""
    return {name: value for name, value in environment.items() if not name.startswith(_OURS_TO_SAY)}


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_KEPT:
        log.replace(log.with_name(f"{log.name}.1"))
