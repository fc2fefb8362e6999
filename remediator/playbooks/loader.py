"""Playbook files, read strictly into frozen values: every fault of every file at once, with path and remedy.

What needs rules, policy or configuration beside the playbook is checked in `check/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from remediator.actions import ACTIONS
from remediator.model import Action, BlastRadius, Diagnosis, Limits, Mode, Playbook, Reversible, Step, Trigger, Verify
from remediator.playbooks.arguments import argument_faults
from remediator.playbooks.diagnoses import diagnosis_faults
from remediator.playbooks.written import PlaybookFile, WrittenLimits
from selfheal.common.documents import read_as, read_yaml
from selfheal.common.problems import ConfigError, Problem

DEFAULT_LIMITS = Limits()


def load_playbooks(
    paths: Iterable[Path],
    defaults: Limits = DEFAULT_LIMITS,
    actions: Mapping[str, Action] = ACTIONS,
) -> tuple[Playbook, ...]:
    """Given playbook files (one playbook each) and the limits of one that names none, return the playbooks by name.

    Raise ConfigError with every problem of every file: unknown keys, wrong types, unknown actions and arguments,
    templates where none may stand, and names used twice.
    """
    found: list[Playbook] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            found.append(load_playbook(path, defaults, actions))
        except ConfigError as error:
            problems += error.problems
    problems += names_used_twice(found)
    if problems:
        raise ConfigError(problems)
    return tuple(sorted(found, key=lambda playbook: playbook.name))


def load_playbook(
    path: Path,
    defaults: Limits = DEFAULT_LIMITS,
    actions: Mapping[str, Action] = ACTIONS,
) -> Playbook:
    """Given one playbook file, return the playbook. Raise ConfigError as `load_playbooks` does."""
    document = read_yaml(path)
    # asked of what was written, so that a fault elsewhere does not hide those of the steps
    found = (*_step_faults(document, actions), *diagnosis_faults(document))
    faults = [Problem(str(path), at, what, remedy) for at, what, remedy in found]
    try:
        written = read_as(PlaybookFile, document, str(path))
    except ConfigError as error:
        raise ConfigError([*error.problems, *faults]) from error
    if faults:
        raise ConfigError(faults)
    return _playbook(written, str(path), defaults)


def _step_faults(document: Any, actions: Mapping[str, Action]) -> Iterator[tuple[str, str, str]]:
    steps = document.get("steps") if isinstance(document, dict) else None
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(step, dict) or not isinstance(step.get("action"), str):
            continue
        arguments = step.get("with", {})
        action = actions.get(step["action"])
        if action is None:
            known = ", ".join(sorted(actions))
            yield f"steps[{index}].action", f"{step['action'][:80]!r} is no action", f"known are {known}"
        elif isinstance(arguments, dict):
            for name, what, remedy in argument_faults(action, arguments):
                yield f"steps[{index}].with" + (f".{name}" if name else ""), what, remedy
        if action is not None and step.get("undo") is True and not isinstance(action, Reversible):
            yield f"steps[{index}].undo", f"{action.name} cannot take back what it did", "remove undo"
        if step.get("unless_healed") is True and step.get("always") is True:
            what = "cannot stand beside always: what must run in any case is not asked about"
            yield f"steps[{index}].unless_healed", what, "remove one of the two"


def _playbook(written: PlaybookFile, source: str, defaults: Limits) -> Playbook:
    content: dict[str, Any] = {
        "name": written.playbook,
        "title": _titles(written),
        "trigger": Trigger(written.trigger.alert or "", tuple(written.trigger.match), written.trigger.manual),
        "mode": Mode(written.mode),
        "target": dict(written.target),
        "limits": _limits(written.limits, defaults),
        "steps": tuple(
            Step(
                step.action,
                dict(step.arguments),
                step.timeout,
                step.always,
                step.on_failure,
                step.unless_healed,
                step.undo,
            )
            for step in written.steps
        ),
        "verify": None if written.verify is None else Verify(**written.verify.model_dump()),
        "otherwise": tuple(written.otherwise),
        "when": written.when,
        "diagnose": tuple(Diagnosis(each.probe, dict(each.arguments), each.timeout) for each in written.diagnose),
    }
    canonical = Playbook(**content, digest="")
    text = json.dumps(asdict(canonical), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Playbook(**content, digest=hashlib.sha256(text.encode()).hexdigest(), source=source)


def _titles(written: PlaybookFile) -> dict[str, str]:
    given = written.title or {"en": written.playbook}
    other = next(iter(given.values()))
    return {language: given.get(language, other) for language in ("en", "ko")}


def _limits(written: WrittenLimits, defaults: Limits) -> Limits:
    given = {key: value for key, value in written.model_dump().items() if value is not None}
    if "rate" in given:
        given["rate"] = tuple(written.rate or ())
    if written.blast_radius is not None:
        radius = written.blast_radius
        percent, count = radius.most
        labels = tuple(dict.fromkeys(radius.by))
        given["blast_radius"] = BlastRadius(labels, percent, count, radius.window, radius.quorum)
    return Limits(**({key: getattr(defaults, key) for key in Limits.__slots__} | given))


def names_used_twice(playbooks: Iterable[Playbook]) -> Iterator[Problem]:
    """Given playbooks, yield a problem for each name that two of them have."""
    first: dict[str, Playbook] = {}
    for playbook in playbooks:
        if playbook.name in first:
            what = f"{playbook.name!r} is used by {first[playbook.name].source} too"
            yield Problem(playbook.source, "playbook", what, "rename one of them")
        first.setdefault(playbook.name, playbook)
