"""The whole loop on one machine: prepares the state, starts everything, turns until told to stop, ends everything.

Yields events without words. One thread: the death signal of every child is tied to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from selfheal.common.clock import Clock
from selfheal.stack import config, kernel, ports
from selfheal.stack.demo import Director, Report
from selfheal.stack.events import Event, PortMoved, Stopped, Stopping
from selfheal.stack.follow import Follower
from selfheal.stack.layout import Layout, fresh_demo, only_one
from selfheal.stack.patient.decoys import Decoys
from selfheal.stack.programs import programs
from selfheal.stack.signals import Signals
from selfheal.stack.supervise import Supervisor
from selfheal.stack.tools import Tool

_TURN = 0.2
_FOLLOW_DEMO = 0.3
_FOLLOW_HOST = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the stack is asked to be."""

    state: Path
    demo: bool = False
    scrape: float | None = None
    """Seconds; None: 1 in the demo, 15 otherwise."""
    rounds: int = 1
    until_healed: int | None = None
    """End by itself when so many faults were healed and verified, or cannot be."""


class Stack:
    """One running loop. Make it with `opened`, then iterate `run`; afterwards `report` says what the demo showed."""

    def __init__(self, wish: Wish, tools: Mapping[str, Tool], clock: Clock, signals: Signals) -> None:
        layout = fresh_demo(wish.state) if wish.demo else Layout(wish.state)
        layout.make()
        wanted = config.wanted_ports(wish.demo)
        chosen = ports.choose(wanted)
        scrape = wish.scrape or (config.DEMO_SCRAPE_INTERVAL if wish.demo else config.SCRAPE_INTERVAL)
        self.settings = config.Settings(layout, chosen, scrape, wish.demo, secrets.token_hex(4) if wish.demo else "")
        self.report: Report | None = None
        self._moved = [PortMoved(name, wanted[name], port) for name, port in chosen.items() if port != wanted[name]]
        self._wish = wish
        self._clock = clock
        self._signals = signals
        self._supervisor = Supervisor(programs(self.settings, tools), clock)
        every = _FOLLOW_DEMO if wish.demo else _FOLLOW_HOST
        self._follower = Follower(self.settings.url("remediator"), layout.api_token, every)
        self._decoys: Decoys | None = None
        self._director: Director | None = None
        if wish.demo:
            self._decoys = Decoys(layout.patient, layout.decoys, self.settings.name, chosen["patient"])
            self._director = Director(
                self.settings, self._follower, self._decoys, rounds=wish.rounds, until_healed=wish.until_healed
            )

    def run(self) -> Generator[Event, None, None]:
        """Start, turn, and at the end or on any error stop everything. Raise StartFailed if a program does not start.

        Close the iterator if you leave it early.
        """
        try:
            yield from self._moved
            yield from config.render(self.settings)
            kernel.adopt_orphans()
            if self._decoys is not None:
                self._decoys.start()
            yield from self._supervisor.start()
            while not self._signals.stops and not self._is_over():
                yield from self._turn()
                self._signals.wait(_TURN)
            if self._director is not None:
                self.report = self._director.report()
            yield Stopping()
        finally:
            self._supervisor.stop(lambda: self._signals.stops > 1, self._signals.wait)
            if self._decoys is not None:
                self._decoys.stop()
        yield Stopped(self.settings.layout.state)

    def _turn(self) -> list[Event]:
        events = self._supervisor.turn()
        if self._supervisor.ready:
            events += self._follower.turn(self._clock.monotonic(), self._clock.now())
            if self._director is not None:
                events += self._director.turn(self._clock.monotonic(), self._clock.now())
        return events

    def _is_over(self) -> bool:
        unattended = self._wish.until_healed is not None
        return unattended and self._director is not None and self._director.finished


@contextmanager
def opened(wish: Wish, tools: Mapping[str, Tool], clock: Clock) -> Iterator[Stack]:
    """Hold the state folder and the signals, and give the stack. Raise AlreadyRunning if somebody else holds it."""
    # without links: whoever cleans the patient's folder follows none on the way there
    state = wish.state.resolve()
    with only_one(state), Signals() as signals:
        yield Stack(replace(wish, state=state), tools, clock, signals)
