"""Groups of processes: process-exporter's families, and what healing needs besides (zombies, oldest, largest)."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from exporter.accounts import Accounts
from exporter.encode import Family, Metric
from exporter.procfs.host import read_uptime
from exporter.procfs.members import Details
from exporter.procfs.processes import ProcessTable, Record, Snapshot
from exporter.settings import IncompleteError, Settings
from selfheal.common.flags import add_flag
from selfheal.common.processes import Grouping, boot_time
from selfheal.common.procfs import TICKS_PER_SECOND

name = "process"
text = "groups of processes, named by --config.path"
enabled = True

# a group without members and without a literal name is exported this long, so that its last counters are seen
_GRACE_SECONDS = 300.0

_STATES = {"R": "Running", "S": "Sleeping", "D": "Waiting", "Z": "Zombie"}


def _group(name: str, text: str, *labels: str) -> Metric:
    kind: Literal["counter", "gauge"] = "counter" if name.endswith("_total") else "gauge"
    return Metric(f"namedprocess_namegroup_{name}", kind, text, ("groupname", *labels))


_CPU = _group("cpu_seconds_total", "CPU time used by members since they were first seen.", "mode")
_SWITCHES = _group(
    "context_switches_total", "Context switches of members, all threads, since they were first seen.", "ctxswitchtype"
)
_MAJOR = _group("major_page_faults_total", "Major page faults of members since they were first seen.")
_MINOR = _group("minor_page_faults_total", "Minor page faults of members since they were first seen.")
_READ = _group("read_bytes_total", "Bytes read from storage by members since they were first seen, where readable.")
_WRITTEN = _group(
    "write_bytes_total", "Bytes written to storage by members since they were first seen, where readable."
)
_MEMORY = _group("memory_bytes", "Memory of the members.", "memtype")
_PROCS = _group("num_procs", "Number of living members.")
_THREADS = _group("num_threads", "Number of threads of the members.")
_OLDEST = _group("oldest_start_time_seconds", "Start of the oldest member since the epoch; 0 without members.")
_OPEN = _group("open_filedesc", "Open file descriptors of the members, where readable.")
_STATE = _group("states", "Threads of the members by state, each counted once.", "state")
_WORST = _group("worst_fd_ratio", "Largest share of its own limit of open files that a member uses.")

_GROUP_LARGEST = Metric(
    "selfheal_process_group_largest_resident_bytes",
    "gauge",
    "Resident memory of the largest member; 0 without members.",
    ("groupname",),
)
_GROUP_OLDEST = Metric(
    "selfheal_process_group_oldest_start_time_seconds",
    "gauge",
    "Start of the oldest member since the epoch; 0 without members.",
    ("groupname",),
)
_GROUP_ZOMBIES = Metric(
    "selfheal_process_group_zombies", "gauge", "Zombies whose parent belongs to the group.", ("groupname",)
)
_ZOMBIES = Metric("selfheal_zombies", "gauge", "Zombies on this host, whoever their parents are.")

_ERRORS = Metric("namedprocess_scrape_errors", "counter", "Looks at the processes that failed as a whole.")
_UNREADABLE = Metric("namedprocess_scrape_procread_errors", "counter", "Processes that could not be read.")
_PARTIAL = Metric(
    "namedprocess_scrape_partial_errors", "counter", "Parts of members that could not be read for want of rights."
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file that names the groups."""
    add_flag(
        parser, "--config.path", metavar="FILE", type=Path,
        help="process-exporter's configuration file; without it there are no groups",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that looks at all processes. Raise ValueError if the configuration file is wrong."""
    path = vars(settings.flags)["config.path"]
    grouping = Grouping() if path is None else Grouping.load(path)
    return Groups(settings, grouping).collect


class Groups:
    """The groups as they live on from scrape to scrape."""

    def __init__(self, settings: Settings, grouping: Grouping) -> None:
        self._procfs = settings.paths.procfs
        self._clock = settings.clock
        self._literal = grouping.names()
        self._table = ProcessTable(self._procfs, grouping)
        self._accounts: Accounts | None = None
        self._empty_since: dict[str, float] = {}
        self._errors = {_ERRORS: 0, _UNREADABLE: 0, _PARTIAL: 0}
        try:
            self._begin()
        except (OSError, ValueError):
            # tried again at every scrape, where its failure is reported
            pass

    def _begin(self) -> Accounts:
        self._accounts = Accounts(int(read_uptime(self._procfs) * TICKS_PER_SECOND))
        return self._accounts

    def collect(self) -> list[Family]:
        """Return the families. Raise IncompleteError if some processes could not be read, or all."""
        try:
            accounts = self._accounts or self._begin()
            boot = boot_time(self._procfs)
            found = self._table.look()
        except (OSError, ValueError) as error:
            self._errors[_ERRORS] += 1
            raise IncompleteError(f"cannot read processes: {error}", self._own_families()) from error
        self._errors[_UNREADABLE] += found.unreadable
        self._errors[_PARTIAL] += found.partial
        members = _members(found)
        accounts.update(
            (
                (group, record.identity, details.counters)
                for group, pairs in members.items()
                for record, details in pairs
            ),
            found.pids,
        )
        zombies = _zombies(found)
        present = self._present(accounts, members.keys() | zombies.keys())
        families = [
            *_gauges(present, members, boot),
            *_counters(present, accounts),
            *_zombie_families(present, zombies),
        ]
        families += [_ZOMBIES.only(sum(record.is_zombie for record in found.records.values())), *self._own_families()]
        if found.unreadable:
            raise IncompleteError(f"{found.unreadable} processes could not be read", families)
        return families

    def _present(self, accounts: Accounts, alive: set[str]) -> list[str]:
        """Return the groups to export: literal ones for ever, the others until some time after their last member."""
        now = self._clock.monotonic()
        known = dict.fromkeys([*self._literal, *accounts.groups(), *sorted(alive)])
        empty = {group for group in known if group not in alive and group not in self._literal}
        self._empty_since = {group: self._empty_since.get(group, now) for group in empty}
        for group, since in self._empty_since.items():
            if now - since > _GRACE_SECONDS:
                accounts.forget(group)
                del known[group]
        return list(known)

    def _own_families(self) -> list[Family]:
        return [metric.only(count) for metric, count in self._errors.items()]


Members = Mapping[str, list[tuple[Record, Details]]]


def _members(found: Snapshot) -> Members:
    members: defaultdict[str, list[tuple[Record, Details]]] = defaultdict(list)
    for pid, group in found.groups.items():
        record = found.records.get(pid)
        if record is not None and record.details is not None:
            members[group].append((record, record.details))
    return members


def _zombies(found: Snapshot) -> dict[str, int]:
    """Return how many zombies each group's members left."""
    zombies: defaultdict[str, int] = defaultdict(int)
    for record in found.records.values():
        parent = found.records.get(record.stat.ppid) if record.is_zombie else None
        if parent is not None and not parent.is_zombie and parent.pid in found.groups:
            zombies[found.groups[parent.pid]] += 1
    return zombies


def _zombie_families(present: list[str], zombies: Mapping[str, int]) -> list[Family]:
    return [_GROUP_ZOMBIES.of({(group,): zombies.get(group, 0) for group in present})]


def _counters(present: list[str], accounts: Accounts) -> list[Family]:
    totals = {group: accounts.total(group) for group in present}

    def of(metric: Metric, *fields: tuple[int, tuple[str, ...]], divisor: int = 1) -> Family:
        return metric.of(
            {
                (group, *labels): total[index] / divisor if divisor > 1 else total[index]
                for group, total in totals.items()
                for index, labels in fields
            }
        )

    return [
        of(_CPU, (1, ("system",)), (0, ("user",)), divisor=TICKS_PER_SECOND),
        of(_SWITCHES, (5, ("nonvoluntary",)), (4, ("voluntary",))),
        of(_MAJOR, (3, ())),
        of(_MINOR, (2, ())),
        of(_READ, (6, ())),
        of(_WRITTEN, (7, ())),
    ]


def _gauges(present: list[str], members: Members, boot: float) -> list[Family]:
    groups = [(group, members.get(group, [])) for group in present]
    memory: dict[tuple[str, ...], float] = {}
    states: dict[tuple[str, ...], float] = {}
    for group, pairs in groups:
        memory[group, "resident"] = sum(record.resident_bytes for record, _ in pairs)
        memory[group, "swapped"] = sum(details.swapped_bytes for _, details in pairs)
        memory[group, "virtual"] = sum(record.stat.virtual_bytes for record, _ in pairs)
        letters = "".join(details.thread_states for _, details in pairs)
        known = {word: letters.count(letter) for letter, word in _STATES.items()}
        states |= {(group, word): count for word, count in known.items()}
        states[group, "Other"] = len(letters) - sum(known.values())
    oldest = {
        (group,): int(boot) + min(record.stat.start_ticks for record, _ in pairs) // TICKS_PER_SECOND if pairs else 0
        for group, pairs in groups
    }
    return [
        _PROCS.of({(group,): len(pairs) for group, pairs in groups}),
        _MEMORY.of(memory),
        _THREADS.of({(group,): sum(record.stat.threads for record, _ in pairs) for group, pairs in groups}),
        _STATE.of(states),
        _OPEN.of({(group,): sum(details.open_files or 0 for _, details in pairs) for group, pairs in groups}),
        _WORST.of({(group,): max((_ratio(details) for _, details in pairs), default=0) for group, pairs in groups}),
        _OLDEST.of(oldest),
        _GROUP_OLDEST.of(oldest),
        _GROUP_LARGEST.of(
            {(group,): max((record.resident_bytes for record, _ in pairs), default=0) for group, pairs in groups}
        ),
    ]


def _ratio(details: Details) -> float:
    if not details.open_files or not details.open_files_limit:
        return 0
    return details.open_files / details.open_files_limit
