"""Holds while what tells of alerts cannot be trusted: the fault is likely there, and many would be healed of it."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Json, Monitoring, Reason

name = "monitoring"
ASK_AGAIN = 5.0
"""Seconds until a held question is put again."""


def check(frozen: Frozen, facts: Facts, _history: History, now: float) -> GuardAnswer:
    """Allow only where nothing is known against the monitoring; held for too long, deny."""
    told = known_against(facts.monitoring)
    if told is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    reason, detail, wait = told
    return _hold(frozen, facts, now, reason, detail, wait)


def known_against(found: Monitoring) -> tuple[Reason, Json, float] | None:
    """Return why the monitoring is not to be trusted, with what was found, and in how many seconds to ask again.

    None where nothing is known against it.
    """
    told = _fresh(found) or _gap(found) or _burst(found)
    if told is not None:
        return Reason.MONITORING_BROKEN, *told
    return (Reason.BLIND, {"sources": ["prometheus"]}, ASK_AGAIN) if found.blind else None


def _fresh(found: Monitoring) -> tuple[Json, float] | None:
    """After a restart or a reload rules have forgotten how long they were true, and series have holes."""
    least = found.limits.after_restart
    for what, ago in (("restarted", found.restarted), ("reloaded", found.reloaded)):
        if ago is not None and ago < least:
            return {"what": f"prometheus {what}", "seconds_ago": round(ago, 1), "limit_seconds": least}, least - ago
    return None


def _gap(found: Monitoring) -> tuple[Json, float] | None:
    limit = found.limits.scrape_gap
    if limit <= 0 or found.gap < limit:
        return None
    return {"what": "scrape gap", "of": found.gap_of, "intervals": round(found.gap, 1), "limit": limit}, ASK_AGAIN


def _burst(found: Monitoring) -> tuple[Json, float] | None:
    """Many at once, of those there are: how many there are nobody may know, then any share is too large."""
    limits = found.limits
    if found.begun < limits.targets or (found.up is not None and found.begun < limits.share * found.up):
        return None
    detail: Json = {"what": "many targets at once", "targets": found.begun, "within_seconds": limits.within}
    return detail | {"up": found.up, "limit_targets": limits.targets, "limit_share": limits.share}, ASK_AGAIN


def _hold(frozen: Frozen, facts: Facts, now: float, reason: Reason, detail: Json, wait: float) -> GuardAnswer:
    since = facts.held_since if facts.held_since is not None else now
    ends = since + frozen.limits.hold_at_most
    if now >= ends:
        return GuardAnswer(name, Answer.DENY, Reason.HOLD_EXPIRED, detail | {"held_for": reason.value})
    return GuardAnswer(name, Answer.HOLD, reason, detail, min(now + wait, ends))
