"""Notifiers: each tells people about one event. What is told and in which order is announce's to decide.

A notifier is a module with a `name` and one function `tell(event: Event, remediation: Remediation | None) -> None`.
It never raises for what an event holds, and whatever it tells is data: nothing in it is run or rendered.
"""

from __future__ import annotations

from typing import Protocol

from remediator.model import Event, Remediation
from remediator.notifiers import log


class Notifier(Protocol):
    """A module in this folder."""

    name: str

    def tell(self, event: Event, remediation: Remediation | None) -> None:
        """Tell about one event; `remediation` is the one it belongs to, as it stands now."""
        ...


NOTIFIERS: dict[str, Notifier] = {log.name: log}
