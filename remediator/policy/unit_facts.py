"""What systemd says of a unit, and why one whose name is permitted is still not touched. Nothing here asks systemd."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event

from remediator.policy.protected import read_standing, refusal_by_kind
from remediator.policy.units import is_never, own_units, units_of
from selfheal.common.processes import Process, list_pids, read_process
from selfheal.common.procfs import GONE, parse_cgroups

_STARTED_WITH_IT = ("Requires", "BindsTo", "Wants", "Upholds")
_STOPPED_WITH_IT = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
_ENDED_BY_ITS_START = ("Conflicts", "ConflictedBy")
_RELOADED_WITH_IT = ("PropagatesReloadTo",)
_STARTED_BY_ITS_END = ("OnFailure", "OnSuccess")
TRIGGER = "trigger"
"""Done to a unit that is started if another fails or ends, which anything done to that other can bring about."""
_IDENTITY = ("Id", "Names", "LoadState", "ActiveState", "SubState", "Result", "InvocationID", "MainPID", "Job")
_ABILITIES = ("Type", "Transient", "NRestarts", "CanStart", "CanReload", "RefuseManualStart", "RefuseManualStop")
_LIMITS = ("CPUQuotaPerSecUSec", "MemoryLimit", "MemoryMax", "MemoryHigh", "MemoryMin", "MemoryLow", "MemorySwapMax")
_ACTIONS = ("SuccessAction", "FailureAction", "StartLimitAction", "JobTimeoutAction")
"""What systemd does to the whole machine when the unit ends, fails, or fails too often."""
_JOB_MODES = ("OnFailureJobMode", "OnSuccessJobMode")
"""How the units are started that follow its end; `isolate` stops every other one."""
_CONDITIONS = ("ConditionResult", "ConditionTimestampMonotonic")
CHANGED = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic")
"""When the unit last began to start, was started and had ended, in microseconds; a restart of systemd's is one too."""
SHOWN = (
    *(*_IDENTITY, *_ABILITIES, *_ACTIONS, *_LIMITS, *_CONDITIONS, *CHANGED, "RestartUSec"),
    *(*_STARTED_WITH_IT, *_STOPPED_WITH_IT, *_ENDED_BY_ITS_START, *_RELOADED_WITH_IT),
    *(*_STARTED_BY_ITS_END, *_JOB_MODES),
)
"""Properties that are asked of a unit before it is touched."""

RESTING = frozenset({"inactive", "failed"})
"""States in which nothing of a unit runs, so that nothing is dragged along either."""
_SHUTDOWN = "shutdown.target"
"""Every ordinary unit conflicts with it; it is only active while the machine goes down."""

Facts = Mapping[str, str]
"""Property to value, of one unit."""
UNLIMITED = "infinity"

_LOOK_SECONDS, _MOST_LOOKS = 0.05, 100
"""How often, and how many times at most, a process is looked at until it has begun."""

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|min|h|d|w)")
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3_600 * 10**6}
_MICROSECONDS |= {"d": 86_400 * 10**6, "w": 7 * 86_400 * 10**6}


def read_units(shown: str) -> list[dict[str, str]]:
    """Given what `systemctl show` printed of one or several units, return the properties of each."""
    blocks = shown.split("\n\n")
    found = (dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line) for block in blocks)
    return [facts for facts in found if facts]


def microseconds(shown: str) -> int | None:
    """Given a span of time as systemd shows it, as `1min 1.500000s`, return it; None for `infinity`."""
    if shown == UNLIMITED:
        return None
    return round(sum(float(number) * _MICROSECONDS[unit] for number, unit in _SPAN.findall(shown)))


def dragged_along(verb: str, facts: Facts) -> set[tuple[str, str]]:
    """Given what is to be done to a unit, return the units to which systemd does something too, each with what."""
    found: set[tuple[str, str]] = set()
    if verb in ("restart", "start", TRIGGER):
        # a slice is a control group, in which nothing runs by itself
        found |= {(name, "start") for name in _named(facts, _STARTED_WITH_IT) if not name.endswith(".slice")}
        found |= {(name, "stop") for name in _named(facts, _ENDED_BY_ITS_START)}
    if verb in ("restart", "stop"):
        found |= {(name, verb) for name in _named(facts, _STOPPED_WITH_IT)}
    if verb == "reload":
        found |= {(name, verb) for name in _named(facts, _RELOADED_WITH_IT)}
    if verb in ("restart", "start", TRIGGER, "stop", "reload"):
        found |= {(name, TRIGGER) for name in _named(facts, _STARTED_BY_ITS_END)}
    return found


def unit_refusal(unit: str, facts: Facts, procfs: Path) -> str | None:
    """Given a unit and what systemd says of it, return why it is never touched, or None.

    Asked are all its names, its main process, and every other process in its control group.
    Raise OSError if `procfs` cannot be read.
    """
    names = {unit, facts.get("Id", ""), *facts.get("Names", "").split()} - {""}
    hidden = sorted(name for name in names if is_never(name))
    if hidden:
        return f"unit {unit!r} is also {hidden[0]!r}, which is never touched"
    if names & own_units(procfs):
        return f"the remediator itself runs in unit {unit!r}"
    if (drastic := machine_refusal(unit, facts)) is not None:
        return drastic
    pid = facts.get("MainPID", "0")
    main = read_process(procfs, int(pid)) if pid.isdecimal() and pid != "0" else None
    if main is not None and main.pid == os.getpid():
        return f"the remediator itself is the process of unit {unit!r}"
    refusal = None if main is None else _process_refusal(main, procfs, is_main=True)
    others = (process for process in _processes_of(names, procfs) if main is None or process.pid != main.pid)
    refusals = (_process_refusal(process, procfs, is_main=False) for process in others)
    refusal = refusal or next((each for each in refusals if each is not None), None)
    return refusal and f"unit {unit!r} is not touched: {refusal}"


def machine_refusal(unit: str, facts: Facts) -> str | None:
    """Given a unit and what systemd says of it, return why its end or failure would be the whole machine's, or None."""
    drastic = [f"{key}={facts[key]}" for key in _ACTIONS if facts.get(key, "none") not in ("", "none")]
    drastic += [f"{key}={facts[key]}" for key in _JOB_MODES if facts.get(key) == "isolate"]
    return f"unit {unit!r} takes the whole machine along: {drastic[0]}" if drastic else None


def resident_bytes(names: Iterable[str], procfs: Path) -> int:
    """Given all names of a unit, return the resident bytes of its processes; what they share counts for each."""
    return sum(process.resident_bytes for process in _processes_of(frozenset(names), procfs))


def _named(facts: Facts, properties: Iterable[str]) -> list[str]:
    return [name for key in properties for name in facts.get(key, "").split() if name != _SHUTDOWN]


def _process_refusal(found: Process, procfs: Path, *, is_main: bool) -> str | None:
    process = _when_begun(found, procfs)
    standing = None if process is None else read_standing(procfs, process.pid)
    if process is None or standing is None:
        return None
    if not is_main:
        # of a container that a unit runs only the main process lives out here
        standing = replace(standing, is_elsewhere=False)
    return refusal_by_kind(process, standing, procfs)


def _when_begun(process: Process, procfs: Path) -> Process | None:
    """Given a process of a unit, return it once it runs the unit's program, or None if it has ended.

    Right after systemd started it, it is a copy of systemd. What stays one is returned as it is.
    """
    pause = Event()
    found: Process | None = process
    for _ in range(_MOST_LOOKS):
        if found is None or found.start_ticks != process.start_ticks:
            return None
        if found.ppid != 1 or not found.comm.startswith(("systemd", "(")):
            return found
        pause.wait(_LOOK_SECONDS)
        found = read_process(procfs, process.pid)
    return found


def _processes_of(names: Iterable[str], procfs: Path) -> Iterator[Process]:
    """Yield every process in the control group of a unit with one of these names."""
    wanted = frozenset(names)
    for pid in list_pids(procfs):
        try:
            cgroups = parse_cgroups((procfs / str(pid) / "cgroup").read_bytes())
        except GONE:
            continue
        process = read_process(procfs, pid) if wanted & units_of(cgroups) else None
        if process is not None:
            yield process
