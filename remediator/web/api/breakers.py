"""Circuit breakers: which are open, and a reset with a reason."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import PAGE, WHO, WHY_NEEDED, Call, Route, paged
from selfheal.common.keys import Role


def listed(call: Call) -> Json:
    """Return a page of the breakers that ever moved."""
    return paged(call.service.breakers(), *call.page)


def reset(call: Call) -> Json:
    """Close a breaker because a person says so; return how all of them are then."""
    call.service.reset_breaker(call.path["name"], call.who, call.body["why"])
    return {"items": call.service.breakers(), "next": None}


ROUTES = (
    Route("GET", "/breakers", Role.VIEWER, listed, "Circuit breakers", "Breakers", PAGE),
    Route(
        "POST",
        "/breakers/<name>/reset",
        Role.OPERATOR,
        reset,
        "Close a circuit breaker, with a reason",
        "Breakers",
        body=(WHY_NEEDED, WHO),
    ),
)
