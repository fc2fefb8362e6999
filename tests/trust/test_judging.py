"""What each end of a run says of its playbook: the table of docs/how-to/earn-trust.md, row by row."""

from __future__ import annotations

import re

import pytest

from remediator.model import MOVES, Reason, State, Verdict
from remediator.model.trust import Judgement, Run, judge
from selfheal.common.shipped import shipped

SUCCESS, FAILURE, WORSE, LEFT_OUT = Judgement.SUCCESS, Judgement.FAILURE, Judgement.WORSE, Judgement.LEFT_OUT
S, V, R = State, Verdict, Reason
ROWS: dict[str, tuple[Run, Judgement]] = {
    "fixed, and it held through the watch": (Run(S.SUCCEEDED, V.FIXED, R.HELD_WATCH, True), SUCCESS),
    "fixed, with `watch: 0s`": (Run(S.SUCCEEDED, V.FIXED, R.PROVEN, True), SUCCESS),
    "recurred within the watch": (Run(S.INEFFECTIVE, V.RECURRED, R.RECURRED, True), FAILURE),
    "unproven in time": (Run(S.INEFFECTIVE, V.UNPROVEN, R.NOT_PROVEN, True), FAILURE),
    "unproven, because Prometheus did not answer": (Run(S.INEFFECTIVE, V.UNPROVEN, R.BLIND, True), FAILURE),
    "unproven, because the rule was changed": (Run(S.INEFFECTIVE, V.UNPROVEN, R.RULE_CHANGED, True), FAILURE),
    "expired: the series went away": (Run(S.INEFFECTIVE, V.EXPIRED, R.SERIES_GONE, True), FAILURE),
    "a step failed": (Run(S.FAILED, None, R.STEP_FAILED, True), FAILURE),
    "a step failed and all was taken back": (Run(S.UNDONE, None, R.UNDONE, True), FAILURE),
    "what was done could not be taken back": (Run(S.FAILED, None, R.UNDO_FAILED, True), FAILURE),
    "given up by a person after an unknown outcome": (Run(S.FAILED, V.UNPROVEN, R.GIVEN_UP, True, True), FAILURE),
    "worse": (Run(S.INEFFECTIVE, V.WORSE, R.WORSENED, True), WORSE),
    "worse, and being taken back": (Run(S.UNDOING, V.WORSE, R.WORSENED, True), WORSE),
    "worse, though a person asked for it": (Run(S.INEFFECTIVE, V.WORSE, R.WORSENED, True, by_hand=True), WORSE),
    "worse, and nobody knows what took effect": (Run(S.UNKNOWN, V.WORSE, R.OUTCOME_UNKNOWN, True, True), WORSE),
    "fixed, after an unknown outcome": (Run(S.SUCCEEDED, V.FIXED, R.HELD_WATCH, True, doubted=True), LEFT_OUT),
    "fixed, but nobody saw the end of the watch": (Run(S.SUCCEEDED, V.FIXED, R.BLIND, True), LEFT_OUT),
    "fixed, but the rule was changed during the watch": (Run(S.SUCCEEDED, V.FIXED, R.RULE_CHANGED, True), LEFT_OUT),
    "not asked: `verify: none`": (Run(S.SUCCEEDED, V.NOT_ASKED, R.PROOF_NOT_ASKED, True), LEFT_OUT),
    "self-resolved before an effect": (Run(S.SKIPPED, V.SELF_RESOLVED, R.SELF_RESOLVED, False), LEFT_OUT),
    "self-resolved before a settled step began again": (Run(S.FAILED, None, R.SELF_RESOLVED, True), LEFT_OUT),
    "skipped by a guard": (Run(S.SKIPPED, None, R.COOLDOWN, False), LEFT_OUT),
    "cancelled before an effect": (Run(S.CANCELLED, None, R.CANCELLED, False), LEFT_OUT),
    "refused by a person": (Run(S.CANCELLED, None, R.APPROVAL_REFUSED, False), LEFT_OUT),
    "failed before an effect": (Run(S.FAILED, None, R.POLICY, False), LEFT_OUT),
    "called off by a person between two steps": (Run(S.SUCCEEDED, V.FIXED, R.PROVEN, True, called_off=True), LEFT_OUT),
    "asked for by a person": (Run(S.SUCCEEDED, V.FIXED, R.HELD_WATCH, True, by_hand=True), LEFT_OUT),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_run_counts_as_its_row_says(name: str) -> None:
    run, expected = ROWS[name]

    assert judge(run) is expected


def test_the_table_of_the_page_is_this_one() -> None:
    text = shipped("docs", "how-to", "earn-trust.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| (success|failure|worse|left out) \|$", text, re.MULTILINE))

    assert rows == {name: judgement.value.replace("_", " ") for name, (_, judgement) in ROWS.items()}


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_only_a_proven_fix_is_ever_a_success(verdict: Verdict | None) -> None:
    for state in MOVES:
        for reason in (None, *Reason):
            found = judge(Run(state, verdict, reason, True))
            if found is Judgement.SUCCESS:
                assert (state, verdict) == (State.SUCCEEDED, Verdict.FIXED)
            assert (found is Judgement.WORSE) is (verdict is Verdict.WORSE)
