"""Units of systemd: which names are names, and which units are never touched whatever a policy lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

KINDS = (".service", ".timer", ".socket", ".path")
"""Kinds of units that may be listed; targets, mounts, slices and scopes hold more than one thing."""

SSHD_UNITS = ("ssh.service", "ssh.socket", "sshd.service", "sshd.socket", "ssh@*.service", "sshd@*.service")
MONITORING_UNITS = ("prometheus*", "alertmanager*", "node_exporter*", "process-exporter*")
_OTHERS = ("selfheal*", "dropbear*", "systemd-*", "dbus*", "user@*", "user-runtime-dir@*", "supervisor*", "polkit*")
_NETWORK = (
    *("networking.service", "NetworkManager*", "dhcpcd*", "dhclient*", "ifup@*", "wpa_supplicant*", "wg-quick@*"),
    *("wicked*", "connman*", "tailscaled*", "getty@*", "serial-getty@*", "console-getty*"),
)
"""What brings the network up, and the consoles that are left when it is down."""
NEVER_UNITS = (*SSHD_UNITS, *MONITORING_UNITS, *_NETWORK, *_OTHERS)

_NAME = re.compile(r"[A-Za-z0-9_:.\\@-]{1,255}", re.ASCII)


def name_problem(unit: str) -> str | None:
    """Given the name of one unit, return what is wrong with it, or None. A pattern is no name: systemctl expands it."""
    if not _NAME.fullmatch(unit) or unit.startswith(("-", ".")):
        return f"{unit[:80]!r} is no name of a unit"
    if not unit.endswith(KINDS):
        return f"{unit!r} is no {', '.join(KINDS)}; no other kind of unit is ever touched"
    return None


def is_never(unit: str, patterns: Iterable[str] = NEVER_UNITS) -> bool:
    """Say whether a unit is one of those that are never touched: the way in, the supervisor, the monitoring."""
    return any(fnmatchcase(unit, pattern) for pattern in patterns)


def units_of(cgroups: Iterable[str]) -> frozenset[str]:
    """Given the control groups of a process, return the units that it belongs to: each part of a path is one."""
    return frozenset(part for path in cgroups for part in path.split("/") if "." in part)


def own_units(procfs: Path) -> frozenset[str]:
    """Return the units that we run in ourselves. Raise OSError if they cannot be read."""
    try:
        text = (procfs / "self/cgroup").read_text("utf-8", "replace")
    except FileNotFoundError:
        # a kernel without control groups has no units
        return frozenset()
    return units_of(line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2)
