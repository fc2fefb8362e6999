"""What comes in and what is acted upon: an alert of a delivery, and a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a delivery, as Alertmanager's webhook version 4 tells it."""

    status: str
    """`firing` or `resolved`."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    fingerprint: str
    generator_url: str = ""
    ends_at: float | None = None
    """When a resolved one ended; None if it does not say, and for one that fires."""

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True, slots=True)
class Target:
    """What is acted upon."""

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.kind}:{self.name}"
