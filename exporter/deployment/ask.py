"""Asks every part of a deployment in turn; one that cannot be asked is not known, the others are asked all the same."""

from __future__ import annotations

from exporter.deployment.containers import find_container
from exporter.deployment.listeners import find_listener
from exporter.deployment.model import Container, Deployment, Finding, Listener, Part, Unit, Version
from exporter.deployment.versions import find_version
from exporter.paths import Paths
from selfheal.common.clock import Clock

BUS = "/run/dbus/system_bus_socket"


class Asker:
    """Asks the parts of one deployment."""

    def __init__(self, deployment: Deployment, paths: Paths, clock: Clock) -> None:
        self._deployment = deployment
        self._paths = paths
        self._clock = clock
        self._names = [part.asked.name for part in deployment.parts if isinstance(part.asked, Unit)]

    def ask(self) -> list[tuple[Part, Finding]]:
        """Return what was found of every part."""
        units = self._find_units()
        return [(part, self._find(part, units)) for part in self._deployment.parts]

    def _find_units(self) -> dict[str, Finding]:
        if not self._names:
            return {}
        # the library of D-Bus is loaded only where a unit is watched
        from exporter.deployment.units import find_units

        return find_units(self._paths.below_root(BUS), self._names, self._deployment.timeout)

    def _find(self, part: Part, units: dict[str, Finding]) -> Finding:
        seconds = self._deployment.timeout
        match part.asked:
            case Unit() as unit:
                return units[unit.name]
            case Listener() as listener:
                return find_listener(self._paths.procfs, listener)
            case Container() as container:
                return find_container(self._paths, container, seconds, self._clock)
            case Version() as version:
                return find_version(version, seconds, self._clock)
