"""Answers kept under idempotency keys: who sends a request again gets the first answer, and nothing happens twice."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.store.rows import Rows, plain

KEPT = 86_400.0
"""Seconds for which an answer is kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of an earlier request with the same key."""

    digest: str
    """Of that request."""
    status: int | None
    """None while it is not answered, and for good if the program ended before it was."""
    body: str


class AnswerWrites(Rows):
    """Claiming a key, and keeping the answer."""

    def claim_answer(self, who: str, key: str, digest: str, now: float) -> Kept | None:
        """Claim a key for a request and return None; if it was claimed within a day, return what is known of that."""
        self._run("drop_answers", before=now - KEPT)
        row = self._one("kept_answer", who=plain(who), key=plain(key))
        if row is not None:
            return Kept(row["digest"], row["status"], row["body"])
        self._run("claim_answer", who=plain(who), key=plain(key), digest=digest, now=now)
        return None

    def keep_answer(self, who: str, key: str, status: int, body: str) -> None:
        """Keep the answer to the request that claimed the key."""
        self._run("keep_answer", who=plain(who), key=plain(key), status=status, body=plain(body))

    def forget_answer(self, who: str, key: str) -> None:
        """Nothing came of the request that claimed the key: it may be sent again."""
        self._run("forget_answer", who=plain(who), key=plain(key))
