"""Approvals: what waits for a person's yes or no. An answer is bound to the plan that was shown."""

from __future__ import annotations

from remediator.model import ApprovalState, Json
from remediator.web.api.call import PAGE, WHO, Call, Route, missing
from remediator.web.api.fields import Field
from selfheal.common.keys import Role

WHAT = "request with this id"

STATE = Field("state", "text", "only those in this state", choices=tuple(state.value for state in ApprovalState))
WHY = Field("why", "text", "why not; it is kept in the history", required=True)
PLAN = Field("plan_hash", "text", "of the plan as it was shown; another plan needs another answer", required=True)


def listed(call: Call) -> Json:
    """Return a page of requests, the newest first; their links are shown only to those who may answer."""
    limit, before = call.page
    if call.caller.role.may(Role.APPROVER):
        return call.service.approvals(limit, before, call.query["state"])
    with call.service.reader() as reader:
        return reader.list_approvals(limit, before, call.query["state"])


def one(call: Call) -> Json:
    """Return one request with the plan it is about. Raise Problem if there is none."""
    number = call.id(WHAT)
    with call.service.reader() as reader:
        found = reader.approval_detail(number)
    if found is None:
        raise missing(WHAT)
    return found


def grant(call: Call) -> Json:
    """Say yes; the guards are asked again before anything begins."""
    one(call)
    call.service.approve(call.id(WHAT), call.body["plan_hash"], call.who)
    return one(call)


def refuse(call: Call) -> Json:
    """Say no."""
    one(call)
    call.service.refuse(call.id(WHAT), call.body["plan_hash"], call.who, call.body["why"])
    return one(call)


ROUTES = (
    Route(
        "GET",
        "/approvals",
        Role.VIEWER,
        listed,
        "What waits for a person, and what was said",
        "Approvals",
        (*PAGE, STATE),
    ),
    Route("GET", "/approvals/<id>", Role.VIEWER, one, "One request with its plan", "Approval"),
    Route(
        "POST",
        "/approvals/<id>/grant",
        Role.APPROVER,
        grant,
        "Say yes to exactly this plan",
        "Approval",
        body=(PLAN, WHO),
    ),
    Route(
        "POST",
        "/approvals/<id>/refuse",
        Role.APPROVER,
        refuse,
        "Say no to this plan",
        "Approval",
        body=(PLAN, WHY, WHO),
    ),
)
