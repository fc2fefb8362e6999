"""What each systemd unit uses, is refused and waits for, from its control group; a bounded number of units."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from exporter.encode import Family, Metric
from exporter.filters import Filter, compile_unless_empty
from exporter.procfs.cgroups import COUNTERS, Layout, Usage, find_layout, list_units, read_usage
from exporter.settings import IncompleteError, NoDataError, Settings, flag_type
from selfheal.common.flags import add_flag
from selfheal.common.re2 import compile_own

name = "cgroup"
text = "CPU, memory, OOM kills, throttling, pressure and io per systemd unit"
# some sixteen series per unit: a host with forty would have more of them than of all else
enabled = False

OTHER = "other"
"""The unit that stands for all that were folded."""

# the limits of many units make no limit of all
_HELD = ("memory", "anon", "file")

UNITS_EXCLUDED = r"^user\.slice/.|/run-[^/]+\.(scope|service)$"

_U = ("unit",)
_R = ("unit", "resource")
_CPU = Metric(
    "selfheal_cgroup_cpu_seconds_total", "counter", "CPU time of the unit, with all below it.", ("unit", "mode")
)
_PERIODS = Metric(
    "selfheal_cgroup_cpu_periods_total",
    "counter",
    "Periods of the CPU quota in which the unit wanted to run; stays 0 without a quota.",
    _U,
)
_THROTTLED_PERIODS = Metric(
    "selfheal_cgroup_cpu_throttled_periods_total",
    "counter",
    "Periods of the CPU quota in which the unit had used up its quota and had to stop.",
    _U,
)
_THROTTLED = Metric(
    "selfheal_cgroup_cpu_throttled_seconds_total", "counter", "Time the unit was stopped by its CPU quota.", _U
)
_OOM_KILLS = Metric(
    "selfheal_cgroup_oom_kills_total",
    "counter",
    "Processes of the unit that the kernel ended for want of memory; begins anew when the unit is started anew.",
    _U,
)
_WAITING = Metric(
    "selfheal_cgroup_pressure_waiting_seconds_total",
    "counter",
    "Time in which at least one task of the unit waited for the resource (the kernel's some).",
    _R,
)
_STALLED = Metric(
    "selfheal_cgroup_pressure_stalled_seconds_total",
    "counter",
    "Time in which all tasks of the unit that had work waited for the resource at once (the kernel's full).",
    _R,
)
_READ = Metric("selfheal_cgroup_io_read_bytes_total", "counter", "Bytes the unit read from all block devices.", _U)
_WRITTEN = Metric("selfheal_cgroup_io_written_bytes_total", "counter", "Bytes the unit wrote to all block devices.", _U)
_READS = Metric("selfheal_cgroup_io_reads_total", "counter", "Read operations of the unit on all block devices.", _U)
_WRITES = Metric("selfheal_cgroup_io_writes_total", "counter", "Write operations of the unit on all block devices.", _U)
_MEMORY = Metric(
    "selfheal_cgroup_memory_current_bytes", "gauge", "Memory charged to the unit now, the page cache included.", _U
)
_LIMIT = Metric(
    "selfheal_cgroup_memory_limit_bytes", "gauge", "Most memory the unit itself may have; absent without a limit.", _U
)
_ANON = Metric("selfheal_cgroup_memory_anon_bytes", "gauge", "Memory of the unit that no file stands behind.", _U)
_FILE = Metric("selfheal_cgroup_memory_file_bytes", "gauge", "Page cache charged to the unit.", _U)
_UNITS = Metric("selfheal_cgroup_units", "gauge", "Units found that the filters let pass.")
_FOLDED = Metric(
    "selfheal_cgroup_units_folded", "gauge", "Units beyond the most exported; in the unit other, or left out if slices."
)

# field of Usage → its metric, the labels after the unit, and how many of the field make one of the metric
_PLACES: dict[str, tuple[Metric, tuple[str, ...], int]] = {
    "user": (_CPU, ("user",), 1_000_000),
    "system": (_CPU, ("system",), 1_000_000),
    "periods": (_PERIODS, (), 1),
    "throttled_periods": (_THROTTLED_PERIODS, (), 1),
    "throttled": (_THROTTLED, (), 1_000_000),
    "oom_kills": (_OOM_KILLS, (), 1),
    "cpu_some": (_WAITING, ("cpu",), 1_000_000),
    "cpu_full": (_STALLED, ("cpu",), 1_000_000),
    "memory_some": (_WAITING, ("memory",), 1_000_000),
    "memory_full": (_STALLED, ("memory",), 1_000_000),
    "io_some": (_WAITING, ("io",), 1_000_000),
    "io_full": (_STALLED, ("io",), 1_000_000),
    "read_bytes": (_READ, (), 1),
    "written_bytes": (_WRITTEN, (), 1),
    "reads": (_READS, (), 1),
    "writes": (_WRITES, (), 1),
    "memory": (_MEMORY, (), 1),
    "memory_limit": (_LIMIT, (), 1),
    "anon": (_ANON, (), 1),
    "file": (_FILE, (), 1),
}


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filters and the most units."""
    add_flag(
        parser, "--collector.cgroup.unit-include", metavar="REGEX", type=flag_type(compile_unless_empty),
        help="paths of units to export, such as system.slice/ssh.service; within what the exclude leaves",
    )  # fmt: skip
    add_flag(
        parser, "--collector.cgroup.unit-exclude", metavar="REGEX", type=flag_type(compile_unless_empty),
        default=compile_own(UNITS_EXCLUDED), help="paths of units to leave out (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, "--collector.cgroup.max-units", metavar="N", type=flag_type(_most), default="40",
        help="most units exported by name; the rest is the unit other (default: %(default)s)",
    )  # fmt: skip


def _most(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000:
        raise ValueError("from 1 to 10000 units can be exported")
    return count


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads every unit."""
    flags = vars(settings.flags)
    root = settings.paths.sysfs / "fs/cgroup"
    chosen = Filter(flags["collector.cgroup.unit_include"], flags["collector.cgroup.unit_exclude"])
    fold = _Fold(flags["collector.cgroup.max_units"])

    def collect() -> list[Family]:
        layout = find_layout(root)
        units = [] if layout is None else [unit for unit in list_units(layout.units) if chosen.wants(unit)]
        if layout is None or not units:
            raise NoDataError(f"no systemd units below {root}")
        usages, problems = _read_all(layout, units)
        shown = fold.fold(usages, frozenset(units))
        families = [*_families(shown), _UNITS.only(len(usages)), _FOLDED.only(fold.folded)]
        if problems:
            raise IncompleteError("; ".join(problems), families)
        return families

    return collect


def _read_all(layout: Layout, units: list[str]) -> tuple[dict[str, Usage], list[str]]:
    usages: dict[str, Usage] = {}
    problems = []
    nothing = Usage()
    for unit in units:
        try:
            usage = read_usage(layout, unit)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            continue
        # it went away since it was listed, or no controller accounts for it
        if usage != nothing:
            usages[unit] = usage
    return usages, problems


class _Fold:
    """Which units have a place of their own, and what all others used; a unit keeps its place as long as it lives."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._placed: set[str] = set()
        self._last: dict[str, Usage] = {}
        self._total: dict[str, int] = {}
        self.folded = 0

    def fold(self, usages: dict[str, Usage], there: frozenset[str]) -> dict[str, Usage]:
        """Given what was read of every unit, return that of those with a place, and of `other` if there are more.

        A unit that is `there` and could not be read keeps what it has. Slices beyond the places are not in `other`:
        what is below them is already.
        """
        self._placed &= there
        room = self._most - len(self._placed)
        if room and len(self._placed) < len(usages):
            # who used the most CPU comes first, ties by name
            rest = sorted(usages.keys() - self._placed, key=lambda unit: (-_cpu(usages[unit]), unit))
            self._placed.update(rest[:room])
        shown = {unit: usage for unit, usage in usages.items() if unit in self._placed}
        self.folded = len(usages) - len(shown)
        folded = {unit: u for unit, u in usages.items() if unit not in shown and not unit.endswith(".slice")}
        if folded or self._total:
            shown[OTHER] = self._add(folded, there)
        return shown

    def _add(self, usages: dict[str, Usage], there: frozenset[str]) -> Usage:
        """Add what the folded units used since they were last seen, so that the sum never falls when one goes."""
        for unit, usage in usages.items():
            before = self._last.get(unit, Usage())
            for field, now, last in zip(COUNTERS, usage, before, strict=False):
                if now is not None:
                    # a unit that was started anew begins at 0
                    since = last if last is not None and last <= now else 0
                    self._total[field] = self._total.get(field, 0) + now - since
        self._last = {unit: last for unit, last in self._last.items() if unit in there} | usages
        held = {field: _sum(getattr(usage, field) for usage in usages.values()) for field in _HELD}
        return Usage(**self._total)._replace(**held)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _cpu(usage: Usage) -> int:
    return (usage.user or 0) + (usage.system or 0)


def _families(usages: dict[str, Usage]) -> list[Family]:
    samples: dict[Metric, dict[tuple[str, ...], float]] = {metric: {} for metric, _, _ in _PLACES.values()}
    places = list(_PLACES.values())
    for unit, usage in usages.items():
        for (metric, labels, divisor), value in zip(places, usage, strict=True):
            if value is not None:
                samples[metric][(unit, *labels)] = value if divisor == 1 else value / divisor
    return [metric.of(values) for metric, values in samples.items()]
