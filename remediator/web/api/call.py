"""One request of the API as its handler sees it, and what several handlers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request, Response

from remediator.model import Json
from remediator.web.access import Caller
from remediator.web.api.fields import LARGEST_ID, Field
from remediator.web.problems import Problem
from remediator.web.service import Service
from remediator.web.streams import Streams
from selfheal.common.clock import Clock, from_rfc3339, to_rfc3339
from selfheal.common.keys import Role

DEFAULT_LIMIT = 50
MOST = 500

LIMIT = Field("limit", "count", "how many at most", most=MOST, default=DEFAULT_LIMIT)
CURSOR = Field("cursor", "id", "what an earlier answer gave as `next`")
PAGE = (LIMIT, CURSOR)
WHO = Field("who", "text", "who says so; an API key's own name is always kept with it")
WHY = Field("why", "text", "why; it is kept in the history", most=1024)
WHY_NEEDED = Field("why", "text", "why; it is kept in the history", most=1024, required=True)
FOR = Field("for", "duration", "for how long; without it until somebody ends it")


@dataclass(frozen=True, slots=True)
class Call:
    """Everything a handler may use."""

    service: Service
    caller: Caller
    asked: Request
    streams: Streams
    clock: Clock
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    still_may: Callable[[], bool] = lambda: True
    """Say whether who asked may ask this still, for what goes on after its answer."""

    @property
    def who(self) -> str:
        """Return whom history names for this request."""
        said = self.body.get("who") or self.query.get("who")
        return self.caller.who(said)

    @property
    def until(self) -> float | None:
        """Return when what the request asks for shall end, in seconds since the epoch; None without an end."""
        span = self.body.get("for")
        return None if span is None else self.clock.now() + span

    @property
    def page(self) -> tuple[int, int | None]:
        """Return how many, and the cursor."""
        return self.query["limit"], self.query["cursor"]

    def id(self, what: str) -> int:
        """Return the id in the path. Raise Problem if nothing can have it."""
        text = self.path["id"]
        if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > LARGEST_ID:
            raise missing(what)
        return int(text)


Answer = Json | Response
Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table: who may ask what, how, and what comes back."""

    method: str
    path: str
    role: Role
    """The least that may."""
    handler: Handler
    summary: str
    schema: str
    """The name of what comes back, in the schemas."""
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] | None = None
    """None: no body is read."""
    cache: int = 0
    """Seconds for which an answer may be used without asking again; 0: ask again, with its ETag."""
    kind: str = "application/json"


def missing(what: str) -> Problem:
    """Return the answer where there is no such thing."""
    return Problem(404, "Not Found", f"there is no {what}")


def time(seconds: float | None) -> str | None:
    """Return a time as the API writes it."""
    return None if seconds is None else to_rfc3339(seconds)


def paged(items: list[Json], limit: int, after: int | None) -> Json:
    """Given everything there is, return the page behind the place `after`: for what is few and has no ids."""
    begin = after or 0
    more = len(items) > begin + limit
    return {"items": items[begin : begin + limit], "next": str(begin + limit) if more else None}


__all__ = [
    "CURSOR",
    "FOR",
    "LIMIT",
    "PAGE",
    "WHO",
    "WHY",
    "WHY_NEEDED",
    "Answer",
    "Call",
    "Handler",
    "Route",
    "from_rfc3339",
    "missing",
    "paged",
    "time",
]
