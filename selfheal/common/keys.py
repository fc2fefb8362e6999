"""API keys: random, shown once, stored only as a hash with a name and a role."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from selfheal.common.files import privacy_problem, write_atomic

PREFIX = "selfheal_"
"""Begins every key, so that a scanner of repositories and logs can tell one."""
LONGEST = 1024 * 1024
"""Bytes of a keys file that are read; more cannot be one of ours."""
EXAMPLE = "make one with: selfheal key new NAME --role viewer"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class Role(StrEnum):
    """What a caller of the API may do; each role may do what those before it may too."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # pauses, cancels, settles, runs playbooks
    APPROVER = "approver"  # says yes or no to what waits for a person
    ADMIN = "admin"  # stops monitoring, and everything else

    def may(self, least: Role) -> bool:
        """Say whether this role suffices where `least` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One line of a keys file."""

    name: str
    role: Role
    digest: str
    """`sha256:` and the hash in hexadecimal digits. A key holds 256 random bits, so nothing slower is needed."""


def new_key() -> str:
    """Return a key that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """Given a key as presented, return what is stored of it."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def find_key(given: str, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Given a presented key, return its line, or None. The time tells nothing about which line it was."""
    digest, found = digest_of(given), None
    for key in keys:
        # no early end
        if hmac.compare_digest(digest, key.digest):
            found = key
    return found


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Given a keys file, return its keys; several may have one name, so that a key can be rotated.

    Raise ValueError, naming file, line and remedy but never what stands there, if it is missing, not private or wrong.
    """
    try:
        problem = privacy_problem(path)
        with path.open("rb") as file:
            text = file.read(LONGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read keys file {path} ({error.__class__.__name__}); {EXAMPLE}") from error
    if problem:
        raise ValueError(problem)
    return tuple(
        _key(line, f"{path} line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _key(line: str, place: str) -> ApiKey:
    parts = line.split()
    if len(parts) != 3:
        raise ValueError(f"{place} must hold name, role and hash; {EXAMPLE}")
    name, role, digest = parts
    if not _NAME.fullmatch(name):
        raise ValueError(f"{place} names its key wrongly; use letters, digits and . _ @ -, at most 63")
    if role not in tuple(Role):
        raise ValueError(f"{place} has an unknown role; known are {', '.join(Role)}")
    if not _HASH.fullmatch(digest):
        # it may be the key itself, so it is not shown
        raise ValueError(f"{place} holds no hash of a key; {EXAMPLE}")
    return ApiKey(name, Role(role), digest)


def add_key(path: Path, name: str, role: Role) -> str:
    """Add a new key to the file, which is made if it is missing, and return the key: it is stored nowhere.

    Raise ValueError if the name or the file cannot be used, OSError if it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} cannot name a key; use letters, digits and . _ @ -, at most 63")
    written = ""
    if path.exists():
        read_keys(path)
        written = path.read_text("utf-8")
    if written and not written.endswith("\n"):
        written += "\n"
    key = new_key()
    write_atomic(path, f"{written}{name} {role.value} {digest_of(key)}\n".encode(), mode=0o600)
    return key
