"""What is said of a group of processes: one table of rows, rendered once per group and again only when it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from exporter.encode import Family, Metric, format_value
from exporter.group import Group, Sums
from exporter.procfs.members import resident_bytes
from exporter.procfs.record import UNKNOWN
from exporter.smaps import Proportions
from exporter.threads import count_by_name, count_wchans, forget_ended
from selfheal.common.procfs import TICKS_PER_SECOND


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

_THREAD_COUNT = _group("thread_count", "Threads of this name in members with more than one thread.", "threadname")
_THREAD_CPU = _group(
    "thread_cpu_seconds_total", "CPU time used by threads of this name since they were seen.", "threadname", "mode"
)
_THREAD_IO = _group(
    "thread_io_bytes_total", "Bytes of storage read and written by threads of this name.", "threadname", "iomode"
)
_THREAD_MAJOR = _group("thread_major_page_faults_total", "Major page faults of threads of this name.", "threadname")
_THREAD_MINOR = _group("thread_minor_page_faults_total", "Minor page faults of threads of this name.", "threadname")
_THREAD_SWITCHES = _group(
    "thread_context_switches_total", "Context switches of threads of this name.", "threadname", "ctxswitchtype"
)
_WCHANS = _group("threads_wchan", "Threads of the members that wait at this place in the kernel.", "wchan")

_SMAPS_SKIPPED = Metric(
    "selfheal_process_proportional_memory_skipped",
    "gauge",
    "Members whose proportional memory was not read in this scrape: too large, no right, or the budget was used up.",
)


class _Facts(NamedTuple):
    """What the rows of one group are made from."""

    sums: Sums
    totals: Sequence[int]
    oldest_seconds: int
    largest_bytes: int
    worst_ratio: float
    zombies: int


_Row = tuple[Metric, tuple[str, ...], Callable[[_Facts], float]]

_ROWS: tuple[_Row, ...] = (
    (_PROCS, (), lambda facts: facts.sums.processes),
    (_MEMORY, ("resident",), lambda facts: resident_bytes(facts.sums.resident_pages)),
    (_MEMORY, ("swapped",), lambda facts: facts.sums.swapped_bytes),
    (_MEMORY, ("virtual",), lambda facts: facts.sums.virtual_bytes),
    (_THREADS, (), lambda facts: facts.sums.threads),
    (_STATE, ("Running",), lambda facts: facts.sums.running),
    (_STATE, ("Sleeping",), lambda facts: facts.sums.sleeping),
    (_STATE, ("Waiting",), lambda facts: facts.sums.waiting),
    (_STATE, ("Zombie",), lambda facts: facts.sums.zombie),
    (_STATE, ("Other",), lambda facts: facts.sums.other),
    (_OPEN, (), lambda facts: facts.sums.open_files),
    (_WORST, (), lambda facts: facts.worst_ratio),
    (_OLDEST, (), lambda facts: facts.oldest_seconds),
    (_GROUP_OLDEST, (), lambda facts: facts.oldest_seconds),
    (_GROUP_LARGEST, (), lambda facts: facts.largest_bytes),
    (_CPU, ("system",), lambda facts: facts.totals[1] / TICKS_PER_SECOND),
    (_CPU, ("user",), lambda facts: facts.totals[0] / TICKS_PER_SECOND),
    (_SWITCHES, ("nonvoluntary",), lambda facts: facts.totals[5]),
    (_SWITCHES, ("voluntary",), lambda facts: facts.totals[4]),
    (_MAJOR, (), lambda facts: facts.totals[3]),
    (_MINOR, (), lambda facts: facts.totals[2]),
    (_READ, (), lambda facts: facts.totals[6]),
    (_WRITTEN, (), lambda facts: facts.totals[7]),
    (_GROUP_ZOMBIES, (), lambda facts: facts.zombies),
)
# rows of one metric stand together
_METRICS = tuple(dict.fromkeys(metric for metric, _, _ in _ROWS))


def render_groups(groups: Sequence[Group], boot_seconds: int) -> list[Family]:
    """Given groups and the time of boot, return their families; only those that changed are rendered again."""
    for group in groups:
        if group.changed:
            group.rendered = _render(group, boot_seconds)
            group.changed = False
    columns = zip(*[group.rendered for group in groups], strict=True)
    return [Family(metric, (), column) for metric, column in zip(_METRICS, columns, strict=bool(groups))]


def _render(group: Group, boot_seconds: int) -> tuple[str, ...]:
    facts, name = _facts(group, boot_seconds), group.name
    lines = dict.fromkeys(_METRICS, "")
    for metric, labels, value in _ROWS:
        lines[metric] += f"{metric.prefixes[name, *labels]}{format_value(value(facts))}\n"
    return tuple(lines.values())


def _facts(group: Group, boot_seconds: int) -> _Facts:
    members = group.members.values()
    readable = [record for record in members if not record.unreadable]
    return _Facts(
        group.sums,
        group.account.totals,
        boot_seconds + min([record.stat.start_ticks for record in readable]) // TICKS_PER_SECOND if readable else 0,
        resident_bytes(max([record.resident_pages for record in readable], default=0)),
        max(
            [record.open_files / record.limit for record in readable if record.limit and record.open_files != UNKNOWN],
            default=0,
        ),
        group.zombies,
    )


def render_threads(groups: Sequence[Group]) -> list[Family]:
    """Given groups, return what is known of their members' threads by name, and where those wait."""
    counts: dict[tuple[str, ...], float] = {}
    used: dict[Metric, dict[tuple[str, ...], float]] = {
        metric: {} for metric in (_THREAD_CPU, _THREAD_IO, _THREAD_MAJOR, _THREAD_MINOR, _THREAD_SWITCHES)
    }
    wchans: dict[tuple[str, ...], float] = {}
    for group in groups:
        members = list(group.members.values())
        alive = count_by_name(members)
        forget_ended(group.thread_totals, alive)
        wchans |= {(group.name, wchan): count for wchan, count in count_wchans(members).items()}
        counts |= {(group.name, thread): count for thread, count in alive.items()}
        for thread, (user, system, minor, major, voluntary, nonvoluntary, read, written) in group.thread_totals.items():
            at = group.name, thread
            used[_THREAD_CPU] |= {(*at, "system"): system / TICKS_PER_SECOND, (*at, "user"): user / TICKS_PER_SECOND}
            used[_THREAD_IO] |= {(*at, "read"): read, (*at, "write"): written}
            used[_THREAD_MAJOR][at] = major
            used[_THREAD_MINOR][at] = minor
            used[_THREAD_SWITCHES] |= {(*at, "nonvoluntary"): nonvoluntary, (*at, "voluntary"): voluntary}
    return [_THREAD_COUNT.of(counts), *(metric.of(found) for metric, found in used.items()), _WCHANS.of(wchans)]


def smaps_families(groups: Sequence[Group], proportions: Proportions) -> list[Family]:
    """Given groups and the proportions read so far, return each group's sums and how many members were left out."""
    found: dict[tuple[str, ...], float] = {}
    for group in groups:
        pairs = [proportions.of(record) for record in group.members.values()]
        found[group.name, "proportionalResident"] = sum([resident for resident, _ in pairs])
        found[group.name, "proportionalSwapped"] = sum([swapped for _, swapped in pairs])
    return [_MEMORY.of(found), _SMAPS_SKIPPED.only(proportions.skipped)]
