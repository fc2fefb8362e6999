"""Stops and starts of healing (a pause of everything) and monitoring: alerts are stored, nothing is done."""

from __future__ import annotations

from remediator.model import Json, Scope
from remediator.web.api.call import FOR, WHO, WHY, Call, Route
from selfheal.common.keys import Role


def stop_monitoring(call: Call) -> Json:
    """From now on alerts are only stored."""
    call.service.stop_monitoring(call.who, call.body["why"] or "", call.until)
    return _told(call)


def start_monitoring(call: Call) -> Json:
    """Alerts are decided again, those too that were only stored and are still on."""
    call.service.start_monitoring(call.who)
    return _told(call)


def stop_healing(call: Call) -> Json:
    """Pause everything."""
    call.service.pause(Scope(), call.who, call.body["why"] or "", call.until, False)
    return _told(call)


def start_healing(call: Call) -> Json:
    """End the pause of everything."""
    call.service.resume(Scope(), call.who)
    return _told(call)


def _told(call: Call) -> Json:
    status = call.service.status()
    return {"monitoring_stopped": status.get("monitoring_stopped"), "paused": status.get("paused")}


STOP = (WHY, FOR, WHO)
ROUTES = (
    Route(
        "POST",
        "/control/monitoring/stop",
        Role.ADMIN,
        stop_monitoring,
        "Alerts are stored only; nothing is asked or done about them",
        "Control",
        body=STOP,
    ),
    Route("POST", "/control/monitoring/start", Role.ADMIN, start_monitoring, "Monitor again", "Control", body=(WHO,)),
    Route("POST", "/control/healing/stop", Role.OPERATOR, stop_healing, "Pause everything", "Control", body=STOP),
    Route("POST", "/control/healing/start", Role.OPERATOR, start_healing, "End that pause", "Control", body=(WHO,)),
)
