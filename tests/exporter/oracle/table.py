"""Every difference from node_exporter 1.9.0 and process-exporter 0.8.5 that is meant, with its reason.

The oracle tests allow these and no others; `docs/reference/compatibility.md` is made of these tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """In which way something differs."""

    MISSING = "missing"
    """The incumbent has the family, ours has not."""
    ADDED = "added"
    """Ours has the family under a name of the incumbent's namespace, the incumbent has not."""
    SERIES = "series"
    """Both have the family, with other series."""
    VALUES = "values"
    """Both have the series, with other values."""
    MOMENT = "moment"
    """Only in a moment that the comparisons avoid; a test of its own makes it."""
    DEFAULT = "default"
    """Both have the collector, on by default with one of them only."""
    FLAG = "flag"
    """The incumbent has the flag, ours has not."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: of families or flags whose whole name matches, in one way, for a reason."""

    exporter: str
    names: str
    way: Way
    reason: str
    live: bool = False
    """Only on a live host; on a tree there is none."""
    where: str = ""
    """Of series: only those in which, spelled as people write them, this is found."""
    within: float = math.inf
    """Of values: only if they are this near, as a share of the right one."""

    def covers(self, exporter: str, name: str, way: Way, series: str = "") -> bool:
        """Say whether this is the reason for such a difference, of the whole family or of one series."""
        return (
            (self.exporter, self.way) == (exporter, way)
            and re.fullmatch(self.names, name) is not None
            and re.search(self.where, series) is not None
        )


NODE = "node_exporter"
PROCESS = "process-exporter"

_GO = "tells of the Go runtime, which ours does not have"
_TRAFFIC = "despite its name the traffic of all programs of the host, which `netdev` tells by device"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(NODE, r"go_\w+", Way.MISSING, _GO),
    Difference(NODE, r"process_network_(receive|transmit)_bytes_total", Way.MISSING, _TRAFFIC),
    Difference(PROCESS, r"go_\w+", Way.MISSING, _GO),
    Difference(PROCESS, r"process_network_(receive|transmit)_bytes_total", Way.MISSING, _TRAFFIC),
    Difference(
        PROCESS,
        "process_exporter_build_info",
        Way.MISSING,
        "ours has `selfheal_exporter_build_info`: no dashboard is known that finds hosts by the other",
    ),
    Difference(
        NODE, "node_exporter_build_info", Way.SERIES, "its version is ours; there is no Go, branch or revision to tell"
    ),
    Difference(NODE, "node_scrape_collector_duration_seconds", Way.VALUES, "each tells its own time"),
    Difference(
        NODE,
        "node_scrape_collector_success",
        Way.VALUES,
        "a kernel that accounts no pressure of interrupts is no failure: most do not; ours tells the other three",
        live=True,
        where='collector="pressure"',
    ),
    Difference(
        NODE,
        "node_disk_info",
        Way.SERIES,
        "1.9.0 says `rotational` 0 of every disk where one of thirty other files is missing, as on newer kernels; "
        "ours reads that one file",
        live=True,
    ),
    Difference(
        NODE,
        "node_tcp_connection_states",
        Way.VALUES,
        "the bytes in queues change with every look, those of the exporters' own answers among them",
        live=True,
    ),
    Difference(
        NODE,
        r"node_memory_\w+",
        Way.ADDED,
        "every line of `/proc/meminfo`, as 1.5.0 had; 1.9.0 leaves out those that it does not know",
    ),
    Difference(
        NODE,
        r"node_processes_\w+",
        Way.ADDED,
        "on the default page: `processes` costs nothing more where the groups of processes are read anyway",
    ),
    Difference(NODE, "processes", Way.DEFAULT, "on: it costs nothing more where the groups are read anyway"),
    Difference(NODE, "systemd", Way.DEFAULT, "off, as upstream has it; Debian's package switches it on"),
    Difference(NODE, "--help-long", Way.FLAG, "`--help` tells all"),
    Difference(NODE, r"--collector\.powersupply\..+", Way.FLAG, "belongs to `powersupplyclass`, which ours has not"),
    Difference(
        PROCESS,
        r"namedprocess_namegroup_(thread_)?cpu_seconds_total",
        Way.VALUES,
        "theirs adds differences of fractions, which drift (0.16999999999999998); ours adds whole ticks",
        within=1e-9,
    ),
    Difference(
        PROCESS,
        "namedprocess_namegroup_memory_bytes",
        Way.VALUES,
        "ours reads `statm`, where newer kernels count exactly; in `stat`, which theirs reads, some pages are missing",
        live=True,
        where='memtype="resident"',
        within=0.05,
    ),
    Difference(
        PROCESS,
        r"namedprocess_namegroup_(states|threads_wchan)",
        Way.VALUES,
        "theirs counts the main thread of a process with several twice; ours counts every thread once",
        within=0.5,
    ),
    Difference(
        PROCESS,
        "namedprocess_namegroup_threads_wchan",
        Way.MISSING,
        "without `-threads` ours reads no threads; theirs reads them all the same and tells this one family of them",
    ),
    Difference(
        PROCESS,
        "namedprocess_scrape_partial_errors",
        Way.VALUES,
        "theirs counts parts of processes that belong to no group, too; ours does not read them",
    ),
    Difference(
        PROCESS,
        r"namedprocess_namegroup_\w+",
        Way.MOMENT,
        "a group that stands in the configuration by its whole name is there as 0 without members; theirs begins with "
        "the first one",
    ),
    Difference(
        PROCESS,
        "namedprocess_namegroup_(num_procs|num_threads|states)",
        Way.MOMENT,
        "a zombie is no member of its parent's group; `selfheal_process_group_zombies` tells of it",
    ),
    Difference(
        PROCESS,
        "namedprocess_namegroup_oldest_start_time_seconds",
        Way.MOMENT,
        "0 for a group whose members have all ended; theirs says the year 1 (-62135596800)",
    ),
    Difference(
        PROCESS,
        "namedprocess_namegroup_context_switches_total",
        Way.MOMENT,
        "theirs falls when a thread of a living process ends; ours does not",
    ),
    Difference(
        PROCESS,
        r"namedprocess_namegroup_\w+",
        Way.MOMENT,
        "of a command line the first 128 KiB are matched, theirs matches all of it: any user can start a process with "
        "megabytes of arguments",
    ),
    Difference(PROCESS, "-debug", Way.FLAG, "`--log.level=debug`"),
    Difference(PROCESS, "-man", Way.FLAG, "`--help`, and the documentation"),
    Difference(PROCESS, "-procfs", Way.FLAG, "`--path.procfs`, as in node_exporter"),
    Difference(PROCESS, r"-(version|web\..+)", Way.FLAG, "with two dashes, as in node_exporter"),
)

_FEW = "for hardware or file systems that few hosts have; node_exporter can run beside ours for it"
_OFF = "off by default there, too: many series, or costly to read"

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        _FEW,
        ("bcache", "btrfs", "drbd", "drm", "edac", "fibrechannel", "infiniband", "nvme", "powersupplyclass", "rapl"),
    ),
    (_FEW, ("tapestats", "watchdog", "wifi", "xfs", "zfs")),
    ("of one service each; node_exporter can run beside ours for it", ("ipvs", "nfs", "nfsd")),
    (_OFF, ("buddyinfo", "cpu_vulnerabilities", "ethtool", "interrupts", "ksmd", "lnstat", "meminfo_numa")),
    (_OFF, ("mountstats", "network_route", "perf", "qdisc", "slabinfo", "softirqs", "sysctl")),
    (_OFF, ("xfrm", "zoneinfo", "logind")),
    ("off by default there, too; ours has `cgroup`, which tells of each unit", ("cgroups",)),
    ("off by default there, too; `timex` says whether the clock is synchronised", ("ntp",)),
    ("marked as deprecated there; `process` sees such programs", ("runit", "supervisord")),
    ("tells a setting, not a state", ("selinux",)),
)

# collectors of node_exporter 1.9.0 that ours has not → why
NOT_OURS: dict[str, str] = {name: reason for reason, names in _GROUPS for name in names}


def reasons(exporter: str, name: str, way: Way) -> list[Difference]:
    """Return the differences that cover this one of a family or flag: none means that it is a fault."""
    return [each for each in DIFFERENCES if each.covers(exporter, name, way)]


def unexplained(exporter: str, names: Iterable[str], way: Way) -> list[str]:
    """Given names that differ in a way, return those without a reason."""
    return sorted(name for name in names if not reasons(exporter, name, way))
