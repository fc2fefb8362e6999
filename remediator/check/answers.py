"""Which alerts a playbook can be about: those of its own trigger, and those of a playbook whose ladder names it."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.known_labels import labels_of_rule
from remediator.check.rules import Rule
from remediator.check.world import World
from remediator.model import Matcher, Playbook
from remediator.playbooks.match import matches_one


def can_answer(playbook: Playbook, rule: Rule, world: World) -> bool:
    """Say whether the playbook's trigger can fit an alert of this rule, as far as labels are known beforehand."""
    if playbook.trigger.alert != rule.name:
        return False
    return all(fits(matcher, rule, world) is not False for matcher in playbook.trigger.match)


def fits(matcher: Matcher, rule: Rule, world: World) -> bool | None:
    """Say whether every alert of the rule fits the matcher (True), none does (False), or it cannot be known (None)."""
    value = rule.labels.get(matcher.label)
    if value is None and not labels_of_rule(rule, world.rules).may_have(matcher.label):
        value = ""
    if value is None or "{{" in value:
        return None
    return matches_one(matcher, value)


def rules_of(playbook: Playbook, world: World) -> Iterator[Rule]:
    """Yield each rule whose alert the playbook can be asked to heal: by its trigger, or as a rung of another's ladder.

    A rung is filled in and judged with the alert of the playbook that was asked first.
    """
    first = [playbook, *(other for other in world.playbooks if playbook.name in climbed(other, world))]
    for rule in world.alerts:
        if not rule.for_people_only and any(can_answer(each, rule, world) for each in first):
            yield rule


def climbed(playbook: Playbook, world: World) -> tuple[str, ...]:
    """Return the playbooks of a ladder that are really tried: up to the first name that means people."""
    names = {other.name for other in world.playbooks}
    found: list[str] = []
    for rung in playbook.otherwise:
        if rung not in names:
            break
        if rung != playbook.name and rung not in found:
            found.append(rung)
    return tuple(found)


def may_come_from_elsewhere(playbook: Playbook) -> bool:
    """Say whether its alert needs no rule that is known here: `when:` stands in for it, or a person starts it."""
    return playbook.when is not None or not playbook.trigger.alert
