"""Workers that really run, and a dispatch whose policy permits only them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.model import Outcome, Plan
from remediator.policy import Command, Policy, Root
from selfheal.common.clock import SystemClock
from tests.actions.git_trees import Repository, make_repository

OBEDIENT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True)\n"
OBEDIENT += "while True: signal.pause()"


@dataclass
class Host:
    """One host: its policy, its workers and what was announced on the way."""

    folder: Path
    marker: str
    policy: Policy
    points: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def dispatch(self) -> LocalDispatch:
        """Return the dispatch over the present policy."""
        return LocalDispatch(
            lambda: self.policy,
            ACTIONS,
            SystemClock(),
            self.folder / "processes.yml",
            self.points.append,
            announce=self.said.append,
        )

    def plan(self, action: str, timeout: float = 20.0, **arguments: object) -> Plan:
        """Plan an action; the plan went through the store."""
        plan = self.dispatch().plan("web-1", action, arguments, timeout)
        stored = json.loads(json.dumps({"items": plan.items, "detail": plan.detail}))
        assert stored == json.loads(json.dumps({"items": list(plan.items), "detail": plan.detail}))
        return Plan(tuple(stored["items"]), stored["detail"])

    def run(self, action: str, plan: Plan, timeout: float = 20.0) -> Outcome:
        """Run a stored plan; the outcome can be stored."""
        outcome = self.dispatch().run("web-1", action, plan, timeout)
        json.dumps({"effects": outcome.effects, "detail": outcome.detail})
        return outcome

    def permit(self, **changes: object) -> None:
        """Change the policy."""
        self.policy = replace(self.policy, **changes)

    def permit_root(self, path: Path, older_than: float = 0.0, keep: int = 0) -> None:
        """Let a root be cleaned."""
        self.permit(roots=(*self.policy.roots, Root(str(path), older_than, keep)))

    def permit_commands(self, start: str, stop: str, status: str, timeout: float = 20.0) -> None:
        """Name the service `web`, whose commands are Python programs given this host's folder."""
        argvs = [(sys.executable, "-c", code, str(self.folder)) for code in (start, stop, status)]
        self.permit(commands=(Command("web", *argvs, timeout),))

    def start(
        self, code: str = OBEDIENT, *, group: str = "a", lines: int = 0
    ) -> tuple[subprocess.Popen[str], list[str]]:
        """Start a worker that says `up`, and return it with the lines that it says after that."""
        child = subprocess.Popen(
            [sys.executable, "-c", code, f"{self.marker}-{group}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "up"
        return child, [child.stdout.readline().strip() for _ in range(lines)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a host with the groups worker-a and worker-b, of which the policy permits both."""
    marker = f"worker{uuid.uuid4().hex}"
    names = [{"name": f"worker-{group}", "cmdline": [f"{marker}-{group}"]} for group in "ab"]
    (tmp_path / "processes.yml").write_text(json.dumps({"process_names": names}))
    host = Host(tmp_path.resolve(), marker, Policy(process_groups=("worker-*",), source="policy.yml"))
    yield host
    for child in host.children:
        child.kill()
        child.communicate()


@pytest.fixture
def repository(host: Host) -> Repository:
    """Return a repository whose work tree the policy permits; three of its checkpoints are kept."""
    found = make_repository(host.folder / "shop")
    host.permit(work_trees=(found.rule(name="shop"),))
    return found


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Return what waits for a condition to hold, at most ten seconds."""
    clock = SystemClock()

    def wait(condition: Callable[[], bool]) -> None:
        deadline = clock.monotonic() + 10
        while not condition():
            assert clock.monotonic() < deadline, "the condition never held"
            os.sched_yield()

    return wait
