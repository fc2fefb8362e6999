"""Pauses: of everything, of a playbook, of a target."""

from __future__ import annotations

from remediator.model import Json, Scope
from remediator.web.api.call import FOR, WHO, WHY, Call, Route
from remediator.web.api.fields import Field
from selfheal.common.keys import Role

PLAYBOOK = Field("playbook", "text", "only this playbook", most=63)
TARGET = Field("target", "text", "only this target, `host/kind:name`", most=1024)
HARD = Field("hard", "switch", "also what always runs, such as a start after a stop", default=False)
KEYS = ("paused", "pauses")


def get(call: Call) -> Json:
    """Return what is paused."""
    return told(call.service.status())


def put(call: Call) -> Json:
    """Pause; return what is paused then."""
    scope = Scope(call.body["playbook"] or "", call.body["target"] or "")
    return told(call.service.pause(scope, call.who, call.body["why"] or "", call.until, call.body["hard"]))


def delete(call: Call) -> Json:
    """End the pause of exactly this scope; return what is paused still."""
    scope = Scope(call.query["playbook"] or "", call.query["target"] or "")
    return told(call.service.resume(scope, call.who))


def told(found: Json) -> Json:
    """Given what the program says, return what is about pauses."""
    return {key: found.get(key) for key in KEYS}


ROUTES = (
    Route("GET", "/pause", Role.VIEWER, get, "What is paused", "Pauses"),
    Route(
        "PUT",
        "/pause",
        Role.OPERATOR,
        put,
        "Pause everything, a playbook or a target",
        "Pauses",
        body=(PLAYBOOK, TARGET, WHY, FOR, HARD, WHO),
    ),
    Route("DELETE", "/pause", Role.OPERATOR, delete, "End a pause", "Pauses", query=(PLAYBOOK, TARGET, WHO)),
)
