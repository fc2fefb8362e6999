"""Idempotency keys: a POST that comes again with its key has the first one's answer, and does nothing a second time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Protocol

from werkzeug.wrappers import Request, Response

from remediator.web.problems import Problem, answer_to
from remediator.web.service import Kept

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,255}")


class Answers(Protocol):
    """Where answers are kept, durably."""

    def claim_answer(self, who: str, key: str, digest: str) -> Kept | None:
        """Claim a key and return None, or return what is known of the request that claimed it within a day."""
        ...

    def keep_answer(self, who: str, key: str, status: int, body: str) -> None:
        """Keep the answer of the request that claimed the key."""
        ...

    def forget_answer(self, who: str, key: str) -> None:
        """Nothing came of the request: it may be sent again."""
        ...


def once(asked: Request, who: str, answers: Answers, work: Callable[[], Response]) -> Response:
    """Return what `work` answers, or what it answered before to this caller's same request. Raise Problem otherwise."""
    key = asked.headers.get(HEADER)
    if key is None or asked.method != "POST":
        return work()
    if not _KEY.fullmatch(key):
        raise Problem(400, "Bad Request", f"{HEADER} must be 1 to 255 printable signs without spaces")
    digest = _digest(asked)
    known = answers.claim_answer(who, key, digest)
    if known is not None:
        return _again(known, digest)
    try:
        response = work()
    except Exception as error:  # noqa: BLE001 - a refusal is an answer too, and is kept like one
        response = answer_to(error)
    if response.status_code == 503:
        # nothing was stored, so nothing has happened
        answers.forget_answer(who, key)
    else:
        answers.keep_answer(who, key, response.status_code, response.get_data(as_text=True))
    return response


def _again(known: Kept, digest: str) -> Response:
    if known.digest != digest:
        what = f"another request had this {HEADER} within a day; take a new one for a new request"
        raise Problem(422, "Unprocessable Content", what)
    if known.status is None:
        what = f"the request with this {HEADER} is not answered, or its answer was lost; look what came of it"
        raise Problem(409, "Conflict", what)
    kind = "application/json" if known.status < 400 else "application/problem+json"
    return Response(known.body, known.status, content_type=kind, headers={"Idempotency-Replayed": "true"})


def _digest(asked: Request) -> str:
    parts = [asked.method, asked.path, asked.query_string.decode("latin-1"), asked.get_data(as_text=False).hex()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
