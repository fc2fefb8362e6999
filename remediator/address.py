"""Where a running remediator answers: a file beside its store, so that commands find it whatever port it got."""

from __future__ import annotations

from pathlib import Path

from selfheal.common.files import write_atomic

NAME = "remediator.url"
"""The file's name inside the state folder."""


def write(state: Path, url: str) -> None:
    """Say that the remediator of this state folder answers at `url`. Raise OSError if it cannot be written."""
    write_atomic(state / NAME, url.encode() + b"\n", mode=0o600)


def read(state: Path) -> str | None:
    """Return where the remediator of this state folder answered last, or None if that is not written there."""
    try:
        url = (state / NAME).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return url if url.startswith(("http://", "https://")) else None


def clear(state: Path) -> None:
    """Say that no remediator answers for this state folder."""
    (state / NAME).unlink(missing_ok=True)  # our own mark, not a healed path
