"""A person's answer to a request: it counts once, for the plan that was shown, while it was valid."""

from __future__ import annotations

from collections.abc import Callable

from remediator.errors import RemediatorError
from remediator.model import Approval, ApprovalState, Json, Reason, Remediation, State
from remediator.model.rows import CLOCK_SET
from remediator.parts import Parts
from remediator.store import Tx
from selfheal.common.clock import from_rfc3339

LONGEST = 256
"""Characters of a person's name, and of the reason for a no."""


class NotAnswered(RemediatorError):
    """The answer does not count: the message says why. Trying again cannot help; another request may come."""


def approve(parts: Parts, number: int, plan_hash: str, who: str, how: str) -> Json:
    """Record a yes: the remediation is due now, and all guards are asked again. Raise NotAnswered if it counts not."""
    _one_line("who", who)

    def store(tx: Tx) -> Json:
        now = parts.clock.now()
        request, remediation = _waiting(tx, number, plan_hash, now)
        if not tx.answer_approval(number, plan_hash, ApprovalState.GRANTED, now, who, how):
            raise _why_not(request)
        _tell(tx, request, ApprovalState.GRANTED, now, {"who": who, "how": how})
        tx.schedule("remediation", remediation.id, now)
        return _shown(tx, number)

    return _recorded(parts, number, store)


def refuse(parts: Parts, number: int, plan_hash: str, who: str, why: str, how: str) -> Json:
    """Record a no: the remediation is called off at once. Raise NotAnswered if it counts not."""
    _one_line("who", who)
    if why:
        _one_line("why", why)

    def store(tx: Tx) -> Json:
        now = parts.clock.now()
        request, remediation = _waiting(tx, number, plan_hash, now)
        if not tx.answer_approval(number, plan_hash, ApprovalState.REFUSED, now, who, how, why or None):
            raise _why_not(request)
        told = {"who": who, "how": how, "why": why}
        _tell(tx, request, ApprovalState.REFUSED, now, told)
        tx.move(remediation.id, State.CANCELLED, Reason.APPROVAL_REFUSED, now, detail=told)
        return _shown(tx, number)

    return _recorded(parts, number, store)


def as_of(request: Json, now: float) -> Json:
    """Given a request as it is stored, return it as it stands now: that its time is over is stored a little later."""
    under_way = request["state"] in (ApprovalState.OPEN, ApprovalState.GRANTED)
    begins, ends = (from_rfc3339(request[key]) for key in ("requested_at", "expires_at"))
    over = under_way and not begins - CLOCK_SET <= now < ends
    return request | {"state": ApprovalState.EXPIRED.value} if over else request


def _recorded(parts: Parts, number: int, store: Callable[[Tx], Json]) -> Json:
    with parts.store.read() as reader:
        request = reader.approval(number)
        found = None if request is None else reader.remediation(request.remediation_id)
    return parts.record(() if found is None else found.frozen.steps, store)


def _waiting(tx: Tx, number: int, plan_hash: str, now: float) -> tuple[Approval, Remediation]:
    """Return the request and what made it, if an answer to it can still count. Raise NotAnswered with the reason."""
    request = tx.approval(number)
    if request is None:
        raise NotAnswered(f"there is no request {number}")
    if request.state is not ApprovalState.OPEN:
        raise _why_not(request)
    if request.is_over(now):
        raise NotAnswered(f"request {number} has expired")
    if plan_hash != request.plan_hash:
        raise NotAnswered(f"request {number} is about another plan than the one that was shown")
    remediation = tx.remediation(request.remediation_id)
    if remediation is None or remediation.state is not State.HELD or remediation.cancel is not None:
        raise NotAnswered(f"request {number} is void: what asked for it is over")
    return request, remediation


def _why_not(request: Approval) -> NotAnswered:
    said = f" by {request.who}" if request.who else ""
    state = ApprovalState.GRANTED if request.state is ApprovalState.USED else request.state
    return NotAnswered(f"request {request.id} is {state.value} already{said}")


def _tell(tx: Tx, request: Approval, state: ApprovalState, now: float, detail: Json) -> None:
    tx.add_event(
        "approval",
        now,
        remediation_id=request.remediation_id,
        old=ApprovalState.OPEN,
        new=state,
        reason=Reason.APPROVAL_REFUSED if state is ApprovalState.REFUSED else None,
        detail={"approval": request.id, "plan_hash": request.plan_hash, **detail},
    )


def _shown(tx: Tx, number: int) -> Json:
    found = tx.approval_detail(number)
    assert found is not None
    return found


def _one_line(what: str, text: str) -> None:
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        raise NotAnswered(f"{what} must be one line of 1 to {LONGEST} characters")
