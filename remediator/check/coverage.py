"""Every alert has a playbook or is marked as people's, and every playbook has an alert."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.answers import can_answer, fits, may_come_from_elsewhere
from remediator.check.world import World
from remediator.consider import OF_A_DATASOURCE
from remediator.model import Playbook
from selfheal.common.problems import Problem

name = "coverage"

_LIST_IT = "list the rule's file under rules in the configuration"


def check(world: World) -> Iterator[Problem]:
    """Yield every gap between alerts and playbooks."""
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
        if playbook.trigger.alert in OF_A_DATASOURCE:
            what = f"{playbook.trigger.alert} tells that a data source failed, and such alerts are never answered"
            yield Problem(playbook.source, "trigger.alert", what, "name the alert about what is measured")
        elif world.complete and not may_come_from_elsewhere(playbook):
            yield from _unreachable(playbook, world)


def _unreachable(playbook: Playbook, world: World) -> Iterator[Problem]:
    alert = playbook.trigger.alert
    rules = [rule for rule in world.alerts if rule.name == alert]
    if not rules:
        what = f"no rule fires {alert}, so nothing starts it"
        yield Problem(playbook.source, "trigger.alert", what, f"mend the name, or {_LIST_IT}")
    elif not any(can_answer(playbook, rule, world) for rule in rules):
        for index, matcher in enumerate(playbook.trigger.match):
            if all(fits(matcher, rule, world) is False for rule in rules):
                what = f"no rule fires {alert} with a {matcher.label} that fits, so nothing starts it"
                remedy = _told_by_rules(matcher.label, [rule.labels.get(matcher.label) for rule in rules])
                yield Problem(playbook.source, f"trigger.match[{index}]", what, remedy)
                return
        what = f"no rule fires {alert} with labels that fit all matchers, so nothing starts it"
        yield Problem(playbook.source, "trigger.match", what, f"mend the matchers, or {_LIST_IT}")


def _told_by_rules(label: str, values: list[str | None]) -> str:
    known = sorted({value for value in values if value is not None})
    return f"it has {label} {' or '.join(known)}" if known else "its rule gives it no such label"
