"""Credentials of basic authentication, judged against bcrypt hashes: slow once, then remembered; time tells nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

# bcrypt reads no further, and the library refuses what is longer instead of cutting it as others do
_LONGEST = 72
_MOST_REMEMBERED = 256


class Passwords:
    """Verdicts of bcrypt, kept under a digest with a key of this process, so that no password stays in memory."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        # wrong ones apart: however many somebody tries, the right ones stay remembered
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        # one at a time: guessing costs at most one core
        self._turn = threading.Lock()

    def are_right(self, users: Mapping[str, str], name: str, password: str) -> bool:
        """Given the hashes by name, say whether `name` is there and `password` is its own.

        A name that is not there costs as much as one that is: it is compared with the most costly hash, and for one
        whose own hash costs less the difference is spent too.
        """
        known = name in users
        dearest = max(users.values(), key=_cost, default="")
        return self._judge(name, users[name] if known else dearest, password, dearest) and known

    def _judge(self, name: str, hashed: str, password: str, dearest: str) -> bool:
        parts = [part.encode("utf-8", "surrogateescape") for part in (name, hashed, password)]
        framed = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        digest = hmac.new(self._key, framed, hashlib.sha256).digest()
        verdict = self._remembered(digest)
        if verdict is not None:
            return verdict
        with self._turn:
            # another may have asked the same while we waited
            verdict = self._remembered(digest)
            if verdict is None:
                verdict = _compare(hashed, parts[2])
                _spend(hashed, dearest)
                self._remember(digest, verdict)
        return verdict

    def _remembered(self, digest: bytes) -> bool | None:
        with self._lock:
            for verdict, kept in ((True, self._right), (False, self._wrong)):
                if digest in kept:
                    kept.move_to_end(digest)
                    return verdict
        return None

    def _remember(self, digest: bytes, verdict: bool) -> None:
        kept = self._right if verdict else self._wrong
        with self._lock:
            kept[digest] = None
            if len(kept) > _MOST_REMEMBERED:
                kept.popitem(last=False)


def _cost(hashed: str) -> str:
    return hashed[4:6]


def _spend(hashed: str, dearest: str) -> None:
    """Spend what lies between the costs of two hashes: each step doubles it, so those between add up to it."""
    for cost in range(int(_cost(hashed) or 0), int(_cost(dearest) or 0)):
        bcrypt.hashpw(b"", bcrypt.gensalt(cost))


def _compare(hashed: str, password: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_LONGEST], hashed.encode())
    except ValueError:
        # a password that cannot be one, or no hash to compare with
        return False


def basic_credentials(header: str) -> tuple[str | None, str]:
    """Given an Authorization header, return name and password of basic authentication; no name if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None, ""
    name, colon, password = pair.partition(":")
    return (name, password) if colon else (None, "")
