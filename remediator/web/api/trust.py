"""Trust: what each playbook has earned, a person's word for the next rung, and taking one away."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import PAGE, WHO, WHY_NEEDED, Call, Route, missing, paged
from selfheal.common.keys import Role

WHAT = "playbook with this name"


def listed(call: Call) -> Json:
    """Return a page of what playbooks have earned."""
    return paged(call.service.trust(), *call.page)


def one(call: Call) -> Json:
    """Return what one playbook has earned. Raise Problem if there is none."""
    for found in call.service.trust():
        if found["playbook"] == call.path["name"]:
            return found
    raise missing(WHAT)


def promote(call: Call) -> Json:
    """Confirm the next rung, if it is earned at this moment; return how the playbook stands then."""
    one(call)
    call.service.promote(call.path["name"], call.who, call.body["why"])
    return one(call)


def demote(call: Call) -> Json:
    """Take one rung away; return how the playbook stands then."""
    one(call)
    call.service.demote(call.path["name"], call.who, call.body["why"])
    return one(call)


ROUTES = (
    Route("GET", "/trust", Role.VIEWER, listed, "What playbooks have earned", "Trusts", PAGE),
    Route("GET", "/trust/<name>", Role.VIEWER, one, "What one playbook has earned", "Trust"),
    Route(
        "POST",
        "/trust/<name>/promote",
        Role.ADMIN,
        promote,
        "Confirm the next mode of a playbook that has earned it",
        "Trust",
        body=(WHY_NEEDED, WHO),
    ),
    Route(
        "POST",
        "/trust/<name>/demote",
        Role.OPERATOR,
        demote,
        "Take one mode from a playbook",
        "Trust",
        body=(WHY_NEEDED, WHO),
    ),
)
