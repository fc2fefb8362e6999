"""Remediations: what was decided, done and proven; a person settles what is unknown and calls off what goes on."""

from __future__ import annotations

from remediator.model import Json, State
from remediator.web.api.call import PAGE, WHO, Call, Route, missing
from remediator.web.api.fields import Field
from remediator.web.service import Service
from selfheal.common.keys import Role

SETTLEMENTS = ("done", "not-done", "give-up")
WHAT = "remediation with this id"

STATE = Field("state", "text", "only those in this state", choices=tuple(state.value for state in State))
OPEN = Field("open", "switch", "only those that are not over, with their `count`", default=False)
AS = Field("as", "text", "what became of the step whose outcome is unknown", required=True, choices=SETTLEMENTS)


def listed(call: Call) -> Json:
    """Return a page of remediations, the newest first."""
    limit, before = call.page
    with call.service.reader() as reader:
        asked = reader.open_remediations if call.query["open"] else reader.list_remediations
        return asked(limit, before, call.query["state"])


def one(call: Call) -> Json:
    """Return one remediation with everything. Raise Problem if there is none."""
    return find(call.service, call.id(WHAT))


def settle(call: Call) -> Json:
    """Record what a person says of an unknown outcome; return the remediation as it is then."""
    number = call.id(WHAT)
    find(call.service, number)
    call.service.settle(number, call.body["as"], call.who)
    return find(call.service, number)


def cancel(call: Call) -> Json:
    """Ask a remediation to end at its next safe point; return it as it is then."""
    number = call.id(WHAT)
    find(call.service, number)
    call.service.cancel(number, call.who)
    return find(call.service, number)


def find(service: Service, number: int) -> Json:
    """Given an id, return the remediation. Raise Problem if there is none."""
    with service.reader() as reader:
        found = reader.remediation_detail(number)
    if found is None:
        raise missing(WHAT)
    return found


ROUTES = (
    Route(
        "GET",
        "/remediations",
        Role.VIEWER,
        listed,
        "Remediations, the newest first",
        "Remediations",
        (*PAGE, STATE, OPEN),
    ),
    Route("GET", "/remediations/<id>", Role.VIEWER, one, "One remediation with everything about it", "Remediation"),
    Route(
        "POST",
        "/remediations/<id>/settle",
        Role.OPERATOR,
        settle,
        "Say what became of an outcome that is not known",
        "Remediation",
        body=(AS, WHO),
    ),
    Route(
        "POST",
        "/remediations/<id>/cancel",
        Role.OPERATOR,
        cancel,
        "Call a remediation off at its next safe point",
        "Remediation",
        body=(WHO,),
    ),
)
