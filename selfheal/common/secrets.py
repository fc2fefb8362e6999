"""Secrets as a type that does not print itself, and token files with two valid tokens at once for rotation."""

from __future__ import annotations

import hmac
from pathlib import Path

from selfheal.common.files import privacy_problem


class Secret:
    """A text that prints as `<secret>`; only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that must send or compare it."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


def read_tokens(path: Path) -> tuple[Secret, ...]:
    """Given a token file of one or two lines (the second is the one being rotated out), return its tokens.

    Raise ValueError, naming the file and the remedy but never its content, if it is missing, not private, empty,
    longer than two lines, or holds a token shorter than 16 characters.
    """
    try:
        problem = privacy_problem(path)
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read token file {path}: {error.__class__.__name__}") from error
    if problem:
        raise ValueError(problem)
    count = len(lines)
    if not 1 <= count <= 2:
        raise ValueError(f"{path} must hold one token, or two while rotating, each on its own line; it has {count}")
    if any(len(line) < 16 for line in lines):
        raise ValueError(f"{path} holds a token shorter than 16 characters; make one with: openssl rand -hex 24")
    return tuple(Secret(line) for line in lines)


def matches_any(given: str, tokens: tuple[Secret, ...]) -> bool:
    """Given a presented token, say in constant time whether it equals one of `tokens`."""
    found = False
    for token in tokens:
        # no early end: the time must not tell which token, or how much of it, was right
        found |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.reveal().encode())
    return found
