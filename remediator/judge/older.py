"""Whether an expression reads samples of before a moment, such as Prometheus's last start: they live on for minutes."""

from __future__ import annotations

from remediator.judge.baseline import inputs_for_text
from remediator.judge.flow import Labels
from remediator.judge.inputs import Input, Recorded
from remediator.judge.tree import RuleText


def older_texts(rule: RuleText, recorded: Recorded, labels: Labels, moment: float) -> tuple[str, ...]:
    """Given a rule, an alert's labels and a time in seconds since the epoch, return questions about what it reads.

    Each returns something while a sample that the alert's own answer depends on is older. Nothing is returned for an
    expression that cannot be read.
    """
    return tuple(_older(wanted, moment) for wanted in inputs_for_text(rule, recorded, labels))


def _older(wanted: Input, moment: float) -> str:
    old = f"timestamp({wanted.text}) < {moment:.3f}"
    if wanted.present_by is None:
        return old
    # a neighbour that ended changes nothing as long as another series of the same group is measured
    by = f"group by ({', '.join(wanted.present_by)})"
    return f"{by} ({old}) unless {by} (timestamp({wanted.text}) >= {moment:.3f})"
