"""Grafana's signature on a delivery: HMAC with SHA-256, as small hexadecimal digits and nothing else.

It covers the body, or `<seconds>:<body>` where the time is sent in a header of its own; only that stops a repetition.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading

from remediator.config import Hmac

REMEMBERED = 10_000
"""Signatures kept of the tolerated time; beyond that a signed delivery is refused rather than one repetition missed."""

_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Signatures:
    """Judges signatures, and remembers those of stored deliveries until they are too old to be repeated."""

    def __init__(self, terms: Hmac) -> None:
        self._terms = terms
        self._lock = threading.Lock()
        self._stored: dict[str, float] = {}

    def signed(self, environ: dict[str, object]) -> str | None:
        """Given a request's environment, return the signature it carries, or None if it has none that can be one."""
        found = str(environ.get(_key(self._terms.header), ""))
        return found if _SIGNATURE.fullmatch(found) else None

    def are_right(self, environ: dict[str, object], body: bytes, now: float) -> bool:
        """Given the environment, the body and the wall time, say whether the delivery is signed, in time and new."""
        given = self.signed(environ)
        stamp = "" if self._terms.timestamp_header is None else str(environ.get(_key(self._terms.timestamp_header), ""))
        covered = body if self._terms.timestamp_header is None else stamp.encode("utf-8", "replace") + b":" + body
        wanted = hmac.new(self._terms.secret.reveal().encode(), covered, hashlib.sha256).hexdigest()
        # compared whatever else is wrong, so that the time tells nothing
        right = hmac.compare_digest(wanted, given or "")
        if self._terms.timestamp_header is None:
            return right
        return right and self._in_time(stamp, now) and self._is_new(wanted, now)

    def keep(self, environ: dict[str, object], now: float) -> None:
        """The delivery is on disk: it need not come again."""
        given = self.signed(environ)
        if given is not None and self._terms.timestamp_header is not None:
            with self._lock:
                self._stored[given] = now

    def _in_time(self, stamp: str, now: float) -> bool:
        return _SECONDS.fullmatch(stamp) is not None and abs(now - int(stamp)) <= self._terms.tolerance

    def _is_new(self, signature: str, now: float) -> bool:
        with self._lock:
            # a stamp may lie as far ahead as behind
            oldest = now - 2 * self._terms.tolerance
            if len(self._stored) >= REMEMBERED:
                self._stored = {known: at for known, at in self._stored.items() if at >= oldest}
            return signature not in self._stored and len(self._stored) < REMEMBERED


def _key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")
