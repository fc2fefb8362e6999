"""Denies what is not ours: another host's alert, one that Prometheus never had, or whose rule cannot be told."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "owner"


def check(frozen: Frozen, facts: Facts, _history: History, _now: float) -> GuardAnswer:
    """Deny unless exactly one configured host owns the instance and Prometheus knows the alert and its rule."""
    if len(facts.hosts) != 1 or frozen.target.host not in facts.hosts:
        return _deny(Reason.NOT_OUR_HOST, _told(frozen, facts))
    if facts.rule_problem is not None:
        return _deny(facts.rule_problem, {"alertname": frozen.labels.get("alertname", "")})
    live = facts.live
    if live is None or live.active is None or live.active:
        # blind is still_firing's to hold; no longer active is still_firing's to deny
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    if live.labels_differ:
        return _deny(Reason.LABELS_DIFFER, {"labels": list(live.labels_differ)})
    if live.seen_since_delivery is False and not live.firing:
        return _deny(Reason.UNKNOWN_TO_PROMETHEUS, {"alertname": frozen.labels.get("alertname", "")})
    return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)


def _told(frozen: Frozen, facts: Facts) -> dict[str, object]:
    return {
        "instance": frozen.labels.get("instance", ""),
        "host": frozen.target.host,
        "hosts": list(facts.hosts),
    }


def _deny(reason: Reason, detail: dict[str, object]) -> GuardAnswer:
    return GuardAnswer(name, Answer.DENY, reason, detail)
