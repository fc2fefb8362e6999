"""The page that programs call to report: configured names only, whatever else asks is refused and counted."""

from __future__ import annotations

import threading
from collections.abc import Collection
from enum import StrEnum
from logging import getLogger
from urllib.parse import parse_qsl

from exporter.heartbeat.ledger import Ledger
from exporter.heartbeat.model import Beat, parse_result
from exporter.messages import Request, Response
from selfheal.common.clock import Clock

logger = getLogger(__name__)

PREFIX = "/heartbeat/"


class Refusal(StrEnum):
    """Why a call was not noted; a closed set, for it is a label."""

    UNKNOWN = "unknown"  # no heartbeat of this name reports by calls
    MALFORMED = "malformed"  # another method, or a query that says no result
    BROWSER = "browser"  # sent by a web page, which must not report for a program
    STORAGE = "storage"  # noted, but the state could not be written


class Calls:
    """Answers calls; asked on the thread of each connection, beside a scrape."""

    def __init__(self, names: Collection[str], ledger: Ledger, clock: Clock) -> None:
        self._names = frozenset(names)
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._refused = dict.fromkeys(Refusal, 0)

    def refused(self) -> dict[Refusal, int]:
        """Return how many calls were refused, by the reason."""
        with self._lock:
            return dict(self._refused)

    def answer(self, request: Request) -> Response:
        """Given `POST /heartbeat/NAME?result=ok`, note it and return 200; else return why not."""
        name = request.path.removeprefix(PREFIX)
        if request.method != "POST":
            return self._refuse(Refusal.MALFORMED, 405, "report with POST", {"Allow": "POST"})
        if "origin" in request.headers:
            return self._refuse(Refusal.BROWSER, 400, "a page in a browser may not report")
        if name not in self._names:
            return self._refuse(Refusal.UNKNOWN, 404, "no heartbeat of this name is configured to report by calls")
        try:
            beat = Beat(self._clock.now(), _result(request.query))
        except ValueError as error:
            return self._refuse(Refusal.MALFORMED, 400, str(error))
        try:
            self._ledger.note(name, beat)
        except OSError as error:
            logger.warning("heartbeat not stored", extra={"heartbeat": name, "reason": str(error)})
            return self._refuse(Refusal.STORAGE, 503, "noted until the exporter ends, but it could not be stored")
        return Response(200, b"noted\n")

    def _refuse(self, why: Refusal, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
        with self._lock:
            self._refused[why] += 1
        return Response(status, f"{status}: {text}\n".encode(), headers=headers or {})


def _result(query: str) -> bool:
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=10) if query else []
    if [key for key, _ in pairs] not in ([], ["result"]):
        raise ValueError("the query may say result=ok, result=failed or result=EXIT_CODE, once, and nothing else")
    return parse_result(pairs[0][1] if pairs else "ok")
