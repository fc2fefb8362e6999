"""What this host permits, for reading."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import Call, Route
from selfheal.common.keys import Role


def get(call: Call) -> Json:
    """Return what this host permits, by name."""
    return call.service.policy_view()


ROUTES = (Route("GET", "/policy", Role.VIEWER, get, "What this host permits", "Policy", cache=30),)
