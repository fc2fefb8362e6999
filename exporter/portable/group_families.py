"""What is said of a group of processes: process-exporter's names where psutil means the same, else ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporter.encode import Family, Kind, Metric
from exporter.portable.groups import Group
from exporter.portable.system import SYSTEM, System

_MICROSECONDS = 1_000_000


def _group(name: str, text: str, *labels: str) -> Metric:
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    return Metric(f"namedprocess_namegroup_{name}", kind, text, ("groupname", *labels))


def _own(name: str, text: str, *labels: str) -> Metric:
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    return Metric(f"selfheal_process_group_{name}", kind, text, ("groupname", *labels))


_CPU = _group("cpu_seconds_total", "CPU time used by members since they were first seen.", "mode")
_MEMORY = _group("memory_bytes", "Memory of the members.", "memtype")
_IO = _own(
    "io_bytes_total",
    "On Windows: bytes that members read and wrote since they were first seen, of files, network and devices alike.",
    "iomode",
)

_Row = tuple[Metric, tuple[str, ...], Callable[[Group], float]]


def _total(place: int, unit: int = 1) -> Callable[[Group], float]:
    return lambda group: group.account.totals[place] / unit if unit > 1 else group.account.totals[place]


def _oldest(group: Group) -> float:
    return int(min((member.created for member in group.members), default=0))


def _sum(field: str) -> Callable[[Group], float]:
    return lambda group: sum(getattr(member, field) for member in group.members)


def _worst(group: Group) -> float:
    return max((member.files / member.limit for member in group.members if member.limit), default=0)


_EVERYWHERE: tuple[_Row, ...] = (
    (_group("num_procs", "Number of living members."), (), lambda group: len(group.members)),
    (_MEMORY, ("resident",), _sum("resident")),
    (_group("num_threads", "Number of threads of the members."), (), _sum("threads")),
    (
        _group("oldest_start_time_seconds", "Start of the oldest member since the epoch; 0 without members."),
        (),
        _oldest,
    ),
    (_own("oldest_start_time_seconds", "Start of the oldest member since the epoch; 0 without members."), (), _oldest),
    (
        _own("largest_resident_bytes", "Resident memory of the largest member; 0 without members."),
        (),
        lambda group: max((member.resident for member in group.members), default=0),
    ),
    (_CPU, ("system",), _total(1, _MICROSECONDS)),
    (_CPU, ("user",), _total(0, _MICROSECONDS)),
)
_POSIX: tuple[_Row, ...] = (
    (_MEMORY, ("virtual",), _sum("virtual")),
    (_group("open_filedesc", "Open file descriptors of the members, where readable."), (), _sum("files")),
    (_own("zombies", "Zombies whose parent belongs to the group."), (), lambda group: group.zombies),
)
_ROWS: dict[System, tuple[_Row, ...]] = {
    System.LINUX: (
        *_EVERYWHERE,
        *_POSIX,
        (
            _group("worst_fd_ratio", "Largest share of its own limit of open files that a member uses."),
            (),
            _worst,
        ),
        (
            _group(
                "read_bytes_total", "Bytes read from storage by members since they were first seen, where readable."
            ),
            (),
            _total(4),
        ),
        (
            _group(
                "write_bytes_total", "Bytes written to storage by members since they were first seen, where readable."
            ),
            (),
            _total(5),
        ),
    ),
    # not run here
    System.MACOS: (
        *_EVERYWHERE,
        *_POSIX,
        (_group("major_page_faults_total", "Major page faults of members since they were first seen."), (), _total(3)),
        (_group("minor_page_faults_total", "Minor page faults of members since they were first seen."), (), _total(2)),
    ),
    # not run here
    System.WINDOWS: (
        *_EVERYWHERE,
        (
            _own("committed_bytes", "On Windows: memory promised to the members, in RAM or in the page file."),
            (),
            _sum("virtual"),
        ),
        (_own("open_handles", "On Windows: open handles of the members, where readable."), (), _sum("files")),
        (_IO, ("read",), _total(4)),
        (_IO, ("write",), _total(5)),
    ),
}


def group_families(groups: Mapping[str, Group]) -> list[Family]:
    """Given the groups by name, return their families as far as this system has them."""
    samples: dict[Metric, dict[tuple[str, ...], float]] = {}
    for metric, labels, value in _ROWS[SYSTEM]:
        samples.setdefault(metric, {}).update({(name, *labels): value(group) for name, group in groups.items()})
    return [metric.of(found) for metric, found in samples.items()]
