"""Holds what a person must say yes to, until somebody did: to exactly this plan, while the question was valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from remediator.model import Answer, ApprovalState, Facts, Frozen, GuardAnswer, History, Mode, Plan, Reason

name = "approval"

IDENTITY = {"process": ("kind", "boot_id", "pid", "start_ticks", "uid", "group")}
"""What names a thing of a kind whose items also tell what was measured; of every other kind all of the item counts."""
MEASURED = frozenset(
    {
        "beyond_limit",
        "bytes_before",
        "bytes_planned",
        "checked",
        "files_before",
        "left_out",
        "refused",
        "refused_count",
        "zombies_beyond_limit",
    }
)
"""What a plan's detail tells about things it does not touch, or how much there is: it moves while nothing changes."""


def check(frozen: Frozen, facts: Facts, history: History, now: float) -> GuardAnswer:
    """In mode approve allow only what was granted for this very plan and playbook, and not too long ago."""
    request = history.approval
    if frozen.mode is not Mode.APPROVE:
        return _answer(Answer.ALLOW, Reason.ALLOWED)
    if request is not None and request.state is ApprovalState.USED:
        # it began with this approval: what is begun again is the stored plan
        return _answer(Answer.ALLOW, Reason.ALLOWED, {"who": request.who, "approval": request.id})
    if facts.digest_in_force != frozen.digest:
        return _answer(Answer.DENY, Reason.PLAYBOOK_CHANGED, {"playbook": frozen.playbook})
    if request is not None and request.state is ApprovalState.REFUSED:
        return _answer(Answer.DENY, Reason.APPROVAL_REFUSED, {"who": request.who, "why": request.why})
    if request is not None and (request.state is ApprovalState.EXPIRED or request.is_over(now)):
        return _answer(Answer.DENY, Reason.APPROVAL_EXPIRED, {"approval": request.id})
    if facts.plan_hash is None:
        # without a plan nothing can begin, and there is nothing to ask about
        return _answer(Answer.ALLOW, Reason.ALLOWED)
    told: dict[str, Any] = {"plan_hash": facts.plan_hash}
    if request is None or request.state is ApprovalState.VOID or request.plan_hash != facts.plan_hash:
        return _answer(Answer.HOLD, Reason.APPROVAL_NEEDED, told, now + facts.approval_valid_for)
    told |= {"approval": request.id}
    if request.state is ApprovalState.OPEN:
        return _answer(Answer.HOLD, Reason.APPROVAL_NEEDED, told, request.expires_at)
    return _answer(Answer.ALLOW, Reason.ALLOWED, told | {"who": request.who})


def plan_hash(frozen: Frozen, plan: Plan) -> str:
    """Given what is frozen and the first step's plan, return the SHA-256 that a person's yes is bound to.

    It covers the playbook's digest, the target, every step as rendered with its action's version, and which things the
    plan touches; not their order where they are processes, nor what was only measured of them.
    """
    things = [_thing(item) for item in plan.items]
    if all(item.get("kind") in IDENTITY for item in plan.items):
        # the largest first, or the busiest: an order that changes all the time and matters to nobody
        things.sort(key=_text)
    content = {
        "playbook": frozen.digest,
        "target": str(frozen.target),
        "steps": [asdict(step) for step in frozen.steps],
        "items": things,
        "detail": {key: value for key, value in plan.detail.items() if key not in MEASURED},
    }
    return hashlib.sha256(_text(content).encode()).hexdigest()


def _thing(item: Mapping[str, Any]) -> Mapping[str, Any]:
    keys = IDENTITY.get(str(item.get("kind")))
    return item if keys is None else {key: item.get(key) for key in keys}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _answer(
    answer: Answer, reason: Reason, detail: dict[str, Any] | None = None, until: float | None = None
) -> GuardAnswer:
    return GuardAnswer(name, answer, reason, detail or {}, until)
