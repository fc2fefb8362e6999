"""Holds while as much of the alert's group as allowed is in flight or was touched lately, or too little is healthy."""

from __future__ import annotations

from remediator.model import Answer, BlastRadius, Facts, Frozen, Group, GuardAnswer, History, Reason, Touched

name = "blast_radius"
ASK_AGAIN = 30.0
"""Seconds until a held question is put again: the group grows and heals without telling."""
SHOWN = 10
"""Targets that are named."""


def check(frozen: Frozen, facts: Facts, history: History, now: float) -> GuardAnswer:
    """Hold unless this target and the others touched are at most as many as allowed, and the quorum holds.

    A share is rounded down, whatever comes out: one fifth of four is none. A target that was touched itself already is
    no further one. What Prometheus does not answer is held, never guessed. Where no end is in sight, because the share
    allows none, the quorum is missing or nothing answers, the hold ends with `hold_at_most`: then it is denied.
    """
    radius, group = frozen.limits.blast_radius, facts.group
    if radius is None or facts.live is None or not facts.live.firing:
        # nothing was asked: whether the alert is blind or gone is still_firing's to say
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    told: dict[str, object] = {"group": {label: frozen.labels.get(label, "") for label in radius.by}}
    if group is None or group.blind:
        return _endless(frozen, facts, now, Reason.BLIND, told | {"sources": ["prometheus"]})
    allowed = _allowed(radius, group)
    if allowed is None or (radius.quorum is not None and group.quorum is None):
        return _endless(frozen, facts, now, Reason.BLIND, told | {"sources": ["prometheus"]})
    if len(history.touched) + 1 > allowed:
        frees_at = _frees_at(history.touched, allowed)
        told |= _too_many(radius, group, history.touched, allowed) | {"until": frees_at}
        if allowed < 1:
            return _endless(frozen, facts, now, Reason.BLAST_RADIUS, told)
        return _hold(Reason.BLAST_RADIUS, told, now, frees_at)
    if group.quorum is False:
        return _endless(frozen, facts, now, Reason.QUORUM, told | {"quorum": radius.quorum})
    return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)


def _allowed(radius: BlastRadius, group: Group) -> int | None:
    """Return how many targets may be touched together; None where the group's size is needed and not known."""
    if radius.count is not None:
        return radius.count
    if radius.percent is None or group.size is None:
        return None
    return group.size * radius.percent // 100


def _too_many(radius: BlastRadius, group: Group, touched: tuple[Touched, ...], allowed: int) -> dict[str, object]:
    return {
        "max": f"{radius.percent}%" if radius.count is None else radius.count,
        "allowed": allowed,
        "size": group.size,
        "window_seconds": radius.window,
        "touched": len(touched),
        "targets": [each.target for each in touched[:SHOWN]],
    }


def _frees_at(touched: tuple[Touched, ...], allowed: int) -> float | None:
    """Return when enough of the others have left the window; None where that cannot be told yet."""
    if allowed < 1:
        return None
    leaving = sorted(each.leaves_at for each in touched if each.leaves_at is not None)
    # so many must go that one place is free
    needed = len(touched) + 1 - allowed
    return leaving[needed - 1] if needed <= len(leaving) else None


def _hold(reason: Reason, detail: dict[str, object], now: float, until: float | None = None) -> GuardAnswer:
    ask_at = now + ASK_AGAIN if until is None else min(until, now + ASK_AGAIN)
    return GuardAnswer(name, Answer.HOLD, reason, detail, ask_at)


def _endless(frozen: Frozen, facts: Facts, now: float, reason: Reason, detail: dict[str, object]) -> GuardAnswer:
    """Hold what nobody knows an end of, and deny it when it was held for as long as allowed."""
    since = facts.held_since if facts.held_since is not None else now
    ends = since + frozen.limits.hold_at_most
    if now >= ends:
        return GuardAnswer(name, Answer.DENY, Reason.HOLD_EXPIRED, detail | {"held_for": reason.value})
    return _hold(reason, detail, now, ends)
