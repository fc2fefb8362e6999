"""What this process is and uses itself, under the names that node_exporter and every Prometheus client give to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from exporter.encode import Family, Metric
from exporter.paths import Paths
from selfheal import __version__

_BUILD = Metric(
    "node_exporter_build_info",
    "gauge",
    "Always 1, and here because node dashboards find hosts by it; the version is this program's, none of it is Go's.",
    ("branch", "goarch", "goos", "goversion", "revision", "tags", "version"),
)
_CPU = Metric("process_cpu_seconds_total", "counter", "CPU time the exporter used, user and system.")
_OPEN = Metric("process_open_fds", "gauge", "File descriptors the exporter has open.")
_MOST_OPEN = Metric("process_max_fds", "gauge", "File descriptors the exporter may have open.")
_RESIDENT = Metric("process_resident_memory_bytes", "gauge", "Memory of the exporter that is in RAM.")
_VIRTUAL = Metric("process_virtual_memory_bytes", "gauge", "Address space of the exporter.")
_MOST_VIRTUAL = Metric("process_virtual_memory_max_bytes", "gauge", "Address space the exporter may have.")
_START = Metric("process_start_time_seconds", "gauge", "When the exporter started, since the epoch.")

# Go's words for what the kernel calls its machine
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "ARM64": "arm64", "i686": "386"}

# client_golang writes the kernel's "no limit" as this number
_UNLIMITED = 2**64 - 1


def build_info() -> Family:
    """Return node_exporter's family by which dashboards find a host."""
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    system = "windows" if sys.platform == "win32" else sys.platform
    return _BUILD.of({("", _ARCHITECTURES.get(machine, machine), system, "", "", "", __version__): 1})


class OwnProcess:
    """This process, looked at through its own entry in procfs."""

    def __init__(self, paths: Paths) -> None:
        # in a container with the host's procfs, `self` there leads to us too
        self._folder = paths.procfs / "self"
        self._fixed = [*_limits(), *_started(paths.procfs)]

    def families(self) -> list[Family]:
        """Return what is known; where there is no procfs, only CPU time and limits are."""
        spent = os.times()
        return [_CPU.only(round(spent.user + spent.system, 6)), *self._fixed, *_known(self._open), *_known(self._size)]

    def _open(self) -> list[Family]:
        with os.scandir(self._folder / "fd") as entries:
            # the listing itself has one open
            return [_OPEN.only(sum(1 for _ in entries) - 1)]

    def _size(self) -> list[Family]:
        pages = (self._folder / "statm").read_bytes().split()
        page = os.sysconf("SC_PAGE_SIZE")
        return [_RESIDENT.only(int(pages[1]) * page), _VIRTUAL.only(int(pages[0]) * page)]


def _known(read: Callable[[], list[Family]]) -> list[Family]:
    try:
        return read()
    except (OSError, ValueError, IndexError):
        # another system, or a procfs that is not this kernel's
        return []


def _limits() -> list[Family]:
    try:
        import resource
    except ImportError:
        # Windows has none of these
        return []
    found = []
    for metric, number in ((_MOST_OPEN, resource.RLIMIT_NOFILE), (_MOST_VIRTUAL, resource.RLIMIT_AS)):
        soft, _ = resource.getrlimit(number)
        found.append(metric.only(_UNLIMITED if soft == resource.RLIM_INFINITY else soft))
    return found


def _started(procfs: Path) -> list[Family]:
    def read() -> list[Family]:
        words = (procfs / "self/stat").read_bytes().rpartition(b")")[2].split()
        boot = next(line for line in (procfs / "stat").read_bytes().splitlines() if line.startswith(b"btime "))
        # proc_pid_stat(5): field 22, and ours begins with field 3
        return [_START.only(int(boot.split()[1]) + int(words[19]) / os.sysconf("SC_CLK_TCK"))]

    return _known(read)
