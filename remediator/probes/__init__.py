"""Probes: what `diagnose:` looks at on this host before anything is done. This is the table of all of them.

A probe is a module with a `name`, `arguments` and one verb, `run`. It reads and never changes, keeps to the deadline of
its context, returns little, and reaches out only by the doors (`shell`, `outgoing`, `files`), which ask the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from remediator.model import Argument, Context, Json
from remediator.probes import command, disk, http, process_top, prometheus, service, tcp

__all__ = ["PROBES", "Probe"]


class Probe(Protocol):
    """A module in this folder."""

    name: str
    arguments: Mapping[str, Argument]

    def run(self, arguments: Mapping[str, Any], context: Context) -> Json:
        """Given validated arguments, return what is seen now, as JSON. Raise Refused, ActionFailed or OSError."""
        ...


PROBES: Mapping[str, Probe] = {
    prometheus.name: prometheus,
    http.name: http,
    tcp.name: tcp,
    process_top.name: process_top,
    service.name: service,
    disk.name: disk,
    command.name: command,
}
