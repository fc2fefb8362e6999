"""What each network device has received and sent, as the collector netdev has it."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from exporter.encode import Family, Metric
from exporter.filters import read_filter
from exporter.portable.system import SYSTEM, System, refuse
from exporter.settings import Settings


def _metric(what: str, text: str) -> Metric:
    return Metric(f"node_network_{what}_total", "counter", text, ("device",))


# psutil's field → its metric
_FIELDS = {
    "bytes_recv": _metric("receive_bytes", "Bytes received."),
    "dropin": _metric(
        "receive_drop", "Packets that arrived and were dropped, by the host or by the device for want of room."
    ),
    "errin": _metric("receive_errs", "Bad packets received."),
    "packets_recv": _metric("receive_packets", "Packets received."),
    "bytes_sent": _metric("transmit_bytes", "Bytes sent."),
    "dropout": _metric("transmit_drop", "Packets dropped before they were sent."),
    "errout": _metric("transmit_errs", "Packets that could not be sent."),
    "packets_sent": _metric("transmit_packets", "Packets sent."),
}

# not run here: always 0 there, for nobody counts them
_UNKNOWN = {System.MACOS: {"dropout"}}


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks for the devices' counters. Raise ValueError if flags ask for what is not told."""
    flags, own = vars(settings.flags), "--collector.netdev"
    devices = read_filter(flags, f"{own}.device")
    refuse(flags, f"{own}.address-info", f"{own}.enable-detailed-metrics", f"{own}.label-ifalias")
    fields = {field: metric for field, metric in _FIELDS.items() if field not in _UNKNOWN.get(SYSTEM, ())}

    def collect() -> list[Family]:
        # without psutil's own memory of what wrapped: rate() knows resets
        told = psutil.net_io_counters(pernic=True, nowrap=False)
        found = {(name,): counters._asdict() for name, counters in told.items() if devices.wants(name)}
        return [
            metric.of({labels: counters[field] for labels, counters in found.items()})
            for field, metric in fields.items()
        ]

    return collect
