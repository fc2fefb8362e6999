"""Signed links to requests: whoever has one may answer it. The key stays on this machine and signs nothing else."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfheal.common.files import privacy_problem, write_atomic
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.secrets import Secret

PATH = "/approve/"
KEY = "approval.key"
"""The file's name inside the state folder."""
LARGEST_ID = 2**63 - 1


def own_key(state: Path) -> Secret:
    """Return the key of this state folder, made when it is first asked for. Raise ConfigError if it is not private."""
    path = state / KEY
    if not path.exists():
        write_atomic(path, secrets.token_hex(32).encode() + b"\n", mode=0o600)
    problem = privacy_problem(path)
    key = path.read_text("ascii").strip()
    if problem is None and len(key) < 32:
        problem = f"{path} holds no key; remove it, and another is made"
    if problem is not None:
        what, _, remedy = problem.partition("; ")
        raise ConfigError([Problem(str(path), "", what, remedy)])
    return Secret(key)


def token_of(request: Mapping[str, Any], key: Secret) -> str:
    """Given a request as the API shows it, return the token of its link: number and signature."""
    return f"{request['id']}.{_signature(request, key)}"


def number_of(token: str) -> int | None:
    """Given a token, return the number of the request it claims to be for, or None if it is no token."""
    number = token.partition(".")[0]
    if not number.isascii() or not number.isdigit() or len(number) > 19 or int(number) > LARGEST_ID:
        return None
    return int(number)


def is_signed(token: str, request: Mapping[str, Any] | None, key: Secret) -> bool:
    """Given a token and the request of its number (None if there is none), say whether we signed it for that."""
    # a request that does not exist takes as long as one that does
    wanted = token_of(request or {"id": "0", "plan_hash": "", "expires_at": ""}, key)
    same = hmac.compare_digest(token.encode("utf-8", "surrogateescape"), wanted.encode())
    return same and request is not None


def _signature(request: Mapping[str, Any], key: Secret) -> str:
    """Return HMAC-SHA256 over what the link is for: the request, its plan, and until when it may be answered."""
    content = f"approve\n{request['id']}\n{request['plan_hash']}\n{request['expires_at']}"
    signed = hmac.digest(key.reveal().encode(), content.encode(), "sha256")
    return urlsafe_b64encode(signed).decode().rstrip("=")
