"""The chained history: read in pages, verified, exported line by line."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug.wrappers import Response

from remediator.model import Json
from remediator.web.api.call import PAGE, Call, Route
from selfheal.common.keys import Role

LINES = "application/x-ndjson"
AT_ONCE = 200
"""Events of an export that are read and sent in one piece."""


def listed(call: Call) -> Json:
    """Return a page of the history, the oldest first: the cursor is the last id that was read."""
    limit, after = call.page
    with call.service.reader() as reader:
        return reader.audit_entries(after or 0, limit)


def verify(call: Call) -> Json:
    """Follow the whole chain and return what was found."""
    return call.service.audit_verify()


def export(call: Call) -> Response:
    """Return the whole history, one JSON object a line."""
    return Response(_parts(call), content_type=LINES)


def _parts(call: Call) -> Iterator[bytes]:
    last: int | None = None
    end: int | None = None
    while end is None or (last is not None and last < end):
        # a reader for each piece: one kept open lets the store's log grow for as long as a client takes its time
        with call.service.reader() as reader:
            # what is appended meanwhile is not waited for
            end = reader.audit_head().id if end is None else end
            lines, last = reader.audit_piece(last, AT_ONCE)
        if not lines:
            return
        yield "".join(f"{line}\n" for line in lines).encode()


ROUTES = (
    Route("GET", "/audit", Role.OPERATOR, listed, "The history with its hashes, the oldest first", "Entries", PAGE),
    Route("GET", "/audit/verify", Role.OPERATOR, verify, "Whether the history is unaltered", "Audit"),
    Route("GET", "/audit/export", Role.OPERATOR, export, "The whole history, one entry a line", "Line", kind=LINES),
)
