"""What every alert must say to a person, and that two rules of one name can be told apart."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.world import World
from selfheal.common.problems import Problem

name = "alerts"
WANTED = ("summary", "description", "runbook_url")


def check(world: World) -> Iterator[Problem]:
    """Yield a warning for each alert that leaves a person without words, an error for one that is ambiguous."""
    for rule in world.alerts:
        missing = [key for key in WANTED if not rule.annotations.get(key)]
        if "severity" not in rule.labels:
            yield Problem(rule.file, f"{rule.at}.labels", f"{rule.name} has no severity", "add one", "warning")
        if missing:
            what = f"{rule.name} has no {', '.join(missing)}"
            yield Problem(rule.file, f"{rule.at}.annotations", what, "add them for the person who reads it", "warning")
    yield from _ambiguous(world)


def _ambiguous(world: World) -> Iterator[Problem]:
    """Two rules whose alerts look the same: nobody can tell which of them fired, so none is proven healed."""
    first: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for rule in world.alerts:
        if rule.for_people_only:
            continue
        key = (rule.name, frozenset(rule.labels.items()))
        if key in first:
            what = f"{rule.name} is fired by {first[key]} too, with the same labels"
            yield Problem(rule.file, rule.at, what, "give one of them another name or a label of its own")
        first.setdefault(key, f"{rule.file}: {rule.at}")
