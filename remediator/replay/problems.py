"""What keeps a recording from being read: each says where, what, and what to do."""

from __future__ import annotations

from remediator.errors import RemediatorError


class NotReadable(RemediatorError):
    """A recording cannot be read; the message names the place and the remedy."""


def at_line(name: str, number: int, what: str, remedy: str) -> NotReadable:
    """Return the error about one line of a file."""
    return NotReadable(f"{name}: line {number}: {what}; {remedy}")
