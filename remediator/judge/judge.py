"""Is the condition true, false or unknown after what we did? The questions of a court, and its judgement.

Every question of one judgement must be answered for one fixed time; `ask` does that. Times are Prometheus's own clock.
"""

from __future__ import annotations

from dataclasses import replace

from remediator.errors import SourceUnavailable
from remediator.judge.baseline import Baseline, condition_labels
from remediator.judge.case import Case, ExpressionCase
from remediator.judge.court import Court
from remediator.judge.findings import Finding, Judgement
from remediator.judge.flow import Labels
from remediator.judge.logic import Truth
from remediator.judge.questions import Questions
from remediator.judge.samples import Samples
from remediator.judge.tree import Ask
from remediator.judge.witness import declared_witnesses, witnesses


def judge(
    case: Case, labels: Labels, baseline: Baseline, end: float, now: float, ask: Ask, samples: int = 2
) -> Judgement:
    """Given a case, the alert's labels (without external ones), the baseline and the end of the last effect, judge.

    `end` and `now` are seconds on Prometheus's clock, and `ask` answers for `now`. The value is `true` while the
    condition holds, `false` only when it is proven not to, from at least `samples` samples newer than `end` of every
    input, and `unknown` otherwise.
    """
    court = _court(case, baseline, (end, now), ask, samples)
    try:
        finding = court.formula(case.formula, condition_labels(case, labels))
        bad = court.bad(witnesses(case, labels)) if finding.truth is Truth.TRUE else {}
        return replace(_judgement(court, finding), bad=bad)
    except SourceUnavailable as error:
        return _judgement(court, court.unavailable(error))


def judge_expression(
    case: ExpressionCase, labels: Labels, baseline: Baseline, end: float, now: float, ask: Ask, samples: int = 2
) -> Judgement:
    """Given a `healthy:` or `alive:` case and the labels to narrow by, judge as `judge` does.

    The value is `true` when it returns something for these labels, `false` when it returns nothing; both only from
    fresh inputs and a window that lies after `end`; otherwise `unknown`.
    """
    court = _court(case, baseline, (end, now), ask, samples)
    try:
        finding = court.expression(case, labels)
        bad = court.bad(declared_witnesses(case, labels)) if finding.truth is Truth.FALSE else {}
        return replace(_judgement(court, finding), bad=bad)
    except SourceUnavailable as error:
        return _judgement(court, court.unavailable(error))


def _court(case: Case | ExpressionCase, baseline: Baseline, span: tuple[float, float], ask: Ask, samples: int) -> Court:
    questions = Questions(ask)
    return Court(case.recorded, baseline, questions, Samples(questions, *span, samples))


def _judgement(court: Court, finding: Finding) -> Judgement:
    readings = tuple(court.questions.readings)
    return Judgement(finding.truth.value, finding.why, readings, court.samples.newest)
