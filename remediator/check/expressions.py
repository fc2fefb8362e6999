"""Expressions of playbooks: those of probes are PromQL, and no matcher names a label that its series cannot have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from remediator.check.known_labels import MEASURED_LABELS, TARGET_LABELS, labels_of_family, wants_some_value
from remediator.check.labels import expressions
from remediator.check.proof import sample
from remediator.check.world import World
from remediator.judge.parse import Unreadable, parse
from remediator.judge.tree import Selector, selectors
from remediator.model import ArgumentType, Playbook
from remediator.probes import PROBES
from selfheal.common.problems import Problem

name = "expressions"


def check(world: World) -> Iterator[Problem]:
    """Yield every expression that could only ever return nothing, or an error."""
    for playbook in world.playbooks:
        for at, text in _of_probes(playbook):
            problem = _parse_problem(text)
            if problem is not None:
                yield Problem(playbook.source, at, problem, "mend the expression")
        for at, text in (*expressions(playbook), *_of_probes(playbook)):
            for selector in _selectors(text):
                yield from _impossible(playbook, at, selector)


def _of_probes(playbook: Playbook) -> Iterator[tuple[str, str]]:
    for index, each in enumerate(playbook.diagnose):
        for key, value in each.arguments.items():
            if PROBES[each.probe].arguments[key].type is ArgumentType.EXPRESSION and isinstance(value, str):
                yield f"diagnose[{index}].with.{key}", value


def _parse_problem(text: str) -> str | None:
    try:
        parse(sample(text))
    except Unreadable as error:
        # what our reader does not know Prometheus may: only text that is no PromQL at all is wrong here
        return str(error) if "does not parse" in str(error) else None
    return None


def _selectors(text: str) -> tuple[Selector, ...]:
    try:
        return selectors(parse(sample(text)))
    except Unreadable:
        # told where the expression is judged
        return ()


def _impossible(playbook: Playbook, at: str, selector: Selector) -> Iterator[Problem]:
    own = labels_of_family(selector.name)
    if own is None:
        return
    known = sorted(own | TARGET_LABELS)
    for matcher in selector.matchers:
        if matcher.label in known or not wants_some_value(matcher):
            continue
        what = f"{selector.name} has no label {matcher.label}, so this returns nothing"
        if matcher.label in MEASURED_LABELS:
            yield Problem(playbook.source, at, what, f"it has {', '.join(known)}")
        elif near := difflib.get_close_matches(matcher.label, known, n=1):
            # any other may be a label of the target
            yield Problem(playbook.source, at, what, f"did you mean {near[0]}?", "warning")
