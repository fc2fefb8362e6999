"""The API's own description, in OpenAPI."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import Call, Route
from selfheal.common.keys import Role


def get(_call: Call) -> Json:
    """Return the OpenAPI document."""
    # made when somebody asks: it is written from the table that this route itself stands in
    from remediator.web.api.openapi import document
    from remediator.web.api.routes import ROUTES

    return document(ROUTES)


ROUTES = (Route("GET", "/openapi.json", Role.VIEWER, get, "This description", "Description", cache=300),)
