"""CPU time by CPU and mode, as the collector cpu has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil

from exporter.encode import Family, Metric
from exporter.portable.system import SYSTEM, System, refuse
from exporter.settings import Settings

_SECONDS = Metric("node_cpu_seconds_total", "counter", "Seconds that each CPU has spent in each mode.", ("cpu", "mode"))
_GUEST_SECONDS = Metric(
    "node_cpu_guest_seconds_total",
    "counter",
    "Seconds that each CPU has run virtual machines, which its user and nice seconds contain.",
    ("cpu", "mode"),
)

_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
_FIELDS = {
    System.LINUX: _MODES,
    System.MACOS: ("idle", "nice", "system", "user"),
    System.WINDOWS: ("dpc", "idle", "interrupt", "system", "user"),
}
_GUESTS = {"nice": "guest_nice", "user": "guest"}

# as in the collector cpu: idle time that steps back by this much is of a CPU that was away and counts anew
_ANEW_SECONDS = 3.0


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks for the CPUs' times. Raise ValueError for flags that only Linux can fulfil."""
    flags = vars(settings.flags)
    own = "--collector.cpu.info"
    refuse(flags, own, f"{own}.flags-include", f"{own}.bugs-include")
    with_guests = SYSTEM is System.LINUX and flags["collector.cpu.guest"]
    fields = (*_FIELDS[SYSTEM], *(_GUESTS.values() if with_guests else ()))
    last: list[dict[str, float]] = []

    def collect() -> list[Family]:
        nonlocal last
        told = [times._asdict() for times in psutil.cpu_times(percpu=True)]
        found = [{field: times[field] for field in fields} for times in told]
        if len(found) == len(last):
            found = [_never_falling(now, before) for now, before in zip(found, last, strict=True)]
        # psutil leaves out CPUs that are offline and does not tell the others' numbers
        last = found
        families = [_SECONDS.of(_labelled([by_mode(times) for times in found]))]
        if with_guests:
            guests = [{mode: times[field] for mode, field in _GUESTS.items()} for times in found]
            families.append(_GUEST_SECONDS.of(_labelled(guests)))
        return families

    return collect


def by_mode(times: Mapping[str, float]) -> dict[str, float]:
    """Given psutil's times of one CPU, return seconds by node_exporter's modes, which together are the whole time."""
    if "dpc" not in times:
        return {mode: times[mode] for mode in _MODES if mode in times}
    # Windows, not run here: its system time has both kinds of interrupts in it
    return {
        "idle": times["idle"],
        "irq": times["interrupt"],
        "softirq": times["dpc"],
        "system": max(0.0, times["system"] - times["interrupt"] - times["dpc"]),
        "user": times["user"],
    }


def _labelled(cpus: list[dict[str, float]]) -> dict[tuple[str, str], float]:
    return {(str(cpu), mode): seconds for cpu, times in enumerate(cpus) for mode, seconds in times.items()}


def _never_falling(now: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    if before["idle"] - now["idle"] >= _ANEW_SECONDS:
        return now
    return {field: max(seconds, before[field]) for field, seconds in now.items()}
