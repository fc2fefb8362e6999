"""Whether and how soon each alert can be proven healed, and whether its playbook waits and watches long enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from remediator.check.answers import can_answer, rules_of
from remediator.check.rules import Rule
from remediator.check.world import World, rule_text
from remediator.judge import (
    Case,
    ExpressionCase,
    Proof,
    Refusal,
    declared_witnesses,
    prepare,
    prepare_expression,
    recorded_names,
)
from remediator.judge.inputs import Recorded, window_ms
from remediator.judge.parse import Unreadable, parse
from remediator.judge.shape import SILENT
from remediator.model import Alert, Playbook, Verify
from remediator.playbooks.templates import parse_expression, render_expression
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "proof"
SCRAPES = 3
"""Scrapes that proof needs at most once the window has passed."""


@dataclass(frozen=True, slots=True)
class AlertProof:
    """How one alert can be proven healed."""

    alert: str
    file: str
    at: str
    playbook: str | None
    """The playbook that answers it, if one does."""
    proof: Proof
    window_seconds: float
    detail: str = ""
    """Why it must be declared."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "alert": self.alert,
            "file": self.file,
            "path": self.at,
            "playbook": self.playbook,
            "proof": self.proof.value,
            "window_seconds": self.window_seconds,
            "detail": self.detail,
        }


def proofs(world: World) -> tuple[AlertProof, ...]:
    """Return how each alert can be proven healed by its own expression, in the order of the rules."""
    recorded = world.recorded
    return tuple(_proof(world, rule, recorded) for rule in world.alerts)


def _proof(world: World, rule: Rule, recorded: Recorded) -> AlertProof:
    answers = [playbook.name for playbook in world.playbooks if can_answer(playbook, rule, world)]
    playbook = answers[0] if answers and not rule.for_people_only else None
    case = prepare(rule_text(rule, world.scrape_interval), recorded)
    if isinstance(case, Refusal):
        return AlertProof(rule.name, rule.file, rule.at, playbook, Proof.DECLARE, 0.0, str(case))
    return AlertProof(rule.name, rule.file, rule.at, playbook, case.proof, case.window_seconds)


def check(world: World) -> Iterator[Problem]:
    """Yield every playbook that could not prove its success, or would stop looking too early."""
    for playbook in world.playbooks:
        verify = playbook.verify
        if verify is None:
            continue
        problems: list[Problem] = []
        windows = list(_declared(playbook, verify, world, problems))
        yield from problems
        yield from _never_worse(playbook, verify, world)
        for rule in rules_of(playbook, world):
            yield from _against(rule, playbook, verify, windows, world)


def _declared(playbook: Playbook, verify: Verify, world: World, problems: list[Problem]) -> Iterator[float]:
    """Yield the windows of `healthy:` and `alive:`; what cannot be judged is added to `problems`."""
    for key, text in (("healthy", verify.healthy), ("alive", verify.alive)):
        if text is None:
            continue
        rendered = sample(text)
        case = prepare_expression(rendered, world.recorded)
        if isinstance(case, ExpressionCase):
            yield case.window_seconds
        else:
            what, _, remedy = str(case).rpartition("; ")
            problems.append(Problem(playbook.source, f"verify.{key}", what, remedy))
        silent = [series for series in recorded_names(rendered) if series in SILENT]
        if silent:
            what = f"asks {silent[0]}: an alert that is silent is no proof"
            problems.append(Problem(playbook.source, f"verify.{key}", what, "ask what was measured"))


def _never_worse(playbook: Playbook, verify: Verify, world: World) -> Iterator[Problem]:
    """Yield a warning where steps could be taken back, but nothing tells that they made it worse."""
    if verify.healthy is None or not any(step.undo for step in playbook.steps):
        return
    case = prepare_expression(sample(verify.healthy), world.recorded)
    if isinstance(case, ExpressionCase) and not any(each.worse for each in declared_witnesses(case, {})):
        what = "has no way that is worse, so no step is taken back because it made things worse"
        yield Problem(playbook.source, "verify.healthy", what, "compare with <, <=, > or >=, as in x < 5", "warning")


def sample(expression: str) -> str:
    """Given an expression with templates, return it filled in with harmless values, to be read as PromQL."""
    used = [part.reference for part in parse_expression(expression) if part.reference is not None]
    labels = {reference.name: "x" for reference in used if reference.source == "labels"}
    annotations = {reference.name: "x" for reference in used if reference.source == "annotations"}
    return render_expression(expression, Alert("firing", labels, annotations, 0.0, ""))


def _against(rule: Rule, playbook: Playbook, verify: Verify, windows: list[float], world: World) -> Iterator[Problem]:
    case = prepare(rule_text(rule, world.scrape_interval), world.recorded)
    if isinstance(case, Refusal) and verify.healthy is None:
        what, _, remedy = str(case).rpartition("; ")
        yield Problem(playbook.source, "verify.healthy", f"{rule.name} cannot be judged: {what}", remedy)
    longest = _longest(rule, case, world)
    if verify.watch < longest + rule.for_seconds:
        what = f"{format_duration(verify.watch)} cannot see {rule.name} come back"
        yield Problem(playbook.source, "verify.watch", what, _at_least(longest + rule.for_seconds, longest, rule))
    window = case.window_seconds if isinstance(case, Case) and verify.healthy is None else 0.0
    window = max([window, *windows])
    needed = window + verify.healthy_for + SCRAPES * world.scrape_interval
    if verify.within < needed:
        what = f"{format_duration(verify.within)} is too short to prove {rule.name} healed"
        remedy = (
            f"write at least {format_duration(needed)}: {format_duration(window)} window, "
            f"{format_duration(verify.healthy_for)} healthy_for, {SCRAPES} scrapes"
        )
        yield Problem(playbook.source, "verify.within", what, remedy)


def _at_least(needed: float, longest: float, rule: Rule) -> str:
    return (
        f"write at least {format_duration(needed)}: "
        f"{format_duration(longest)} window, {format_duration(rule.for_seconds)} for"
    )


def _longest(rule: Rule, case: Case | Refusal, world: World) -> float:
    if isinstance(case, Case):
        return case.longest_seconds
    try:
        return window_ms(parse(rule.expr), world.recorded) / 1000
    except (Unreadable, RecursionError):
        return 0.0
