"""Groups of processes: process-exporter's families, what healing needs besides, and which names use most."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exporter.encode import Family, Metric
from exporter.group_families import render_groups, render_threads, smaps_families
from exporter.groups import Groups, Rules
from exporter.naming import Namer
from exporter.procfs.members import resident_bytes
from exporter.procfs.record import Record
from exporter.settings import IncompleteError, Settings, flag_type
from exporter.smaps import Budget, Proportions
from exporter.watch import watch_of
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag
from selfheal.common.processes import Grouping
from selfheal.common.procfs import TICKS_PER_SECOND

name = "process"
text = "groups of processes, named by --config.path, and the names that use most"
enabled = True

_ZOMBIES = Metric("selfheal_zombies", "gauge", "Zombies on this host, whoever their parents are.")
_FOLDED = Metric(
    "selfheal_process_groups_folded", "gauge", "Groups without room of their own, whose members are counted as other."
)
_TOP_CPU = Metric(
    "selfheal_top_cpu_seconds_total",
    "counter",
    "CPU time used by all processes of this name since they were first seen; of the names that used most lately.",
    ("comm",),
)
_TOP_MEMORY = Metric(
    "selfheal_top_resident_bytes", "gauge", "Resident memory of all processes of this name; of the largest.", ("comm",)
)
_TOP_FILES = Metric(
    "selfheal_top_open_files", "gauge", "Open files of all processes of this name; of those with most.", ("comm",)
)
_ERRORS = Metric("namedprocess_scrape_errors", "counter", "Looks at the processes that failed as a whole.")
_UNREADABLE = Metric("namedprocess_scrape_procread_errors", "counter", "Processes that could not be read.")
_PARTIAL = Metric(
    "namedprocess_scrape_partial_errors", "counter", "Parts of members that could not be read for want of rights."
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add process-exporter's flags, with one dash or two as there, and ours."""
    add_flag(
        parser, "--config.path", "-config.path", metavar="FILE", type=Path,
        help="process-exporter's configuration file; without it there are no groups",
    )  # fmt: skip
    add_flag(
        parser, "--procnames", "-procnames", metavar="NAMES", default="",
        help="instead of a file: names of processes, separated by commas, each a group",
    )  # fmt: skip
    add_flag(
        parser, "--namemapping", "-namemapping", metavar="PAIRS", default="",
        help="instead of a file: names and regular expressions in turn, separated by commas; what an expression "
        "captures of the command line is added to the name",
    )  # fmt: skip
    _add_switch(parser, "children", True, "count children that match nothing themselves to their parent's group")
    _add_switch(parser, "threads", False, "tell of threads by their name, and where they wait")
    _add_switch(parser, "gather-smaps", False, "read the proportional memory of members, which is slow")
    _add_switch(
        parser,
        "recheck",
        False,
        "read the command line whenever a process ran, not only when it has begun another program",
    )
    add_flag(
        parser, "--recheck-with-time-limit", "-recheck-with-time-limit", metavar="DURATION", default="0s",
        type=flag_type(parse_duration), help="as --recheck, for so long after a process was first seen",
    )  # fmt: skip
    _add_switch(parser, "remove-empty-groups", False, "forget groups at once when their last member ends")
    own = f"--collector.{name}"
    add_flag(
        parser, f"{own}.top", metavar="N", type=flag_type(_count), default="10",
        help="names to tell that use most CPU, memory and files; 0 for none (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{own}.max-groups", metavar="N", type=flag_type(_count), default="1000",
        help="most groups; members of further ones are counted as the group other (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{own}.group-grace", metavar="DURATION", type=flag_type(parse_duration), default="5m",
        help="how long a group named after its members is told of after the last has ended (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{own}.held-files", metavar="N", type=flag_type(_count), default="2500",
        help="processes of which one file is held open, for 4 KiB of the kernel's memory each (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{own}.smaps-budget", metavar="DURATION", type=flag_type(parse_duration), default="100ms",
        help="with --gather-smaps, how long reading may take in one scrape (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{own}.smaps-max-bytes", metavar="BYTES", type=flag_type(_count), default=str(4 << 30),
        help="with --gather-smaps, resident memory beyond which a process is left out (default: %(default)s)",
    )  # fmt: skip


def _add_switch(parser: argparse._ActionsContainer, flag: str, default: bool, help: str) -> None:
    # as Go's flags have it: alone it is on, and a value follows only after an equals sign
    add_flag(
        parser, f"--{flag}", f"-{flag}", nargs="?", const=True, metavar="true|false", type=flag_type(_truth),
        default=default, help=f"{help} (default: {str(default).lower()})",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that looks at all processes. Raise ValueError if the configuration file is wrong."""
    return _Processes(settings)


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path = vars(flags)["config.path"]
    return [] if path is None else [path]


class _Processes:
    """The groups and names as they live on from scrape to scrape."""

    def __init__(self, settings: Settings) -> None:
        flags = vars(settings.flags)
        self._clock = settings.clock
        self._top: int = flags["collector.process.top"]
        self._threads: bool = flags["threads"]
        self._errors = {_ERRORS: 0, _UNREADABLE: 0, _PARTIAL: 0}
        self._proportions: Proportions | None = None
        if flags["gather_smaps"]:
            budget = Budget(flags["collector.process.smaps_budget"], flags["collector.process.smaps_max_bytes"])
            self._proportions = Proportions(budget, settings.clock)
        grouping = read_grouping(flags)
        self._watch = watch_of(settings)
        self._watch.want(
            open_files=self._top > 0, threads=self._threads, recheck_seconds=_recheck_seconds(flags),
            held=flags["collector.process.held_files"],
        )  # fmt: skip
        # a reload may yet be refused: what runs is exchanged at the first look
        rules = None if grouping is None else _rules(flags, settings, grouping)
        self._kept = self._watch.plan(rules, self._top > 0)

    def __call__(self) -> list[Family]:
        """Return the families. Raise IncompleteError if some processes could not be read, or all."""
        try:
            look = self._watch.refresh(name, self._kept)
            if self._watch.failure is not None:
                raise self._watch.failure
        except (OSError, ValueError) as error:
            self._errors[_ERRORS] += 1
            raise IncompleteError(f"cannot read processes: {error}", self._own_families()) from error
        self._errors[_UNREADABLE] += look.unreadable
        self._errors[_PARTIAL] += look.partial
        families = [
            *self._group_families(self._watch.groups),
            *self._top_families(),
            _ZOMBIES.only(len(self._watch.table.zombies)),
            *self._own_families(),
        ]
        if look.unreadable:
            raise IncompleteError(f"{look.unreadable} processes could not be read", families)
        return families

    def close(self) -> None:
        """Give back the files that are held open."""
        self._watch.close(self._kept)

    def _group_families(self, groups: Groups | None) -> list[Family]:
        if groups is None:
            return []
        present = groups.present(self._clock.monotonic())
        families = [*render_groups(present, self._watch.boot_seconds), _FOLDED.only(groups.folded())]
        if self._threads:
            families += render_threads(present)
        if self._proportions is not None:
            members: dict[int, Record] = {}
            for group in present:
                members |= group.members
            self._proportions.update(members)
            families += smaps_families(present, self._proportions)
        return families

    def _top_families(self) -> list[Family]:
        tops = self._watch.tops
        if tops is None:
            return []
        most = self._top
        return [
            _TOP_CPU.of({(one.name,): one.ticks / TICKS_PER_SECOND for one in tops.by_cpu(most)}),
            _TOP_MEMORY.of({(one.name,): resident_bytes(one.pages) for one in tops.by_memory(most)}),
            _TOP_FILES.of({(one.name,): one.files for one in tops.by_files(most)}),
        ]

    def _own_families(self) -> list[Family]:
        return [metric.only(count) for metric, count in self._errors.items()]


def read_grouping(flags: Mapping[str, Any]) -> Grouping | None:
    """Given the flags, return the rules, or None if there are none. Raise ValueError if they are wrong."""
    path, names, mapping = flags["config.path"], flags["procnames"], flags["namemapping"]
    if path is None:
        return Grouping.of_names(names, mapping) if names or mapping else None
    if names or mapping:
        raise ValueError("--config.path cannot be used with --procnames or --namemapping; keep one of them")
    return Grouping.load(path)


def _rules(flags: Mapping[str, Any], settings: Settings, grouping: Grouping) -> Rules:
    namer = Namer(settings.paths.procfs, grouping)
    return Rules(
        match=namer,
        literal=grouping.names(),
        children=flags["children"],
        always=namer.can_differ,
        most=flags["collector.process.max_groups"],
        grace_seconds=-1.0 if flags["remove_empty_groups"] else flags["collector.process.group_grace"],
        threads=flags["threads"],
    )


def _recheck_seconds(flags: Mapping[str, Any]) -> float:
    limit: float = flags["recheck_with_time_limit"]
    return limit or (math.inf if flags["recheck"] else 0.0)


def _truth(text: str) -> bool:
    # the words that Go takes
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError("write true or false")


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("a number of things is not negative")
    return count
