"""Weighs the answers: a comparison is true, proven false, or unknown and why. Only what is proven false is healed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from remediator.errors import SourceUnavailable
from remediator.judge.baseline import Baseline
from remediator.judge.case import Either, Every, ExpressionCase, Formula, Leaf
from remediator.judge.findings import Finding, Reading, Why, joined
from remediator.judge.flow import Labels, narrow
from remediator.judge.inputs import Input, Recorded, has_inputs, inputs_of
from remediator.judge.logic import Truth, all_of, any_of
from remediator.judge.printer import show
from remediator.judge.questions import Questions, holds
from remediator.judge.samples import Samples
from remediator.judge.tree import Binary, Number
from remediator.judge.witness import Witness


@dataclass(slots=True)
class Court:
    """One judgement under way."""

    recorded: Recorded
    baseline: Baseline
    questions: Questions
    samples: Samples

    def unavailable(self, error: SourceUnavailable) -> Finding:
        """Given why there was no usable answer, note it and return that nothing is known."""
        self.questions.readings.append(Reading("", str(error)[:200]))
        return Finding(Truth.UNKNOWN, Why.UNAVAILABLE)

    def formula(self, formula: Formula, held: Labels) -> Finding:
        """Given a formula and the labels that hold on its result, find what is true of it."""
        match formula:
            case Leaf():
                return self._leaf(formula, formula.flow(held))
            case Every(parts=parts):
                return self._every(parts, held)
            case Either(parts=either):
                return self._either(either, held)

    def bad(self, wanted: Iterable[Witness]) -> dict[str, float]:
        """Given quantities, return by query the bad value of each that has one, from fresh samples alone.

        The same freshness is asked of them as of a proof: an old value would say what the action could not change.
        """
        found: dict[str, float] = {}
        for witness in wanted:
            value = witness.value(self.questions.ask(witness.query, witness.flow)) if witness.worse else None
            if value is None or not math.isfinite(value) or not witness.is_bad(value):
                continue
            inputs = inputs_of(witness.leaf.node, witness.flow, self.recorded)
            if not (
                self._unfit(witness.leaf, witness.flow, inputs) or self._stale(inputs) or self.samples.dead(inputs)
            ):
                found[witness.query] = value
        return found

    def expression(self, case: ExpressionCase, held: Labels) -> Finding:
        """Given a declared expression and the labels to narrow by, find whether it returns something."""
        inputs = inputs_of(case.node, held, self.recorded)
        doubt = self._unready(case, held, inputs)
        # asked after its samples were counted, so that it was answered from all of them
        answer = [element for element in self.questions.ask(case.expr, held) if holds(element.labels, held)]
        if doubt is None and not all(math.isfinite(element.value) for element in answer):
            doubt = Why.NOT_A_NUMBER
        doubt = doubt or self.samples.dead(inputs)
        if doubt is not None:
            return Finding(Truth.UNKNOWN, doubt)
        return Finding(Truth.TRUE, Why.RETURNED) if answer else Finding(Truth.FALSE, Why.RETURNED_NOTHING)

    def _every(self, parts: tuple[Leaf, ...], held: Labels) -> Finding:
        findings: list[Finding] = []
        for part in parts:
            findings.append(self._leaf(part, part.flow(held)))
            if findings[-1].truth is Truth.FALSE:
                break
        return joined(all_of(finding.truth for finding in findings), findings)

    def _either(self, parts: tuple[Formula, ...], held: Labels) -> Finding:
        findings = [self.formula(part, held) for part in parts]
        # a branch that had no data before the action cannot have fired: the others decide
        asked = [finding for finding in findings if finding.why is not Why.NO_BASELINE]
        if not asked:
            return findings[0]
        return joined(any_of(finding.truth for finding in asked), asked)

    def _leaf(self, leaf: Leaf, flow: Labels) -> Finding:
        """Prove one comparison true or false, by the rules of proof in their cheapest order."""
        if any(holds(element.labels, flow) for element in self.questions.ask(show(leaf.node), flow)):
            return Finding(Truth.TRUE, Why.STILL_TRUE)
        inputs = inputs_of(leaf.node, flow, self.recorded)
        doubt = (
            self._unfit(leaf, flow, inputs)
            or self._stale(inputs)
            or self._valueless(leaf, flow)
            or self._blip(leaf, flow)
            or self.samples.dead(inputs)
        )
        return Finding(Truth.UNKNOWN, doubt) if doubt else Finding(Truth.FALSE, Why.PROVEN)

    def _unfit(self, leaf: Leaf, flow: Labels, inputs: tuple[Input, ...]) -> Why | None:
        """What needs no further question: a side without a label of the alert, no baseline, an open window."""
        if leaf.steps and not flow:
            return Why.SUPPRESSED
        texts = [wanted.text for wanted in inputs]
        if any(text in self.baseline.too_many for text in texts):
            return Why.TOO_MANY_SERIES
        if any(text not in self.baseline.seen for text in texts):
            return Why.NO_BASELINE
        if not has_inputs(leaf.node, flow, self.recorded, lambda text: bool(self.baseline.seen[text])):
            return Why.NO_BASELINE
        return Why.WINDOW_OPEN if self.samples.window_open(leaf.window_ms) else None

    def _stale(self, inputs: tuple[Input, ...]) -> Why | None:
        """Return what is wrong if an input seen before the action has not enough samples since, or is gone."""
        worst: Why | None = None
        for wanted in inputs:
            expected = self.baseline.seen[wanted.text]
            if not expected and self.samples.alive(wanted):
                return Why.APPEARED
            missing = self.samples.missing(wanted, expected) if expected else None
            if missing is Why.SERIES_GONE:
                return missing
            worst = worst or missing
        return worst

    def _valueless(self, leaf: Leaf, flow: Labels) -> Why | None:
        """Ask for the witness: the comparison as a difference, which must be a finite number of the healthy sign."""
        narrowed = narrow(leaf.node, flow)
        assert isinstance(narrowed, Binary)
        answer = self.questions.ask(show(replace(narrowed, op="-")), flow)
        values = [element.value for element in answer if holds(element.labels, flow)]
        if not values:
            return Why.NO_VALUE
        if not all(math.isfinite(value) for value in values):
            return Why.NOT_A_NUMBER
        return None if all(_healthy(leaf.node, value) for value in values) else Why.DISAGREE

    def _blip(self, leaf: Leaf, flow: Labels) -> Why | None:
        if leaf.instant is None:
            return None
        answer = self.questions.ask(show(leaf.instant), flow)
        return Why.BLIP if any(holds(element.labels, flow) for element in answer) else None

    def _unready(self, case: ExpressionCase, held: Labels, inputs: tuple[Input, ...]) -> Why | None:
        """Return what is wrong with the inputs of a declared expression: those of before and those of now count."""
        if self.samples.window_open(round(case.window_seconds * 1000)):
            return Why.WINDOW_OPEN
        present: dict[str, bool] = {}
        worst: Why | None = None
        for wanted in inputs:
            missing = self.samples.missing_now(wanted, self.baseline.seen.get(wanted.text, frozenset()))
            if missing is Why.SERIES_GONE:
                return missing
            worst = worst or missing
            present[wanted.text] = bool(self.samples.alive(wanted))
        if not has_inputs(case.node, held, self.recorded, lambda text: present[text]):
            return Why.NO_VALUE
        return worst


def _healthy(comparison: Binary, difference: float) -> bool:
    """Given left minus right, say whether the comparison does not hold, and not because a flag left its range."""
    match comparison.op:
        case ">":
            return difference <= 0
        case ">=":
            return difference < 0
        case "<":
            return difference >= 0
        case "<=":
            return difference > 0
        case "!=":
            return difference == 0
        case _:
            return difference < 0 if comparison.right == Number(1.0) else difference > 0
