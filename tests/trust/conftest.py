"""A remediator on a clock that stands still, whose playbook earns what the test lets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.app import App
from remediator.model import Context, Mode, Plan
from selfheal.common.clock import ManualClock
from tests.pipeline.measured import Measured
from tests.pipeline.sources import Act, Bench, alert, playbook

HOURS = 3_600.0
STEP = "{action: test.act}"
PROOF = "verify: {healthy_for: 0s, within: 10s, watch: 40s}\n"


class Steady(Act):
    """An action whose plan is the same each time: a yes to it stays one."""

    def plan(self, _arguments: Any, _context: Context) -> Plan:
        """Plan the same thing."""
        self.while_planning()
        return Plan(({"kind": "command", "service": "test", "verb": "restart"},))


class Trial(Bench):
    """A bench whose playbook runs again and again, each time on an item of its own."""

    def __init__(self, folder: Path, sources: Measured, clock: ManualClock, act: Act) -> None:
        super().__init__(folder, sources, clock, act)
        # lifted for everybody else
        self.careful = self.careful.replace("trust: {not_fixed: 6}\n", "")
        self.act = act
        self.items = 0

    @property
    def running(self) -> App:
        """The program."""
        assert self.app is not None
        return self.app

    def begin(self, mode: str, proof: str = PROOF, **more: Any) -> None:
        """Start with the one playbook, as its file says."""
        self.start(written(mode, proof), **more)

    def falls_ill(self) -> Any:
        """One more item is ill; return its alert."""
        # what was asked at this very moment was asked before
        self.clock.advance(1.0)
        self.items += 1
        found = alert(f"item{self.items}", starts_at=self.clock.now())
        self.sources.firing = self.sources.listed = [found]
        self.deliver(found)
        return found

    def is_well(self) -> None:
        """Nothing is ill any more, and Alertmanager says so."""
        ended = self.sources.firing
        self.sources.firing = self.sources.listed = []
        self.deliver(*(replace(each, status="resolved") for each in ended))

    def fixes(self, seconds: float = 8 * HOURS) -> None:
        """A run that is proven to have fixed it, then so much time; a request is answered with yes."""
        self._runs(heals=True)
        self.is_well()
        self.advance(seconds)

    def does_not_fix(self, seconds: float = 8 * HOURS) -> None:
        """A run after which it is as ill as before until the time for proof is over."""
        self._runs(heals=False)
        self.is_well()
        self.advance(seconds)

    def _runs(self, heals: bool) -> None:
        def act() -> None:
            self.sources.firing = [] if heals else self.sources.firing

        self.act.while_running = act
        self.falls_ill()
        self.say_yes()
        for _ in range(20):
            if self.remediations()[0]["ended_at"] is not None:
                return
            self.advance(20.0)
        raise AssertionError(self.detail())

    def say_yes(self) -> None:
        """Answer every request with yes."""
        for request in self.running.approvals(50, None, "open")["items"]:
            self.running.approve(int(request["id"]), request["plan_hash"], "kim")
        self.rest()

    def would_be_needed(self, seconds: float = 8 * HOURS) -> None:
        """A shadow decision whose alert is still on when its time is over, then so much time."""
        self.falls_ill()
        self.advance(11.0)
        self.advance(15.0)
        self.is_well()
        self.advance(seconds)

    def trust(self) -> dict[str, Any]:
        """What the playbook has earned, as the API tells it."""
        (found,) = self.running.trust()
        return dict(found)

    def mode(self) -> str:
        """The mode in force, the same wherever it is told."""
        mode = str(self.trust()["mode"])
        told = {each.value for each in Mode if self.value("selfheal_playbook_mode", playbook="heal", mode=each.value)}
        assert self.running.status()["playbooks"]["heal"] == mode
        assert [each["mode"] for each in self.running.playbooks()] == [mode]
        assert told == {mode}
        return mode

    def has(self, rung: Mode, judged: int, succeeded: int, days: float = 8.0, recent: str = "11111") -> None:
        """Give the playbook evidence as if it had run so often, up to now."""
        now = self.clock.now()
        (found,) = self.running.parts.playbooks()

        def store(tx: Any) -> None:
            tx._run(
                "set_trust_evidence", playbook="heal", digest=found.digest, rung=rung, judged=judged,
                succeeded=succeeded, first_at=now - days * 86_400.0, last_at=now, recent=recent,
            )  # fmt: skip
            tx.schedule("trust", 0, now)

        self.running.store.write(store)
        self.rest()

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of these kinds, the oldest first."""
        with self.running.store.read() as reader:
            entries = reader.audit_entries(0, 5_000)["items"]
        return [entry for entry in entries if entry["kind"] in kinds]

    def unknown(self) -> int:
        """A run whose outcome is not known; return its number."""

        def dies() -> None:
            raise RuntimeError

        self.act.while_running = dies
        self.falls_ill()
        self.say_yes()
        self.act.while_running = lambda: None
        # verifying looks at it by itself, once
        self.advance(1.0)
        self.advance(20.0)
        return int(self.remediations()[0]["id"])


def written(mode: str, proof: str = PROOF) -> str:
    """Return the playbook as its file says; without a mode it says none."""
    said = f"mode: {mode}\n" if mode else ""
    return playbook(STEP, said + proof, "cooldown: 0s, rate: [1000/1h], lock: target")


@pytest.fixture
def sources(clock: ManualClock) -> Iterator[Measured]:
    made = Measured(clock)
    yield made
    made.close()


@pytest.fixture
def trial(tmp_path: Path, sources: Measured, clock: ManualClock) -> Iterator[Trial]:
    made = Trial(tmp_path, sources, clock, Steady())
    yield made
    made.stop()
