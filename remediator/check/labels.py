"""Every label and annotation that a playbook fills in exists on the alerts that it is started for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remediator.check.answers import rules_of
from remediator.check.known_labels import labels_of_rule
from remediator.check.world import World
from remediator.model import Playbook
from remediator.playbooks.templates import Reference, has_template, parse_expression, references
from selfheal.common.problems import Problem

name = "labels"


def check(world: World) -> Iterator[Problem]:
    """Yield every template whose label or annotation an alert of the playbook does not have."""
    for playbook in world.playbooks:
        for rule in rules_of(playbook, world):
            known = labels_of_rule(rule, world.rules)
            for at, reference in used(playbook):
                if reference.source == "annotations" and reference.name not in rule.annotations:
                    what = f"{rule.name} has no annotation {reference.name}"
                    yield Problem(playbook.source, at, what, "add it to the rule or use another")
                if reference.source == "labels" and not known.may_have(reference.name):
                    have = ", ".join(sorted(known.names | {"alertname"}))
                    what = f"{rule.name} has no label {reference.name}"
                    remedy = (
                        f'it has {have}; a label of a target is known by a matcher such as {{{reference.name}!=""}}'
                    )
                    yield Problem(playbook.source, at, what, remedy)


def used(playbook: Playbook) -> Iterator[tuple[str, Reference]]:
    """Given a playbook, yield every template in it with its path."""
    for key, text in playbook.target.items():
        for reference in references(text):
            yield f"target.{key}", reference
    for index, step in enumerate(playbook.steps):
        yield from _in_arguments(f"steps[{index}].with", step.arguments)
    for index, diagnosis in enumerate(playbook.diagnose):
        yield from _in_arguments(f"diagnose[{index}].with", diagnosis.arguments)
    if playbook.limits.blast_radius is not None:
        for number, label in enumerate(playbook.limits.blast_radius.by):
            yield f"limits.blast_radius.by[{number}]", Reference("labels", label)
    for at, expression in expressions(playbook):
        for part in parse_expression(expression):
            if part.reference is not None:
                yield at, part.reference


def expressions(playbook: Playbook) -> Iterator[tuple[str, str]]:
    """Given a playbook, yield every expression that it declares, with its path; templates are not filled in."""
    radius, verify = playbook.limits.blast_radius, playbook.verify
    declared = [("limits.blast_radius.quorum", radius.quorum if radius else None), ("when", playbook.when)]
    if verify is not None:
        declared += [("verify.healthy", verify.healthy), ("verify.alive", verify.alive)]
    yield from ((at, text) for at, text in declared if text is not None)


def _in_arguments(at: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            yield from _in_arguments(f"{at}.{key}", value)
        elif isinstance(value, str) and has_template(value):
            # of PromQL too: there the loader lets templates stand in quoted matcher values only
            for reference in references(value):
                yield f"{at}.{key}", reference
