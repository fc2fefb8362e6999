"""No two playbooks answer the same alert equally well, and none is hidden wholly behind another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from remediator.check.answers import can_answer, fits, may_come_from_elsewhere
from remediator.check.rules import Rule
from remediator.check.world import World
from remediator.model import Matcher, Playbook
from remediator.playbooks.match import matches_one
from selfheal.common.problems import Problem

name = "overlaps"
_ALTERNATIVES = re.compile(r"[A-Za-z0-9_ :/-]+(?:\|[A-Za-z0-9_ :/-]+)*")


def check(world: World) -> Iterator[Problem]:
    """Yield every pair between which the name would decide, and every playbook that is never the most specific."""
    for one, other in combinations(world.playbooks, 2):
        if not one.trigger.alert or one.trigger.alert != other.trigger.alert or not _meet(one, other, world):
            continue
        alert = one.trigger.alert
        if len(one.trigger.match) == len(other.trigger.match):
            what = f"{other.name} and {one.name} can answer the same {alert} and are equally specific"
            yield Problem(other.source, "trigger.match", what, "add a matcher that only one of them has")
    for playbook in world.playbooks:
        hiding = _hiding(playbook, world)
        if hiding:
            what = f"{' and '.join(hiding)} answers every {playbook.trigger.alert} that it could, with more matchers"
            yield Problem(
                playbook.source, "trigger.match", what, "narrow the other's matchers, or remove this playbook"
            )


def _meet(one: Playbook, other: Playbook, world: World) -> bool:
    """Say whether one alert can match both."""
    if _apart(one.trigger.match, other.trigger.match):
        return False
    if not world.complete or may_come_from_elsewhere(one) or may_come_from_elsewhere(other):
        return True
    return any(can_answer(one, rule, world) and can_answer(other, rule, world) for rule in world.alerts)


def _hiding(playbook: Playbook, world: World) -> tuple[str, ...]:
    """Return the playbooks that take every alert from it, or nothing if one may be left to it."""
    rivals = [
        other
        for other in world.playbooks
        if other.trigger.alert == playbook.trigger.alert and len(other.trigger.match) > len(playbook.trigger.match)
    ]
    if not playbook.trigger.alert or playbook.trigger.manual:
        # people can still start it
        return ()
    if may_come_from_elsewhere(playbook) or not world.complete:
        found = next((other.name for other in rivals if _takes(other, playbook, None, world)), None)
        return () if found is None else (found,)
    hiding: dict[str, None] = {}
    for rule in world.alerts:
        if can_answer(playbook, rule, world):
            found = next((other.name for other in rivals if _takes(other, playbook, rule, world)), None)
            if found is None:
                return ()
            hiding[found] = None
    return tuple(hiding)


def _takes(other: Playbook, playbook: Playbook, rule: Rule | None, world: World) -> bool:
    """Say whether every alert (of the rule) that matches the playbook matches the other too."""
    return all(
        _implied(matcher, playbook.trigger.match) or (rule is not None and fits(matcher, rule, world) is True)
        for matcher in other.trigger.match
    )


def _implied(matcher: Matcher, given: tuple[Matcher, ...]) -> bool:
    """Say whether labels that fit all given matchers fit this one."""
    if matcher in given:
        return True
    about = [each for each in given if each.label == matcher.label]
    return any(values and all(matches_one(matcher, value) for value in values) for values in map(_values, about))


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
