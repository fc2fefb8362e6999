"""Puts the questions of a case and weighs the answers: true, false, or unknown, and why. Only `false` is healed.

Every question of one judgement must be answered for one fixed time; `ask` does that. Times are Prometheus's own clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from remediator.errors import SourceUnavailable
from remediator.judge.flow import Labels, drop, narrow
from remediator.judge.inputs import Input, Recorded, has_inputs, inputs_of
from remediator.judge.logic import Truth, all_of, any_of
from remediator.judge.printer import duration, quote, show
from remediator.judge.shape import Case, Either, Every, ExpressionCase, Formula, Leaf, leaves
from remediator.judge.tree import Ask, Binary, Element, Number, Vector

MOST_SERIES = 2_000
"""A baseline of more series per selector is not kept; nothing can be proven by it."""
_MOST_INSTANCES = 20
_MILLISECOND = 0.001

Key = frozenset[tuple[str, str]]


class Why(StrEnum):
    """What a judgement rests on; a message key."""

    STILL_TRUE = "still_true"  # the expression returns the alert's labels
    PROVEN = "proven"  # it returns nothing, the value is there and fresh
    RETURNED = "returned"  # the declared expression returns something, from fresh samples
    RETURNED_NOTHING = "returned_nothing"  # the declared expression returns nothing, from fresh samples
    NO_BASELINE = "no_baseline"  # nothing was measured before the action to compare with
    TOO_MANY_SERIES = "too_many_series"  # more series than a baseline keeps
    WINDOW_OPEN = "window_open"  # its window still reaches back before the end of the action
    SERIES_GONE = "series_gone"  # what was measured before is gone
    TOO_FEW_SAMPLES = "too_few_samples"  # not enough samples since the end of the action yet
    NO_VALUE = "no_value"  # what is compared has no value
    NOT_A_NUMBER = "not_a_number"  # its value is NaN or infinite: no traffic, for example
    BLIP = "blip"  # fine over the window only because of single samples; not fine now
    APPEARED = "appeared"  # an input without data before the action has some now: the threshold may have moved
    NOT_SCRAPED = "not_scraped"  # the target was scraped since without giving the series, or could not be
    DISAGREE = "disagree"  # expression and value contradict each other
    SUPPRESSED = "suppressed"  # the part shares no label with the alert, so its silence proves nothing
    UNAVAILABLE = "unavailable"  # no usable answer


@dataclass(frozen=True, slots=True)
class Reading:
    """One question and what came back, in short."""

    query: str
    answer: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`value` is true, false or unknown; `newest` is the time of the newest raw sample met, if any."""

    value: str
    why: Why
    readings: tuple[Reading, ...] = ()
    newest: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is kept as evidence."""
        readings = [{"query": reading.query, "answer": reading.answer} for reading in self.readings]
        return {"value": self.value, "why": self.why.value, "newest": self.newest, "readings": readings}


@dataclass(frozen=True, slots=True)
class Baseline:
    """By narrowed selector, the series (or targets) that had data before the first effect."""

    seen: Mapping[str, frozenset[Key]]
    too_many: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, in a stable order."""
        series = {text: sorted(sorted(key) for key in keys) for text, keys in sorted(self.seen.items())}
        return {
            "seen": {text: [dict(pairs) for pairs in found] for text, found in series.items()},
            "too_many": sorted(self.too_many),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Baseline:
        """Given what `to_json` returned, return the baseline."""
        seen = {text: frozenset(frozenset(labels.items()) for labels in found) for text, found in value["seen"].items()}
        return cls(seen, frozenset(value["too_many"]))


@dataclass(frozen=True, slots=True)
class _Finding:
    truth: Truth
    why: Why


def take_baseline(case: Case | ExpressionCase, labels: Labels, ask: Ask) -> Baseline:
    """Given a case and the alert's labels (or those to narrow by), return which inputs have data now.

    Raise SourceUnavailable if `ask` does.
    """
    seen: dict[str, frozenset[Key]] = {}
    too_many: set[str] = set()
    for wanted in _all_inputs(case, labels):
        keys = frozenset(_key(element.labels, wanted) for element in ask(wanted.text))
        if len(keys) > MOST_SERIES:
            too_many.add(wanted.text)
        else:
            seen[wanted.text] = keys
    return Baseline(seen, frozenset(too_many))


def judge(
    case: Case, labels: Labels, baseline: Baseline, end: float, now: float, ask: Ask, samples: int = 2
) -> Judgement:
    """Given a case, the alert's labels (without external ones), the baseline and the end of the last effect, judge.

    `end` and `now` are seconds on Prometheus's clock, and `ask` answers for `now`. The value is `true` while the
    condition holds, `false` only when it is proven not to, from at least `samples` samples newer than `end` of every
    input, and `unknown` otherwise.
    """
    court = _Court(case.recorded, baseline, end, now, ask, samples)
    try:
        finding = court.formula(case.formula, _condition_labels(case, labels))
    except SourceUnavailable as error:
        finding = court.unavailable(error)
    return court.judgement(finding)


def judge_expression(
    case: ExpressionCase, labels: Labels, baseline: Baseline, end: float, now: float, ask: Ask, samples: int = 2
) -> Judgement:
    """Given a `healthy:` or `alive:` case and the labels to narrow by, judge as `judge` does.

    The value is `true` when it returns something for these labels, `false` when it returns nothing; both only from
    fresh inputs and a window that lies after `end`; otherwise `unknown`.
    """
    court = _Court(case.recorded, baseline, end, now, ask, samples)
    try:
        finding = court.expression(case, labels)
    except SourceUnavailable as error:
        finding = court.unavailable(error)
    return court.judgement(finding)


def still_firing(expr: str, labels: Labels, left_out: frozenset[str], ask: Ask) -> bool:
    """Given a rule's text and an alert's labels, say whether the text, asked whole, returns exactly these labels.

    `left_out` is what `left_out_of` returned: labels that do not come from the expression.
    """
    wanted = same_alert_key(labels.items(), left_out)
    return any(same_alert_key(element.labels.items(), left_out) == wanted for element in ask(expr))


def left_out_of(rule_labels: Iterable[str], ignored: Iterable[str]) -> frozenset[str]:
    """Given the names of a rule's labels and of external and replica labels, return those no comparison looks at."""
    return frozenset({"alertname", "alertstate", "__name__", *rule_labels, *ignored})


def same_alert_key(labels: Iterable[tuple[str, str]], left_out: frozenset[str]) -> int:
    """Given label pairs, return a number that is the same for the same labels, those left out and empty ones aside.

    A number of this process only, of 64 bits, keyed at random: ten thousand of them are kept for a second at a time.
    """
    kept = [pair for pair in labels if pair[0] not in left_out and pair[1]]
    kept.sort()
    return hash(tuple(kept))


def _condition_labels(case: Case, labels: Labels) -> dict[str, str]:
    return drop(labels, ("alertname", *case.rule.labels))


def _all_inputs(case: Case | ExpressionCase, labels: Labels) -> tuple[Input, ...]:
    if isinstance(case, ExpressionCase):
        return inputs_of(case.node, labels, case.recorded)
    held = _condition_labels(case, labels)
    found: dict[str, Input] = {}
    for leaf in leaves(case.formula):
        for new in inputs_of(leaf.node, leaf.flow(held), case.recorded):
            old = found.get(new.text)
            if old is None or old.presence:
                found[new.text] = new
    return tuple(found.values())


def _key(labels: Labels, wanted: Input) -> Key:
    """Return what must be found again: the whole series, or, where only presence matters, its target."""
    target = {name: labels[name] for name in ("job", "instance") if name in labels}
    return frozenset((target if wanted.presence and target else labels).items())


def _holds(labels: Labels, wanted: Labels) -> bool:
    return all(labels.get(name, "") == value for name, value in wanted.items())


@dataclass(slots=True)
class _Court:
    """One judgement under way: what is known, and what was asked so far."""

    recorded: Recorded
    baseline: Baseline
    end: float
    now: float
    put: Ask
    samples: int
    answers: dict[str, Vector] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    newest: float | None = None

    def judgement(self, finding: _Finding) -> Judgement:
        return Judgement(finding.truth.value, finding.why, tuple(self.readings), self.newest)

    def unavailable(self, error: SourceUnavailable) -> _Finding:
        self.readings.append(Reading("", str(error)[:200]))
        return _Finding(Truth.UNKNOWN, Why.UNAVAILABLE)

    def ask(self, query: str, ours: Labels | None = None) -> Vector:
        if query not in self.answers:
            self.answers[query] = self.put(query)
            self.readings.append(Reading(query, _summary(self.answers[query], ours)))
        return self.answers[query]

    def formula(self, formula: Formula, held: Labels) -> _Finding:
        match formula:
            case Leaf():
                return self.leaf(formula, formula.flow(held))
            case Every(parts=parts):
                return self.every(parts, held)
            case Either(parts=either):
                return self.either(either, held)

    def every(self, parts: tuple[Leaf, ...], held: Labels) -> _Finding:
        findings: list[_Finding] = []
        for part in parts:
            findings.append(self.leaf(part, part.flow(held)))
            if findings[-1].truth is Truth.FALSE:
                break
        return _joined(all_of(finding.truth for finding in findings), findings)

    def either(self, parts: tuple[Formula, ...], held: Labels) -> _Finding:
        findings = [self.formula(part, held) for part in parts]
        # a branch that had no data before the action cannot have fired: the others decide
        asked = [finding for finding in findings if finding.why is not Why.NO_BASELINE]
        if not asked:
            return findings[0]
        return _joined(any_of(finding.truth for finding in asked), asked)

    def leaf(self, leaf: Leaf, flow: Labels) -> _Finding:
        """Prove one comparison true or false, by the rules of proof in their cheapest order."""
        if any(_holds(element.labels, flow) for element in self.ask(show(leaf.node), flow)):
            return _Finding(Truth.TRUE, Why.STILL_TRUE)
        doubt = (
            self.unfit(leaf, flow)
            or self.stale(inputs_of(leaf.node, flow, self.recorded))
            or self.valueless(leaf, flow)
            or self.blip(leaf, flow)
            or self.dead(inputs_of(leaf.node, flow, self.recorded))
        )
        return _Finding(Truth.UNKNOWN, doubt) if doubt else _Finding(Truth.FALSE, Why.PROVEN)

    def unfit(self, leaf: Leaf, flow: Labels) -> Why | None:
        """What needs no further question: a side without a label of the alert, no baseline, an open window."""
        if leaf.steps and not flow:
            return Why.SUPPRESSED
        texts = [wanted.text for wanted in inputs_of(leaf.node, flow, self.recorded)]
        if any(text in self.baseline.too_many for text in texts):
            return Why.TOO_MANY_SERIES
        if any(text not in self.baseline.seen for text in texts):
            return Why.NO_BASELINE
        if not has_inputs(leaf.node, flow, self.recorded, lambda text: bool(self.baseline.seen[text])):
            return Why.NO_BASELINE
        return Why.WINDOW_OPEN if self.window_open(leaf.window_ms) else None

    def window_open(self, window_ms: int) -> bool:
        # a range is closed on the left in Prometheus 2, so one that begins at `end` still sees it
        return (self.now - self.end) * 1000 <= window_ms

    def stale(self, inputs: tuple[Input, ...]) -> Why | None:
        """Return what is wrong if an input seen before the action has not enough samples since, or is gone."""
        worst: Why | None = None
        for wanted in inputs:
            expected = self.baseline.seen[wanted.text]
            if not expected and self.ask(f"timestamp({wanted.text})"):
                return Why.APPEARED
            missing = expected and expected - {_key(element.labels, wanted) for element in self.fresh(wanted)}
            if missing:
                alive = {_key(element.labels, wanted) for element in self.ask(f"timestamp({wanted.text})")}
                if not missing <= alive:
                    return Why.SERIES_GONE
                worst = Why.TOO_FEW_SAMPLES
        return worst

    def fresh(self, wanted: Input) -> Vector:
        """Return the input's series that are alive and have enough samples since the end; values are sample times."""
        since_ms = math.floor((self.now - self.end) * 1000) - 1
        if since_ms <= 0:
            return ()
        text = wanted.text
        enough = f"count_over_time({text}[{duration(since_ms)}]) >= {self.samples}"
        # timestamp() needs the bare selector: of anything else it is the time of evaluation
        found = tuple(e for e in self.ask(f"timestamp({text}) and ({enough})") if e.value > self.end)
        if found and not wanted.recorded:
            newest = max(element.value for element in found)
            self.newest = newest if self.newest is None else max(newest, self.newest)
        return found

    def valueless(self, leaf: Leaf, flow: Labels) -> Why | None:
        """Ask for the witness: the comparison as a difference, which must be a finite number of the healthy sign."""
        narrowed = narrow(leaf.node, flow)
        assert isinstance(narrowed, Binary)
        answer = self.ask(show(replace(narrowed, op="-")), flow)
        values = [element.value for element in answer if _holds(element.labels, flow)]
        if not values:
            return Why.NO_VALUE
        if not all(math.isfinite(value) for value in values):
            return Why.NOT_A_NUMBER
        return None if all(_healthy(leaf.node, value) for value in values) else Why.DISAGREE

    def blip(self, leaf: Leaf, flow: Labels) -> Why | None:
        if leaf.instant is None:
            return None
        answer = self.ask(show(leaf.instant), flow)
        return Why.BLIP if any(_holds(element.labels, flow) for element in answer) else None

    def dead(self, inputs: Iterable[Input]) -> Why | None:
        """Return NOT_SCRAPED if a target was scraped, or failed to be, later than a series of it has a sample.

        Staleness markers say the same, except after a restart of Prometheus: then old samples live on for minutes.
        Figures exposed with timestamps of their own are older than the scrape, so by them nothing is ever proven.
        """
        raw = [wanted for wanted in inputs if not wanted.recorded and wanted.name != "up"]
        series = [(wanted, found) for wanted in raw for found in self.fresh(wanted) if "instance" in found.labels]
        instances = sorted({element.labels["instance"] for _, element in series})
        if not instances:
            return None
        narrowed = "up"
        if len(instances) <= _MOST_INSTANCES:
            narrowed = f"up{{instance=~{quote('|'.join(re.escape(name) for name in instances))}}}"
        scraped: dict[str, list[Element]] = {}
        for target in self.ask(f"timestamp({narrowed})"):
            scraped.setdefault(target.labels.get("instance", ""), []).append(target)
        for wanted, element in series:
            for target in scraped.get(element.labels["instance"], ()):
                late = target.value - element.value > _MILLISECOND and _holds(element.labels, target.labels)
                if late and not self.caught_up(wanted, element, target.value):
                    return Why.NOT_SCRAPED
        return None

    def caught_up(self, wanted: Input, element: Element, scraped: float) -> bool:
        """Say whether the series has that scrape's sample by now: it may have been stored between two questions."""
        answer = self.ask(f"timestamp({wanted.text}) >= {scraped - _MILLISECOND:.3f}")
        return any(found.labels == element.labels for found in answer)

    def expression(self, case: ExpressionCase, held: Labels) -> _Finding:
        inputs = inputs_of(case.node, held, self.recorded)
        doubt = self.unready(case, held, inputs)
        # asked after its samples were counted, so that it was answered from all of them
        answer = [element for element in self.ask(case.expr, held) if _holds(element.labels, held)]
        if doubt is None and not all(math.isfinite(element.value) for element in answer):
            doubt = Why.NOT_A_NUMBER
        doubt = doubt or self.dead(inputs)
        if doubt is not None:
            return _Finding(Truth.UNKNOWN, doubt)
        return _Finding(Truth.TRUE, Why.RETURNED) if answer else _Finding(Truth.FALSE, Why.RETURNED_NOTHING)

    def unready(self, case: ExpressionCase, held: Labels, inputs: tuple[Input, ...]) -> Why | None:
        """Return what is wrong with the inputs of a declared expression: those of before and those of now count."""
        if self.window_open(round(case.window_seconds * 1000)):
            return Why.WINDOW_OPEN
        present: dict[str, bool] = {}
        worst: Why | None = None
        for wanted in inputs:
            before = self.baseline.seen.get(wanted.text, frozenset())
            alive = {_key(element.labels, wanted) for element in self.ask(f"timestamp({wanted.text})")}
            present[wanted.text] = bool(alive)
            if before - alive:
                return Why.SERIES_GONE
            if alive - {_key(element.labels, wanted) for element in self.fresh(wanted)}:
                worst = Why.TOO_FEW_SAMPLES
        if not has_inputs(case.node, held, self.recorded, lambda text: present[text]):
            return Why.NO_VALUE
        return worst


def _joined(truth: Truth, findings: list[_Finding]) -> _Finding:
    """Return the finding that explains the joined value: of several unknown ones, one that had a baseline."""
    same = [finding for finding in findings if finding.truth is truth]
    same.sort(key=lambda finding: finding.why is Why.NO_BASELINE)
    return _Finding(truth, same[0].why)


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


def _summary(answer: Vector, ours: Labels | None) -> str:
    """Return counts and values only: labels are other people's text."""
    if ours is None:
        return f"{len(answer)} series"
    values = [element.value for element in answer if _holds(element.labels, ours)]
    shown = ", ".join(f"{value:.6g}" for value in values[:3])
    return f"{len(answer)} series, {len(values)} of this alert" + (f": {shown}" if shown else "")
