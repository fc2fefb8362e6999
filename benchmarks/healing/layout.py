"""Where everything lies on a host, and who runs what: one place for hosts, faults and their programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

APP, NEIGHBOUR = 1001, 1002
"""The user whose processes the policy permits to be touched, and another."""
INIT_SOCKET = "/srv/run/init.sock"
LEDGER = "/srv/run/ledger"
PROGRAMS = ("worker", "service", "job", "ctl")
FOLDERS: Mapping[str, int] = {
    "/srv/run": 0,
    "/srv/programs": 0,
    "/srv/tools": 0,
    "/srv/witness": 0,
    "/srv/precious": 0,
    "/srv/app": 0,
    "/srv/app/bin": 0,
    "/srv/db/bin": 0,
    "/srv/other/bin": 0,
    "/srv/app/beats": APP,
    "/srv/app/log": APP,
    "/srv/app/locks": APP,
    "/srv/app/cache": APP,
    "/srv/app/spool": APP,
    "/srv/app/young": APP,
    "/srv/app/journal": APP,
    "/srv/app/memory": APP,
    "/srv/app/queue": APP,
    "/srv/app/archive": APP,
    "/srv/app/core": APP,
}
"""Folder → owner."""
EXPORTER_PORT, REMEDIATOR_PORT, PROMETHEUS_PORT, ALERTMANAGER_PORT = 9976, 9977, 9090, 9093
ROUTER = "10.77.0.1"
"""The bridge, where Prometheus and Alertmanager listen."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked, and what is long enough; durations in seconds."""

    scrape: float = 5.0
    healthy_for: float | None = None
    """None: as the playbooks say."""


QUICK = Pace(scrape=1.0, healthy_for=3.0)
"""To try the machinery: its figures are nobody's."""


def address_of(number: int) -> str:
    """Given the host's number from 1 on, return its address."""
    return f"10.77.0.{10 + number}"
