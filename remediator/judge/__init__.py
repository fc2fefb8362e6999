"""The judge: is this alert's own expression true, false or unknown after what we did? Pure: it asks through a function.

`tree` and `parse` read PromQL, `printer` writes it, `flow` knows which labels must hold where, `shape` decides whether
an expression can be judged at all, `inputs` finds what it is fed by, `logic` has three values, `judge` puts the
questions, `witness` names the quantity that is compared and `noise` says what it did before. Nothing here reads the
time or the network.
"""

from remediator.judge.alike import alert_keys, left_out_of, same_alert_key, still_firing
from remediator.judge.baseline import Baseline, take_baseline
from remediator.judge.case import Case, ExpressionCase, Proof
from remediator.judge.declared import prepare_expression
from remediator.judge.findings import Judgement, Reading, Why
from remediator.judge.fresh import enough_samples
from remediator.judge.judge import judge, judge_expression
from remediator.judge.narrowed import narrowed_text, recorded_names
from remediator.judge.noise import Before, before
from remediator.judge.older import older_texts
from remediator.judge.refusal import Refusal, RefusalReason
from remediator.judge.shape import prepare
from remediator.judge.tree import Ask, Element, RuleText, Vector
from remediator.judge.witness import Witness, declared_witnesses, witnesses

__all__ = [
    "Ask",
    "Baseline",
    "Before",
    "Case",
    "Element",
    "ExpressionCase",
    "Judgement",
    "Proof",
    "Reading",
    "Refusal",
    "RefusalReason",
    "RuleText",
    "Vector",
    "Why",
    "Witness",
    "alert_keys",
    "before",
    "declared_witnesses",
    "enough_samples",
    "judge",
    "judge_expression",
    "left_out_of",
    "narrowed_text",
    "older_texts",
    "prepare",
    "prepare_expression",
    "recorded_names",
    "same_alert_key",
    "still_firing",
    "take_baseline",
    "witnesses",
]
