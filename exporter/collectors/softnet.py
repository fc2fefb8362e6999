"""What each CPU did with arriving packets: node_exporter's softnet collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Kind, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.net import parse_softnet
from exporter.settings import Settings

name = "softnet"
text = "what each CPU did with arriving packets"
enabled = True


def _metric(what: str, text: str, kind: Kind = "counter") -> Metric:
    return Metric(f"node_softnet_{what}", kind, text, ("cpu",))


# in the order of the fields of Softnet that follow the CPU
_METRICS = (
    _metric("processed_total", "Packets processed."),
    _metric("dropped_total", "Packets dropped because the CPU's backlog was full."),
    _metric("times_squeezed_total", "Times that processing stopped with packets left, for its time was used up."),
    _metric("cpu_collision_total", "Times that a device to send through was locked by another CPU."),
    _metric("received_rps_total", "Times that another CPU woke this one to process packets."),
    _metric("flow_limit_count_total", "Packets dropped because one flow took too much of the backlog."),
    _metric("backlog_len", "Packets that wait in the CPU's backlog.", "gauge"),
)


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads softnet_stat."""
    file = KeptFile(settings.paths.procfs / "net" / "softnet_stat")

    def collect() -> list[Family]:
        rows = [((str(row.cpu),), row) for row in parse_softnet(file.read())]
        return [
            Family(metric, [(labels, row[field]) for labels, row in rows]) for field, metric in enumerate(_METRICS, 1)
        ]

    return collect
