"""Every alert has a playbook or is marked as people's, every playbook has an alert, and no two answer the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from remediator.check.labels import labels_of_rule
from remediator.check.rules import Rule
from remediator.check.world import World
from remediator.model import Matcher, Playbook
from remediator.playbooks.match import matches_one
from selfheal.common.problems import Problem

name = "coverage"
_ALTERNATIVES = re.compile(r"[A-Za-z0-9_ :/-]+(?:\|[A-Za-z0-9_ :/-]+)*")


def can_answer(playbook: Playbook, rule: Rule, world: World) -> bool:
    """Say whether the playbook's trigger can fit an alert of this rule, as far as labels are known beforehand."""
    if playbook.trigger.alert != rule.name:
        return False
    known = labels_of_rule(rule, world.rules)
    for matcher in playbook.trigger.match:
        value = rule.labels.get(matcher.label)
        if value is None and not known.may_have(matcher.label):
            value = ""
        if value is not None and "{{" not in value and not matches_one(matcher, value):
            return False
    return True


def check(world: World) -> Iterator[Problem]:
    """Yield every gap and every overlap between alerts and playbooks."""
    for rule in world.alerts:
        answers = [playbook.name for playbook in world.playbooks if can_answer(playbook, rule, world)]
        value = rule.annotations.get("playbook")
        if value not in (None, "none"):
            what = f"must be none or absent, not {value!r}"
            yield Problem(rule.file, f"{rule.at}.annotations.playbook", what, "the playbook's trigger names the alert")
        if not answers and not rule.for_people_only and world.complete:
            what = f"no playbook answers {rule.name}"
            yield Problem(rule.file, rule.at, what, "write one, or add the annotation playbook: none")
        if answers and rule.for_people_only:
            what = f"{rule.name} is marked playbook: none, and {', '.join(answers)} would answer it"
            yield Problem(rule.file, f"{rule.at}.annotations.playbook", what, "remove the mark or the trigger")
    for playbook in world.playbooks:
        if world.complete and not any(can_answer(playbook, rule, world) for rule in world.alerts):
            what = f"no rule fires {playbook.trigger.alert} with labels that match"
            yield Problem(playbook.source, "trigger", what, "mend the name or the matchers, or list the rule's file")
    yield from _overlaps(world)


def _overlaps(world: World) -> Iterator[Problem]:
    for one, other in combinations(world.playbooks, 2):
        alike = one.trigger.alert == other.trigger.alert and len(one.trigger.match) == len(other.trigger.match)
        if alike and not _apart(one.trigger.match, other.trigger.match):
            what = f"{other.name} and {one.name} can answer the same {one.trigger.alert} and are equally specific"
            yield Problem(other.source, "trigger.match", what, "add a matcher that only one of them has")


def _apart(one: tuple[Matcher, ...], other: tuple[Matcher, ...]) -> bool:
    """Say whether no alert can match both: for some label one of them lists values that the other refuses."""
    for left, right in ((one, other), (other, one)):
        for listing in left:
            values = _values(listing)
            against = [matcher for matcher in right if matcher.label == listing.label]
            if values and against and not any(all(matches_one(m, value) for m in against) for value in values):
                return True
    return False


def _values(matcher: Matcher) -> list[str]:
    """Return every value that a matcher accepts, if these can be listed."""
    if matcher.operator == "=":
        return [matcher.value]
    if matcher.operator == "=~" and _ALTERNATIVES.fullmatch(matcher.value):
        return matcher.value.split("|")
    return []
