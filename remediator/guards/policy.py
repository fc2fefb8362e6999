"""Denies what this host's policy does not permit; the doors ask the policy again when it comes to the effect."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "policy"


def check(_frozen: Frozen, facts: Facts, _history: History, _now: float) -> GuardAnswer:
    """Deny when planning the first step was refused."""
    if facts.policy_refusal is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    return GuardAnswer(name, Answer.DENY, Reason.POLICY, {"refusal": facts.policy_refusal})
