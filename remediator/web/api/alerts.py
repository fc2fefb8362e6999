"""Alerts and their fates."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import PAGE, Call, Route
from selfheal.common.keys import Role


def listed(call: Call) -> Json:
    """Return a page of alerts, the newest first, each with its fate."""
    limit, before = call.page
    with call.service.reader() as reader:
        return reader.list_alerts(limit, before)


ROUTES = (Route("GET", "/alerts", Role.VIEWER, listed, "Alerts with their fates, the newest first", "Alerts", PAGE),)
