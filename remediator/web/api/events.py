"""Events: a page of them, or all as they happen as server-sent events."""

from __future__ import annotations

from werkzeug.wrappers import Response

from remediator.web.api.call import PAGE, Answer, Call, Route
from remediator.web.api.fields import number
from remediator.web.connections import HAND_OVER
from remediator.web.problems import Problem
from remediator.web.streams import TooMany, shown
from selfheal.common.keys import Role

STREAM = "text/event-stream"


def events(call: Call) -> Answer:
    """Return a page, the oldest first, or begin a stream for who asks for one."""
    limit, after = call.page
    # written out: what says */* takes anything, and is no reader of streams
    if call.asked.method == "GET" and STREAM in call.asked.headers.get("Accept", ""):
        return _stream(call)
    with call.service.reader() as reader:
        page = reader.audit_entries(after or 0, limit)
    return {"items": [shown(event) for event in page["items"]], "next": page["next"]}


def _stream(call: Call) -> Response:
    last = call.asked.headers.get("Last-Event-ID")
    if last is not None:
        after = number(last, "Last-Event-ID must be the id of an event")
    elif call.query["cursor"] is not None:
        after = call.query["cursor"]
    else:
        with call.service.reader() as reader:
            after = reader.audit_head().id
    give_away = call.asked.environ.get(HAND_OVER)
    if give_away is None:
        raise Problem(503, "Service Unavailable", "this server cannot stream")
    try:
        give_away(call.streams.promise(after, call.still_may))
    except TooMany as error:
        raise Problem(503, "Service Unavailable", f"{error}; try again later") from error
    # the body comes later, and nobody knows how much of it: an iterator has no length
    return Response(iter(()), content_type=STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


ROUTES = (
    Route("GET", "/events", Role.VIEWER, events, "Events: a page of them, or all as they happen", "Events", PAGE),
)
