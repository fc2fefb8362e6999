"""Has every input of a rule been sampled since the effect? Asked where a condition that holds must be believed."""

from __future__ import annotations

from remediator.errors import SourceUnavailable
from remediator.judge.baseline import Baseline, inputs_for
from remediator.judge.case import Case
from remediator.judge.flow import Labels
from remediator.judge.questions import Questions
from remediator.judge.samples import Samples
from remediator.judge.tree import Ask


def enough_samples(
    case: Case, labels: Labels, baseline: Baseline, span: tuple[float, float], ask: Ask, samples: int = 2
) -> bool:
    """Given a case, the alert's labels and what was measured before, say whether the span holds enough samples of all.

    `span` is the end of the last effect and the present on Prometheus's clock; the case's window must lie within it,
    for else the condition could hold only because of what was before. No usable answer is no.
    """
    questions = Questions(ask)
    counted = Samples(questions, *span, samples)
    if counted.window_open(round(case.window_seconds * 1000)):
        return False
    try:
        inputs = inputs_for(case, labels)
        measured = [(wanted, baseline.seen.get(wanted.text)) for wanted in inputs]
        if not any(seen for _, seen in measured):
            return False
        return all(not seen or counted.missing(wanted, seen) is None for wanted, seen in measured)
    except SourceUnavailable:
        return False
