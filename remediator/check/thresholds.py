"""Overrides of thresholds that no alert reads: they would change nothing, silently."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.world import World
from remediator.judge.parse import Unreadable, parse
from remediator.judge.tree import Selector, selectors
from selfheal.common.problems import Problem

name = "thresholds"
SERIES = "selfheal:threshold"


def check(world: World) -> Iterator[Problem]:
    """Yield a warning for each override whose check and level no rule asks for."""
    asked = [selector for rule in world.rules for selector in _thresholds(rule.expr)]
    for rule in world.rules:
        if rule.is_alert or rule.name != SERIES:
            continue
        if not any(_reads(selector, rule.labels) for selector in asked):
            labels = ", ".join(f"{key}={rule.labels.get(key, '')!r}" for key in ("check", "level"))
            what = f"no alert reads an override with {labels}"
            remedy = "mend check or level; the alert's expression shows them"
            yield Problem(rule.file, f"{rule.at}.labels", what, remedy, "warning")


def _thresholds(expr: str) -> Iterator[Selector]:
    try:
        yield from (selector for selector in selectors(parse(expr)) if selector.name == SERIES)
    except Unreadable:
        return


def _reads(selector: Selector, labels: object) -> bool:
    known = labels if isinstance(labels, dict) else {}
    return all(known.get(matcher.label, "") == matcher.value for matcher in selector.matchers if matcher.op == "=")
