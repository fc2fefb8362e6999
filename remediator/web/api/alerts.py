"""Alerts and their fates."""

from __future__ import annotations

from remediator.model import Json
from remediator.web.api.call import PAGE, Call, Route
from remediator.web.api.fields import Field
from selfheal.common.keys import Role

OPEN = Field("open", "switch", "only those that are on and no heartbeat, with their `count`", default=False)


def listed(call: Call) -> Json:
    """Return a page of alerts, the newest first, each with its fate."""
    limit, before = call.page
    with call.service.reader() as reader:
        return reader.open_alerts(limit, before) if call.query["open"] else reader.list_alerts(limit, before)


ROUTES = (
    Route("GET", "/alerts", Role.VIEWER, listed, "Alerts with their fates, the newest first", "Alerts", (*PAGE, OPEN)),
)
