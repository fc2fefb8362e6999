"""How systemd units are, asked of the system's D-Bus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jeepney import DBusAddress, new_method_call

from exporter.deployment.model import Finding, State
from exporter.systemd_bus import SystemdBus

_MANAGER = DBusAddress(
    "/org/freedesktop/systemd1", bus_name="org.freedesktop.systemd1", interface="org.freedesktop.systemd1.Manager"
)

# states of a unit that is on its way; all others but active mean that it does not do its work
_ON_ITS_WAY = frozenset({"activating", "deactivating", "reloading", "refreshing"})


class _Bus(SystemdBus):
    """Asks for a few units, loaded or not, instead of all that are loaded."""

    def named(self, names: Sequence[str]) -> dict[str, Finding]:
        """Given names of units, return how each is. Raise OSError or ValueError if systemd does not tell."""
        rows = self._ask(new_method_call(_MANAGER, "ListUnitsByNames", "as", (list(names),)))[0]
        # name, description, load state, active state, sub state, and five more
        return {row[0]: judge_unit(row[2], row[3], row[4]) for row in rows}


def find_units(bus: Path, names: Sequence[str], seconds: float) -> dict[str, Finding]:
    """Given a bus and names of units, say how each is; not known if systemd cannot be asked, in so many seconds each.

    There is a connection for each time: it is seldom, and a bus may be started anew.
    """
    try:
        # what an address may hold as it is: the D-Bus specification, "Server Addresses"
        connection = _Bus(f"unix:path={quote(str(bus), safe='/-_.*')}", seconds)
        with connection:
            found = connection.named(names)
    except (OSError, ValueError) as error:
        return dict.fromkeys(names, Finding(None, f"systemd cannot be asked: {error}"))
    return {name: found.get(name, Finding(None, "systemd did not tell of it")) for name in names}


def judge_unit(load: str, active: str, sub: str) -> Finding:
    """Given the states systemd tells, say how the unit is."""
    if active == "active":
        return Finding(State.HEALTHY, f"is {active} ({sub})")
    if active in _ON_ITS_WAY:
        return Finding(State.DEGRADED, f"is {active} ({sub})")
    return Finding(State.UNAVAILABLE, f"is {active} ({sub})" if load == "loaded" else f"is {load}")
