"""CPU time by CPU and mode, and what the kernel says of each CPU: node_exporter's cpu collector.

Frequencies are the collector cpufreq's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from operator import gt, itemgetter
from pathlib import Path

from exporter.encode import Family, Metric
from exporter.filters import compile_unless_empty
from exporter.procfs.cpuinfo import LABELS, parse_cpuinfo
from exporter.procfs.cpus import Throttles, find_throttles, read_isolated, read_online
from exporter.procfs.host import CPU_FIELDS, parse_cpu_ticks
from exporter.procfs.kept import KeptFile, read_file
from exporter.procfs.sysfs import read_count
from exporter.settings import IncompleteError, Settings, flag_type
from selfheal.common.flags import add_flag
from selfheal.common.procfs import TICKS_PER_SECOND
from selfheal.common.re2 import Expression

name = "cpu"
text = "CPU time by CPU and mode"
enabled = True

_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
_GUESTS = {"nice": "guest_nice", "user": "guest"}
_SECONDS = Metric("node_cpu_seconds_total", "counter", "Seconds that each CPU has spent in each mode.", ("cpu", "mode"))
_GUEST_SECONDS = Metric(
    "node_cpu_guest_seconds_total",
    "counter",
    "Seconds that each CPU has run virtual machines, which its user and nice seconds contain.",
    ("cpu", "mode"),
)
_INFO = Metric("node_cpu_info", "gauge", "What each CPU is, from the kernel's cpuinfo; always 1.", LABELS)
_FLAG = Metric("node_cpu_flag_info", "gauge", "Features of the first CPU, as chosen by a flag; always 1.", ("flag",))
_BUG = Metric(
    "node_cpu_bug_info", "gauge", "Hardware faults of the first CPU, as chosen by a flag; always 1.", ("bug",)
)
_CORE_THROTTLES = Metric(
    "node_cpu_core_throttles_total", "counter", "Times that a core was slowed for its heat.", ("core", "package")
)
_PACKAGE_THROTTLES = Metric(
    "node_cpu_package_throttles_total", "counter", "Times that a package was slowed for its heat.", ("package",)
)
_ISOLATED = Metric(
    "node_cpu_isolated", "gauge", "CPUs on which the scheduler places nothing by itself; always 1.", ("cpu",)
)
_ONLINE = Metric("node_cpu_online", "gauge", "Whether a CPU is switched on and given work.", ("cpu",))

# idle time that steps back by this much is of a CPU that was away and counts anew; by less, the kernel corrects itself
_ANEW_TICKS = 3 * TICKS_PER_SECOND
_IDLE = CPU_FIELDS.index("idle")

_pick_modes = itemgetter(*map(CPU_FIELDS.index, _MODES))
_pick_guests = itemgetter(*map(CPU_FIELDS.index, _GUESTS.values()))


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the switches of the parts that cost or repeat themselves."""
    add_flag(
        parser, "--collector.cpu.guest", action=argparse.BooleanOptionalAction, default=True,
        help="export node_cpu_guest_seconds_total",
    )  # fmt: skip
    add_flag(
        parser, "--collector.cpu.info", action=argparse.BooleanOptionalAction, default=False,
        help="export node_cpu_info: what each CPU is",
    )  # fmt: skip
    for field in ("flags", "bugs"):
        add_flag(
            parser, f"--collector.cpu.info.{field}-include", metavar="REGEX", type=flag_type(compile_unless_empty),
            help=f"export these {field} of the first CPU, and node_cpu_info",
        )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the CPUs' times and, as far as they are wanted, what else is known of them."""
    flags = vars(settings.flags)
    times = _Times(KeptFile(settings.paths.procfs / "stat"), guests=flags["collector.cpu.guest"])
    hardware = _Hardware(settings.paths.sysfs / "devices/system/cpu")
    chosen = [(_FLAG, flags["collector.cpu.info.flags_include"]), (_BUG, flags["collector.cpu.info.bugs_include"])]
    with_info = flags["collector.cpu.info"] or any(pattern for _, pattern in chosen)

    def collect() -> list[Family]:
        families = times.collect()
        try:
            if with_info:
                families += _read_info(settings.paths.procfs / "cpuinfo", chosen)
            return families + hardware.collect(times.cpus)
        except (OSError, ValueError) as error:
            raise IncompleteError(f"only the CPUs' times could be read: {error}", families) from error

    return collect


def _read_info(path: Path, chosen: list[tuple[Metric, Expression | None]]) -> list[Family]:
    info = parse_cpuinfo(read_file(path))
    families = [_INFO.of(dict.fromkeys(info.cpus, 1))]
    for (metric, pattern), words in zip(chosen, (info.flags, info.bugs), strict=True):
        if pattern is not None:
            families.append(metric.of({(word,): 1 for word in words if pattern.matches(word)}))
    return families


class _Times:
    """The CPUs' counters, which never fall but when a CPU starts anew."""

    def __init__(self, file: KeptFile, *, guests: bool) -> None:
        self._file = file
        self._guests = guests
        self._last: dict[str, tuple[int, ...]] = {}
        self.cpus: tuple[str, ...] = ()
        """The numbers of the CPUs now online; another object whenever they may have changed."""
        self._labels: list[tuple[str, str]] = []
        self._guest_labels: list[tuple[str, str]] = []

    def collect(self) -> list[Family]:
        """Read and return the families."""
        found = parse_cpu_ticks(self._file.read())
        last = self._last
        # a CPU that is not online any more is forgotten
        self._last = {cpu: _never_falling(ticks, last.get(cpu, ticks)) for cpu, ticks in found.items()}
        if tuple(found) != self.cpus:
            self.cpus = tuple(found)
            self._labels = [(cpu, mode) for cpu in self.cpus for mode in _MODES]
            self._guest_labels = [(cpu, mode) for cpu in self.cpus for mode in _GUESTS]
        present = self._last.values()
        families = [_family(_SECONDS, self._labels, map(_pick_modes, present))]
        if self._guests:
            families.append(_family(_GUEST_SECONDS, self._guest_labels, map(_pick_guests, present)))
        return families


def _family(metric: Metric, labels: list[tuple[str, str]], ticks: Iterable[tuple[int, ...]]) -> Family:
    seconds = [tick / TICKS_PER_SECOND for cpu in ticks for tick in cpu]
    return Family(metric, list(zip(labels, seconds, strict=True)))


def _never_falling(ticks: tuple[int, ...], last: tuple[int, ...]) -> tuple[int, ...]:
    if last[_IDLE] - ticks[_IDLE] >= _ANEW_TICKS or not any(map(gt, last, ticks)):
        return ticks
    return tuple(map(max, last, ticks))


class _Hardware:
    """What sysfs says of the CPUs. What there is to read is found when the CPUs online change, and not every time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cpus: tuple[str, ...] | None = None
        self._throttles = Throttles({}, {})
        self._fixed: list[Family] = []

    def collect(self, cpus: tuple[str, ...]) -> list[Family]:
        """Given the CPUs online, return the families."""
        if cpus is not self._cpus:
            self._throttles = find_throttles(self._folder)
            isolated = {(cpu,): 1 for cpu in read_isolated(self._folder)}
            online = {(cpu,): int(on) for cpu, on in read_online(self._folder).items()}
            self._fixed = [_ISOLATED.of(isolated), _ONLINE.of(online)] if isolated or online else []
            self._cpus = cpus
        cores, packages = self._throttles
        if not cores and not packages:
            return self._fixed
        return [*self._fixed, _CORE_THROTTLES.of(_counts(cores)), _PACKAGE_THROTTLES.of(_counts(packages))]


def _counts(files: dict[tuple[str, ...], Path]) -> dict[tuple[str, ...], int]:
    return {labels: count for labels, file in files.items() if (count := read_count(file)) is not None}
