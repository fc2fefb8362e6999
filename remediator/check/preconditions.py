"""Before something is destroyed a measurement must say that it is ill now: that nothing objects is not enough."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.answers import rules_of
from remediator.check.proof import sample
from remediator.check.rules import Rule
from remediator.check.steps import CHOOSING, destructive
from remediator.check.world import World, rule_text
from remediator.judge import Refusal, RefusalReason, prepare
from remediator.judge.case import Either, Every, Formula, Leaf
from remediator.judge.inputs import window_ms
from remediator.judge.parse import Unreadable, parse
from remediator.judge.tree import COMPARISONS, Binary, Call, walk
from remediator.model import Playbook, Step
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "preconditions"
MEASURING = frozenset({"process.reap", "disk.clean", "disk.vacuum_journal"})
"""Destructive actions that measure by themselves, at that moment, and touch nothing that is not ill."""
NOTHING_IS_MEASURED = frozenset(
    {RefusalReason.PRESENCE, RefusalReason.NOTHING_MEASURED, RefusalReason.SILENT, RefusalReason.BOOL}
)
"""Rules of these kinds fire because something is there or is missing, not because a value is bad."""
_EXTREMES = frozenset(
    {("max_over_time", op) for op in ("<", "<=", "==")} | {("min_over_time", op) for op in (">", ">=", "==")}
)


def check(world: World) -> Iterator[Problem]:
    """Yield every destructive step that could begin without a measurement of its own moment."""
    for playbook in world.playbooks:
        blind = [index for index in destructive(playbook) if not _measures(playbook.steps[index])]
        if not blind:
            continue
        for rule in rules_of(playbook, world):
            # also where `when:` is declared: it is asked only where Prometheus has no such rule
            yield from _of_rule(playbook, blind[0], rule, world)
        if playbook.when is not None and not _compares(playbook.when):
            what = f"compares nothing, and {playbook.steps[blind[0]].action} destroys"
            yield Problem(playbook.source, "when", what, "compare what was measured, as in: x > 1")


def _measures(step: Step) -> bool:
    chosen = any(step.arguments.get(key) is not None for key in CHOOSING.get(step.action, ()))
    return chosen or step.action in MEASURING


def _of_rule(playbook: Playbook, index: int, rule: Rule, world: World) -> Iterator[Problem]:
    case = prepare(rule_text(rule, world.scrape_interval), world.recorded)
    at, action = f"steps[{index}]", playbook.steps[index].action
    if isinstance(case, Refusal) and case.reason in NOTHING_IS_MEASURED:
        what = f"{action} destroys, and {rule.name} fires without comparing anything that was measured"
        yield Problem(playbook.source, at, what, "let the rule compare a value, or leave the alert to people")
        return
    window = _window(rule, world) if isinstance(case, Refusal) else _behind(case.formula) / 1000
    if window:
        span = format_duration(window)
        what = f"all that {rule.name} compares is the past: it may be well for {span} when {action} begins"
        remedy = "add a comparison without a window to the rule, as in: rate(x[5m]) > 1 and x > 0"
        yield Problem(playbook.source, at, what, remedy, "warning")


def _behind(formula: Formula) -> int:
    """Return for how many milliseconds at most the expression can be true after the last ill sample."""
    match formula:
        case Leaf():
            return 0 if _holds_now(formula) else formula.window_ms
        case Every(parts=parts):
            return min(map(_behind, parts))
        case Either(parts=either):
            return max(map(_behind, either))


def _holds_now(leaf: Leaf) -> bool:
    """Say whether the comparison is of the least or the most in its window, so that the newest sample is ill too."""
    extreme = leaf.node.left.function if isinstance(leaf.node.left, Call) else ""
    return (extreme, leaf.node.op) in _EXTREMES


def _compares(when: str) -> bool:
    try:
        return any(isinstance(node, Binary) and node.op in COMPARISONS for node in walk(parse(sample(when))))
    except Unreadable:
        # told where it is judged
        return True


def _window(rule: Rule, world: World) -> float:
    try:
        return window_ms(parse(rule.expr), world.recorded) / 1000
    except (Unreadable, RecursionError):
        return 0.0
