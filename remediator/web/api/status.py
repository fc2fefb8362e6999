"""The whole at a glance: status, the host's gauges of the moment, and a summary for dashboards."""

from __future__ import annotations

from remediator.model import ApprovalState, Json, State
from remediator.web.api.call import Call, Route
from selfheal.common.keys import Role

LATEST = 10
"""Remediations in the summary."""
ALERTS = 200
"""Alerts that are on in the summary, at most; the newest."""


def get(call: Call) -> Json:
    """Return what is wrong, acting, waiting, paused and blind."""
    return call.service.status()


def metrics(call: Call) -> Json:
    """Return the host's gauges of the moment."""
    return call.service.host_metrics()


def dashboard(call: Call) -> Json:
    """Return a summary: what is on, what waits for people, what was done last."""
    status = call.service.status()
    with call.service.reader() as reader:
        runs = reader.list_remediations(LATEST, None)["items"]
        firing = reader.open_alerts(ALERTS, heartbeats=True)
        unknown = reader.list_remediations(LATEST, None, State.UNKNOWN.value)["items"]
        asked = reader.list_approvals(LATEST, None, ApprovalState.OPEN.value)["items"]
    return {
        "status": status,
        "firing": firing["items"],
        "firing_count": firing["count"],
        "waiting_for_people": {
            "settle": [run["id"] for run in unknown],
            "approve": [request["id"] for request in asked],
        },
        "breakers": [breaker for breaker in call.service.breakers() if breaker["state"] != "closed"],
        "remediations": runs,
    }


ROUTES = (
    Route("GET", "/status", Role.VIEWER, get, "What is wrong, acting, waiting, paused, blind", "Status", cache=1),
    Route("GET", "/metrics/current", Role.VIEWER, metrics, "The host's gauges of the moment", "Gauges", cache=5),
    Route("GET", "/dashboard", Role.VIEWER, dashboard, "A summary for dashboards", "Dashboard", cache=2),
)
