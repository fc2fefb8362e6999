"""Memory of the host: what psutil tells with the kernel's meaning, by node_exporter's names for this system.

Left out are Cached on Linux (psutil adds reclaimable slabs to it) and what is free on macOS (it takes speculative pages
away) and on Windows (it is what is available). https://psutil.readthedocs.io/en/latest/#memory
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil

from exporter.encode import Family, Kind, Metric
from exporter.portable.system import SYSTEM, System
from exporter.settings import Settings


def _metric(field: str, text: str = "", kind: Kind = "gauge") -> Metric:
    return Metric(f"node_memory_{field}", kind, text or f"What the kernel's meminfo says of {field}.")


_EVERYWHERE = {
    "total": (_metric("MemTotal_bytes"),),
    "available": (_metric("MemAvailable_bytes"),),
}
_SWAP = {"swap_total": _metric("SwapTotal_bytes"), "swap_free": _metric("SwapFree_bytes")}
_PAGED_IN = "On macOS: bytes paged in from storage."
_PAGED_OUT = "On macOS: bytes paged out to storage."

# psutil's field → the metrics that it is the value of
FIELDS: dict[System, Mapping[str, tuple[Metric, ...]]] = {
    System.LINUX: {
        **_EVERYWHERE,
        "free": (_metric("MemFree_bytes"),),
        "buffers": (_metric("Buffers_bytes"),),
        "active": (_metric("Active_bytes"),),
        "inactive": (_metric("Inactive_bytes"),),
        "shared": (_metric("Shmem_bytes"),),
        "slab": (_metric("Slab_bytes"),),
        **{field: (metric,) for field, metric in _SWAP.items()},
    },
    # not run here: Linux's names, and those that node_exporter has on macOS
    System.MACOS: {
        "total": (*_EVERYWHERE["total"], _metric("total_bytes", "On macOS: memory that the host has.")),
        "available": _EVERYWHERE["available"],
        "active": (_metric("active_bytes", "On macOS: memory in use or used lately."),),
        "inactive": (_metric("inactive_bytes", "On macOS: memory not used lately."),),
        "wired": (_metric("wired_bytes", "On macOS: memory that must stay in RAM."),),
        "swap_total": (_SWAP["swap_total"], _metric("swap_total_bytes", "On macOS: swap that the host has now.")),
        "swap_free": (_SWAP["swap_free"],),
        "swap_used": (_metric("swap_used_bytes", "On macOS: swap in use."),),
        "swap_sin": (_metric("swapped_in_bytes_total", _PAGED_IN, "counter"),),
        "swap_sout": (_metric("swapped_out_bytes_total", _PAGED_OUT, "counter"),),
    },
    # not run here: psutil works the page file's size out from limits, so that it is near and not exact
    System.WINDOWS: {
        **_EVERYWHERE,
        "swap_total": (
            Metric("selfheal_pagefile_size_bytes", "gauge", "On Windows: about what the page files may hold."),
        ),
        "swap_used": (Metric("selfheal_pagefile_used_bytes", "gauge", "On Windows: about what the page files hold."),),
    },
}


def create(_settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks for memory and swap."""
    fields = FIELDS[SYSTEM]

    def collect() -> list[Family]:
        found = psutil.virtual_memory()._asdict()
        found |= {f"swap_{field}": value for field, value in psutil.swap_memory()._asdict().items()}
        return [metric.only(found[field]) for field, metrics in fields.items() for metric in metrics]

    return collect
