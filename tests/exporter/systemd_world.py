"""A real D-Bus daemon with a stand-in for systemd on it, and what that knows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.exporter import systemd_fake
from tests.tools import do_without

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_type="signal"/><allow send_type="method_return"/><allow send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/></policy></busconfig>
"""

# name, description, load state, active state, sub state
UNITS = [
    ["cron.service", "Cron", "loaded", "active", "running"],
    ["web@1-a.service", "Web", "loaded", "failed", "failed"],
    ["slow.service", "Slow", "loaded", "activating", "start"],
    ["gone.service", "gone", "not-found", "inactive", "dead"],
    ["backup.timer", "Backup", "loaded", "active", "waiting"],
    ["never.timer", "Never", "loaded", "inactive", "dead"],
    ["ssh.socket", "SSH", "loaded", "active", "listening"],
    ["srv.mount", "Data", "loaded", "active", "mounted"],
    ["multi-user.target", "Multi-User", "loaded", "active", "active"],
    ["dev-sda.device", "Disk", "loaded", "active", "plugged"],
    ["odd.path", "Odd", "loaded", "maintenance", "odd"],
]
_NO_NUMBER = 2**64 - 1
PROPERTIES: dict[str, list[Any]] = {
    "Manager Version": ["s", "252.39-1~deb12u2"],
    "Manager SystemState": ["s", "degraded"],
    "Manager Virtualization": ["s", "kvm"],
    "Manager UnitsLoadTimestampMonotonic": ["t", 5],
    "cron.service Service Type": ["s", "simple"],
    "cron.service Service NRestarts": ["u", 3],
    "cron.service Service TasksCurrent": ["t", 2],
    "cron.service Service TasksMax": ["t", 4915],
    "cron.service Unit ActiveEnterTimestamp": ["t", 1700000000123456],
    "web@1-a.service Service Type": ["s", "notify"],
    "web@1-a.service Service NRestarts": ["u", 0],
    "web@1-a.service Service TasksCurrent": ["t", _NO_NUMBER],
    "web@1-a.service Service TasksMax": ["t", _NO_NUMBER],
    "slow.service Service Type": ["s", "oneshot"],
    "backup.timer Timer LastTriggerUSec": ["t", 1700000100000000],
    "backup.timer Unit ActiveEnterTimestamp": ["t", 1699999999000000],
    "never.timer Timer LastTriggerUSec": ["t", 0],
    "ssh.socket Socket NAccepted": ["u", 12],
    "ssh.socket Socket NConnections": ["u", 2],
    "ssh.socket Socket NRefused": ["u", 1],
    "ssh.socket Unit ActiveEnterTimestamp": ["t", 1700000000000000],
    "multi-user.target Unit ActiveEnterTimestamp": ["t", 1700000001000000],
    "srv.mount Mount Type": ["s", "ext4"],
}


class World:
    """What the stand-in knows; may be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        self.facts = folder / "facts.json"
        self.units = [list(unit) for unit in UNITS]
        self.properties = dict(PROPERTIES)
        self.save()

    def save(self) -> None:
        """Let the stand-in know what we know."""
        paths = {}
        for key, value in self.properties.items():
            unit, _, rest = key.partition(" ")
            paths[f"{systemd_fake.escape(unit)} {rest}" if "." in unit else key] = value
        text = json.dumps({"units": self.units, "properties": paths})
        beside = self.facts.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self.facts)


@contextmanager
def bus(folder: Path) -> Iterator[str]:
    """Run a D-Bus daemon of our own, and yield its address."""
    program = shutil.which("dbus-daemon")
    if program is None:
        do_without("dbus-daemon not found: install it (Debian's package dbus-daemon)")
    config = folder / "bus.conf"
    config.write_text(CONFIG.format(path=folder / "bus"))
    command = [program, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stdout is not None
            yield daemon.stdout.readline().strip()
        finally:
            daemon.kill()


@contextmanager
def systemd(folder: Path, address: str) -> Iterator[World]:
    """Run the stand-in on a bus."""
    world = World(folder)
    command = [sys.executable, systemd_fake.__file__, address, str(world.facts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:
        try:
            assert fake.stdout is not None
            assert fake.stdout.readline() == "ready\n"
            yield world
        finally:
            fake.kill()
