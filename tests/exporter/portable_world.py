"""A psutil made of written values, in the shapes that psutil has on each system (its `_ntuples.py`)."""

from __future__ import annotations

import types
from collections import namedtuple
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import psutil

MIB = 1 << 20

Cpu = {
    "win32": namedtuple("scputimes", "user system idle interrupt dpc"),
    "darwin": namedtuple("scputimes", "user nice system idle"),
}
Memory = {
    "win32": namedtuple("svmem", "total available percent used free"),
    "darwin": namedtuple("svmem", "total available percent used free active inactive wired"),
}
Swap = namedtuple("sswap", "total used free percent sin sout")
Partition = namedtuple("sdiskpart", "device mountpoint fstype opts")
Usage = namedtuple("sdiskusage", "total used free percent")
Disk = namedtuple("sdiskio", "read_count write_count read_bytes write_bytes read_time write_time")
Device = namedtuple("snetio", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout")
CpuStats = namedtuple("scpustats", "ctx_switches interrupts soft_interrupts syscalls")
Times = namedtuple("pcputimes", "user system children_user children_system")
Storage = namedtuple("pio", "read_count write_count read_bytes write_bytes")
Used = {
    "linux": namedtuple("pmem", "rss vms shared text lib data dirty"),
    "win32": namedtuple("pmem", "rss vms num_page_faults"),
    "darwin": namedtuple("pmem", "rss vms pfaults pageins"),
}

# what a process can be asked for on each system
_EVERYWHERE = {"cmdline", "cpu_times", "create_time", "memory_info", "name", "num_threads", "ppid", "status"}
_ASKABLE = {
    "linux": {*_EVERYWHERE, "io_counters", "num_fds"},
    "darwin": {*_EVERYWHERE, "num_fds"},
    "win32": {*_EVERYWHERE, "io_counters", "num_handles"},
}


@dataclass(eq=False)
class Written:
    """One process as it is written down; the tests change it between two looks."""

    pid: int
    name: str
    created: float = 1000.0
    ppid: int = 1
    cmdline: list[str] | None = None
    """None if it is hidden."""
    exe: str = ""
    user: float = 0.0
    system: float = 0.0
    read: int = 0
    written: int = 0
    rss: int = MIB
    status: str = "running"
    handles: int = 3
    hidden: frozenset[str] = frozenset()
    """What may not be read."""
    fails: str = ""
    """What makes reading fail, and nobody knows why."""
    ends_while_read: bool = False


@dataclass
class World:
    """The processes that there are, and how psutil tells of them on one system."""

    system: str = "linux"
    processes: dict[int, Written] = field(default_factory=dict)

    def set(self, *processes: Written) -> None:
        """Let these be all."""
        self.processes = {each.pid: each for each in processes}

    def pids(self) -> list[int]:
        """As psutil's."""
        return sorted(self.processes)

    def process(self, pid: int) -> Process:
        """As psutil's class."""
        if pid not in self.processes:
            raise psutil.NoSuchProcess(pid)
        return Process(self, self.processes[pid])


class Process:
    """As psutil's, equal to another if it is of the same pid and time of creation."""

    def __init__(self, world: World, written: Written) -> None:
        self._world = world
        self._written = written
        self.pid = written.pid
        self._created = written.created

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Process) and (self.pid, self._created) == (other.pid, other._created)

    __hash__ = None  # type: ignore[assignment]

    def as_dict(self, attrs: Collection[str], ad_value: Any = None) -> dict[str, Any]:
        """As psutil's, which raises ValueError for what a process of this system cannot be asked for."""
        unknown = set(attrs) - _ASKABLE[self._world.system]
        if unknown:
            raise ValueError(f"invalid attrs name {sorted(unknown)}")
        if self._written.fails in attrs:
            raise OSError("made to fail")
        return {name: ad_value if name in self._written.hidden else self._one(name) for name in attrs}

    def _one(self, name: str) -> Any:
        one = self._written
        match name:
            case "cpu_times":
                return Times(one.user, one.system, 0.0, 0.0)
            case "create_time":
                return one.created
            case "memory_info":
                shape = Used[self._world.system]
                return shape(*([one.rss, 2 * one.rss, 70, 20] + [0] * 3)[: len(shape._fields)])
            case "num_threads":
                return 2
            case "num_fds" | "num_handles":
                return one.handles
            case "io_counters":
                return Storage(0, 0, one.read, one.written)
        return getattr(one, name)

    def status(self) -> str:
        """As psutil's."""
        return self._written.status

    def exe(self) -> str:
        """As psutil's."""
        return self._written.exe

    def username(self) -> str:
        """As psutil's; on Windows with the domain."""
        return r"BOX\alice"

    def uids(self) -> Any:
        """As psutil's, which Windows does not have."""
        return SimpleNamespace(real=1, effective=0, saved=1)

    def rlimit(self, _resource: int) -> tuple[int, int]:
        """As psutil's on Linux."""
        return 12, 12

    def is_running(self) -> bool:
        """As psutil's."""
        return not self._written.ends_while_read


def fake_psutil(system: str, processes: Iterable[Written]) -> types.ModuleType:
    """Given a system that this is not, return a module to stand for psutil there."""
    world = World(system)
    world.set(*processes)
    fake = types.ModuleType("psutil")
    for name in ("AccessDenied", "Error", "NoSuchProcess", "ZombieProcess", "STATUS_ZOMBIE"):
        setattr(fake, name, getattr(psutil, name))
    fake.pids, fake.Process = world.pids, world.process  # type: ignore[attr-defined]
    cpu = Cpu["win32"](10.0, 7.0, 50.0, 2.0, 1.0) if system == "win32" else Cpu["darwin"](10.0, 1.0, 7.0, 50.0)
    memory = (8 * MIB, 3 * MIB, 62.5, 5 * MIB, 3 * MIB)
    if system == "darwin":
        memory += (4 * MIB, 2 * MIB, MIB)  # type: ignore[assignment]
    partitions = {
        "win32": [Partition("C:\\", "C:\\", "NTFS", "rw,fixed"), Partition("D:\\", "D:\\", "CDFS", "ro,removable")],
        "darwin": [Partition("/dev/disk1s1", "/", "apfs", "ro,local"), Partition("devfs", "/dev", "devfs", "rw")],
    }
    disk = "PhysicalDrive0" if system == "win32" else "disk0"
    device = "Ethernet 2" if system == "win32" else "en0"
    for name, value in {
        "cpu_times": [cpu],
        "virtual_memory": Memory[system](*memory),
        "swap_memory": Swap(4 * MIB, MIB, 3 * MIB, 25.0, 4096, 8192),
        "getloadavg": (0.5, 0.25, 0.125),
        "disk_partitions": partitions[system],
        "disk_io_counters": {disk: Disk(1, 2, 1024, 2048, 1500, 2500)},
        "net_io_counters": {device: Device(1, 2, 3, 4, 5, 6, 7, 8)},
        "cpu_stats": CpuStats(1000, 2000, 0, 3000),
        "boot_time": 900.0,
    }.items():
        setattr(fake, name, lambda *_, value=value, **__: value)
    fake.disk_usage = _disk_usage  # type: ignore[attr-defined]
    return fake


def _disk_usage(path: str) -> Any:
    if path.startswith("D"):
        raise PermissionError(13, "The device is not ready")
    return Usage(100, 60, 40, 60.0)
