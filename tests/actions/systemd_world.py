"""A really booted systemd with units that are well, ill and odd, and a dispatch whose policy permits some of it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from remediator.actions import ACTIONS, scale_set
from remediator.actions.local import LocalDispatch
from remediator.model import Outcome, Plan
from remediator.policy import Policy
from remediator.policy.scale import Scale
from remediator.policy.values import Programs, Unit
from selfheal.common.clock import SystemClock
from tests.booted import Booted, booted
from tests.stack.support import wait_until

_SOON = "[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\n{service}\n"


def service(*lines: str, unit: str = "") -> str:
    """Return a unit file of a service."""
    return _SOON.format(unit=unit, service="\n".join(lines))


SLEEP = "ExecStart=/bin/sleep 1000"
UNITS = {
    "web.service": service(SLEEP, "ExecReload=/bin/touch /run/reloaded"),
    "plain.service": service(SLEEP),
    "failing.service": service("ExecStart=/bin/false"),
    "broken-reload.service": service(SLEEP, "ExecReload=/bin/false"),
    "tired.service": service(
        "ExecStart=/bin/sh -c 'test -e /run/mended && exec sleep 1000'",
        unit="StartLimitIntervalSec=1h\nStartLimitBurst=1",
    ),
    "hanging.service": service("Type=notify", SLEEP, "TimeoutStartSec=infinity"),
    "looping.service": service("ExecStart=/bin/false", "Restart=always", "RestartSec=1h"),
    "passed-over.service": service("Type=oneshot", "ExecStart=/bin/true", unit="ConditionPathExists=/nowhere"),
    "queued.service": service(SLEEP, unit="After=hanging.service passed-over.service"),
    "needy.service": service(SLEEP, unit="Wants=needed.service not-there.service"),
    "needed.service": service(SLEEP),
    "job.service": service("Type=oneshot", "ExecStart=/bin/true"),
    "base.service": service(SLEEP),
    "beside.service": service(SLEEP, unit="PartOf=base.service"),
    "enemy.service": service(SLEEP, unit="Conflicts=plain.service"),
    "stubborn.service": service(SLEEP, unit="RefuseManualStart=yes"),
    "hog.service": service(SLEEP),
    "tick.timer": "[Unit]\nDefaultDependencies=no\n[Timer]\nOnActiveSec=1h\nUnit=job.service\n",
    # it keeps 16 MiB of its own, which no page cache could give back
    "large.service": service(
        r"""ExecStart=/bin/sh -c 'v=$$(head -c 16M /dev/zero | tr "\\0" x); touch /run/large; sleep 999; echo $$v'"""
    ),
    "worker@.service": service(SLEEP),
    "flaky@.service": service("ExecStartPre=/bin/false", SLEEP, "Restart=always", "RestartSec=1h"),
    "fragile@.service": service("ExecStart=/bin/sh -c 'test %i -lt 3 && exec sleep 1000'", "Type=exec"),
}
ALL = ("status", "start", "stop", "restart", "reload", "reset-failed", "limit")


class HurriedClock(SystemClock):
    """The system's clock, until a test lets the rest of a deadline pass at once."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class UnitHost:
    """One host with its own systemd: its policy, and what was reached on the way."""

    world: Booted
    folder: Path
    policy: Policy
    points: list[str] = field(default_factory=list)
    clock: HurriedClock = field(default_factory=HurriedClock)

    def dispatch(self) -> LocalDispatch:
        """Return the dispatch over the present policy."""
        procfs = Path(f"/proc/{self.world.pid}/root/proc")
        return LocalDispatch(lambda: self.policy, ACTIONS, self.clock, None, self.points.append, procfs=procfs)

    def plan(self, action: str, timeout: float = 60.0, **arguments: object) -> Plan:
        """Plan an action; the plan went through the store."""
        plan = self.dispatch().plan("web-1", action, arguments, timeout)
        return stored(plan)

    def run(self, action: str, plan: Plan, timeout: float = 60.0) -> Outcome:
        """Run a stored plan; the outcome went through the store."""
        self.points.clear()
        return through_store(self.dispatch().run("web-1", action, plan, timeout))

    def undo(self, action: str, plan: Plan, outcome: Outcome, timeout: float = 60.0) -> Outcome:
        """Take a stored plan back."""
        return through_store(self.dispatch().undo("web-1", action, plan, outcome, timeout))

    def do(self, action: str, **arguments: object) -> Outcome:
        """Plan and run at once."""
        return self.run(action, self.plan(action, **arguments))

    @contextmanager
    def out_of_time_once(self, condition: Callable[[], bool]) -> Iterator[None]:
        """Let every deadline be over as soon as a condition holds."""

        def hurry() -> None:
            wait_until(condition)
            self.clock.ahead += 1_000.0

        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(hurry)
            yield
            watching.result()

    def permit(self, **changes: object) -> None:
        """Change the policy."""
        self.policy = replace(self.policy, **changes)

    def permit_units(self, **verbs: tuple[str, ...]) -> None:
        """Permit just these units, each by the name before its suffix."""
        self.permit(units=tuple(Unit(f"{name.replace('_', '-')}.service", each) for name, each in verbs.items()))

    def wrapper(self, name: str, first: str) -> Path:
        """Return a systemctl that does something first."""
        path = self.folder / name
        path.write_text(f'#!/bin/sh\n{first}\nexec {self.folder / "systemctl"} "$@"\n')
        path.chmod(0o755)
        return path

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.world.systemctl("show", "--property", name, "--value", unit)

    def state(self, unit: str) -> str:
        """Return whether a unit is active, failed and so on."""
        return self.show(unit, "ActiveState")

    def sh(self, script: str) -> str:
        """Run a shell script among the mounts of that host."""
        done = subprocess.run(self.world.inside("sh", "-c", script), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *units: str) -> None:
        """Have units run, each in a run of its own."""
        # tests start units more often than systemd would let them
        self.world.systemctl("reset-failed", *units, check=False)
        self.world.systemctl("restart", *units)
        for unit in units:
            wait_until(lambda unit=unit: self.state(unit) == "active")

    def fail(self, unit: str) -> None:
        """Have a unit failed."""
        self.world.systemctl("restart", unit, check=False)
        wait_until(lambda: self.state(unit) == "failed")

    def rest(self, *units: str) -> None:
        """Have units neither run nor failed."""
        self.world.systemctl("stop", *units)
        self.world.systemctl("reset-failed", *units, check=False)


def stored(plan: Plan) -> Plan:
    """Return a plan as it comes back from the store."""
    written = json.loads(json.dumps({"items": plan.items, "detail": plan.detail}))
    return Plan(tuple(written["items"]), written["detail"])


def through_store(outcome: Outcome) -> Outcome:
    """Return an outcome as it comes back from the store."""
    written = json.loads(json.dumps({"effects": outcome.effects, "detail": outcome.detail}))
    return Outcome(outcome.ok, tuple(written["effects"]), written["detail"])


@contextmanager
def unit_host() -> Iterator[UnitHost]:
    """Boot a host with the units above, each of which may be treated in every way."""
    # below a folder that everybody may write in and that is sticky, a program of ours is ours
    with booted(UNITS, ["cpu"]) as world, TemporaryDirectory(prefix="selfheal-systemctl-") as folder:
        wrapper = Path(folder) / "systemctl"
        enter = shlex.join(["nsenter", "--mount", "--pid", f"--target={world.pid}", "--", "systemctl"])
        wrapper.write_text(f'#!/bin/sh\nexec {enter} "$@"\n')
        wrapper.chmod(0o755)
        # this host has never been scaled, whatever an earlier one's hurried clock said
        scale_set._CHANGES = scale_set._Changes()
        units = tuple(Unit(name, ALL) for name in UNITS if "@" not in name)
        policy = Policy(
            units=units,
            scale=(
                Scale("worker@.service", 1, 4, step=2),
                Scale("fragile@.service", 0, 4, step=4),
                Scale("flaky@.service", 0, 4),
            ),
            programs=Programs(systemctl=str(wrapper)),
            source="policy.yml",
        )
        yield UnitHost(world, Path(folder), policy)
