"""The door to systemd: units are looked at, and touched, as the policy permits; `shell` starts the program.

Before a unit is touched everything that systemd would drag along is looked at as well; what nothing is told of is left
alone. No shell reads anything, and a unit's name stands behind `--`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.policy import Door, Policy
from remediator.policy.owned import untrusted
from remediator.policy.refusals import nobody_hears
from remediator.policy.scale import may_scale, scaling
from remediator.policy.unit_facts import (
    RESTING,
    SHOWN,
    TRIGGER,
    Facts,
    dragged_along,
    machine_refusal,
    read_units,
    unit_refusal,
)
from remediator.shell import Finished, keep_output, run_program

STATUS = ("Id", "Names", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "ExecMainStatus")
"""Properties that tell a person, or a probe, how a unit is."""
MOST_LOOKS = 20
"""Looks along the dependencies of one unit; what reaches further is refused."""
SHOWN_OUTPUT = 500
"""Characters of the end of what systemctl wrote that are told."""

_REFUSED_CODES = frozenset({3, 4, 5, 6})
"""Exit codes of systemctl for: not applicable, not permitted, not found, not usable."""
_REFUSED_WORDS = (
    *("Access denied", "Interactive authentication required", "Failed to connect to bus", "Cannot set property"),
    *("not found", "not loaded", "is masked", "cannot reload", "not supported", "already once", "frozen unit"),
)
"""How systemctl says that nothing was begun, where its code does not."""

Monotonic: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What systemd says of a unit, and the units to which it would do something too, each with what."""

    facts: Facts
    along: Mapping[str, str]


def run_unit(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Finished:
    """Given a unit of systemd and a verb that the policy permits, run `systemctl` and return what became of it.

    `status` gives `KEY=VALUE` lines. Raise Refused if the policy does not permit it or what is dragged along, the unit
    has another name that is never touched, we run in it ourselves, or a process of it is one that is never signalled;
    ActionFailed if systemd cannot be asked.
    """
    policy.unit(unit, verb)
    if verb == "status":
        return _run(policy, ("show", f"--property={','.join(STATUS)}"), (unit,), timeout, monotonic)
    return _touch(policy, (verb,), (unit,), timeout, monotonic)


def look_at_unit(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Seen:
    """Given a unit and what is to be done to it, return what systemd says of it. Raise as `run_unit`."""
    policy.unit(unit, verb)
    return _look(policy, unit, verb, timeout, monotonic)


def read_state(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Facts:
    """Given a unit to which something permitted was done, return what systemd says of it now. Raise as `run_unit`."""
    policy.unit(unit, verb)
    return _facts_of(policy, unit, timeout, monotonic)


def limit_unit(policy: Policy, unit: str, limits: Mapping[str, str], timeout: float, monotonic: Monotonic) -> Finished:
    """Given a unit and properties of systemd, have it keep them until the next boot. Raise as `run_unit`.

    The caller vouches for the properties: they are literals of ours, and their values numbers.
    """
    policy.unit(unit, "limit")
    values = [f"{name}={value}" for name, value in limits.items()]
    return _touch(policy, ("--runtime", "set-property"), (unit, *values), timeout, monotonic)


def look_at_instances(policy: Policy, template: str, timeout: float, monotonic: Monotonic) -> list[Facts]:
    """Given a template that may be scaled, return what systemd says of each instance that it knows.

    Raise Refused if the policy does not permit it, ActionFailed if systemd cannot be asked.
    """
    scaling(policy, template)
    return [*_show(policy, (template.replace("@.", "@*."),), timeout, monotonic)]


def look_at_instance(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Seen:
    """Given a numbered instance and `start` or `stop`, return what systemd says of it. Raise as `run_unit`."""
    may_scale(policy, unit, verb)
    return _look(policy, unit, verb, timeout, monotonic)


def run_instance(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Finished:
    """Given a numbered instance of a template that may be scaled, `start` or `stop` it. Raise as `run_unit`."""
    may_scale(policy, unit, verb)
    return _touch(policy, (verb,), (unit,), timeout, monotonic)


def settle(finished: Finished, verb: str, unit: str) -> None:
    """Given what became of a systemctl that touched a unit, return if systemd did it, or its job for it failed.

    Raise ActionFailed if systemd is known to have begun nothing, OutcomeUnknown if its answer is not known: an answer
    that was lost says nothing of what systemd still does.
    """
    if finished.why_ended is not None:
        raise OutcomeUnknown(f"{verb} of unit {unit!r} was left alone because {finished.why_ended}")
    if finished.ok or "job for" in finished.output.lower():
        return
    told = finished.output[-SHOWN_OUTPUT:]
    if finished.code in _REFUSED_CODES or any(word in finished.output for word in _REFUSED_WORDS):
        raise ActionFailed(f"systemd would not {verb} unit {unit!r}: {told}")
    raise OutcomeUnknown(f"what systemd made of {verb} of unit {unit!r} is not known: {told}")


def _touch(
    policy: Policy, command: Sequence[str], operands: Sequence[str], timeout: float, monotonic: Monotonic
) -> Finished:
    """Do something to the unit that is the first operand, unless it or what is dragged along must not be touched."""
    end_at = monotonic() + timeout
    _look(policy, operands[0], command[-1], timeout, monotonic)
    return _run(policy, ("--no-pager", *command), operands, end_at - monotonic(), monotonic)


def _look(policy: Policy, unit: str, verb: str, timeout: float, monotonic: Monotonic) -> Seen:
    end_at = monotonic() + timeout
    facts = _facts_of(policy, unit, timeout, monotonic)
    refusal = unit_refusal(unit, facts, policy.procfs)
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)
    found: dict[str, str] = {}
    known = {(name, what) for name in (unit, *facts.get("Names", "").split()) for what in (verb, "start")}
    waiting = dragged_along(verb, facts)
    for _ in range(MOST_LOOKS):
        waiting -= known
        if not waiting:
            return Seen(facts, found)
        known |= waiting
        asked = sorted({name for name, _ in waiting})
        others = _show(policy, asked, end_at - monotonic(), monotonic)
        # systemd calls each by its own name, whichever of its names it was asked for
        untold = set(asked) - {name for other in others for name in other.get("Names", "").split()}
        if untold:
            raise ActionFailed(f"systemd says nothing of {sorted(untold)[0]!r}, which unit {unit!r} drags along")
        onward: set[tuple[str, str]] = set()
        for other in others:
            names = other.get("Names", "").split()
            # of several the last is the hardest
            for what in sorted({what for name, what in waiting if name in names}):
                if not _is_changed(other, what):
                    continue
                _may_be_dragged(policy, unit, other, what)
                name = other.get("Id", "")
                # what is sure is told rather than what may be
                found[name] = found.get(name, what) if what == TRIGGER else what
                onward |= dragged_along(what, other)
        waiting = onward
    raise policy.refused(Door.SHELL, f"unit {unit!r} drags too many others along")


def _is_changed(other: Facts, what: str) -> bool:
    """Say whether systemd has anything to do: what runs is not started, and all else is done only to what runs."""
    if what == TRIGGER:
        # that is later, when what runs now may have ended
        return other.get("LoadState") == "loaded"
    resting = other.get("ActiveState") in RESTING
    return resting and other.get("LoadState") == "loaded" if what == "start" else not resting


def _may_be_dragged(policy: Policy, unit: str, other: Facts, what: str) -> None:
    name = other.get("Id", "")
    try:
        if what == "start":
            # what a unit needs is started without a permission; to whom that would do something is asked next
            refusal = machine_refusal(name, other)
        else:
            replace(policy, heard=nobody_hears).unit(name, "start" if what == TRIGGER else what)
            refusal = unit_refusal(name, other, policy.procfs)
    except Refused as error:
        refusal = error.detail
    if refusal is not None:
        raise policy.refused(Door.SHELL, f"with unit {unit!r} systemd does {what} to {name!r}: {refusal}")


def _facts_of(policy: Policy, unit: str, timeout: float, monotonic: Monotonic) -> Facts:
    found = _show(policy, (unit,), timeout, monotonic)
    # a systemctl that finds no systemd says nothing, and calls that a success
    if not found:
        raise ActionFailed(f"systemd says nothing of unit {unit!r}")
    return found[0]


def _show(policy: Policy, units: Sequence[str], timeout: float, monotonic: Monotonic) -> list[dict[str, str]]:
    argv = (_program(policy), "--no-ask-password", "show", f"--property={','.join(SHOWN)}", "--", *units)
    code, output, errors = keep_output(argv, {}, b"", monotonic() + timeout, monotonic)
    shown = output.decode("utf-8", "replace")
    if code != 0:
        told = (shown + errors).strip()[-200:]
        raise ActionFailed(f"unit {units[0]!r} cannot be looked at before it is touched: {told}")
    return read_units(shown)


def _run(
    policy: Policy, command: Sequence[str], operands: Sequence[str], timeout: float, monotonic: Monotonic
) -> Finished:
    if timeout <= 0:
        # begun and ended at once, nobody could say what became of it
        raise ActionFailed(f"no time is left for {command[-1]} of unit {operands[0]!r}")
    argv = (_program(policy), "--no-ask-password", *command, "--", *operands)
    return run_program(argv, f"{operands[0]} {command[-1]}", timeout, monotonic)


def _program(policy: Policy) -> str:
    path = policy.programs.systemctl
    # what is not there cannot be another's: starting it tells so
    refusal = untrusted(path) if Path(path).exists() else None
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)
    return path
