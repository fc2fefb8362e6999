"""What every command answers with: exit codes, failures that are told and not traced, JSON, and careful text.

Text that came with an alert is data: nothing in it may move the cursor or colour the terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

from remediator.locale import Catalog
from remediator.model import Json

DONE = 0
FAILED = 1
USAGE = 2
NOTHING_TO_ASK = 3
"""Neither a running remediator nor its store could be found."""

_COLOURS = {"good": "\x1b[32m", "bad": "\x1b[31m", "busy": "\x1b[33m", "soft": "\x1b[2m", "strong": "\x1b[1m"}
_PLAIN = "\x1b[0m"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that print nothing or move what follows."""


GAP = 2
"""Columns between two cells, and before the first."""
NARROWEST = 8
"""Columns that a cell keeps on a narrow terminal."""


class Failed(Exception):
    """What a person is told when a command cannot do its work, with the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def tell_failure(failure: Failed, as_json: bool) -> None:
    """Write a failure: to stderr as text, or to stdout as `{"error": …}`."""
    if as_json:
        print_json({"error": str(failure)})
    else:
        print(f"selfheal: {clean(str(failure), keep_lines=True)}", file=sys.stderr)


def print_json(value: Json) -> None:
    """Write one JSON object to stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def clean(text: object, keep_lines: bool = False) -> str:
    """Given any value, return it as text that cannot steer a terminal: what is hidden is shown as an escape."""
    return "".join(
        sign if unicodedata.category(sign) not in _HIDDEN or (keep_lines and sign == "\n") else _escaped(sign)
        for sign in str(text)
    )


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii") if ord(sign) > 31 else repr(sign)[1:-1]


def width(text: str) -> int:
    """Return how many columns a text takes on a terminal: Korean signs take two."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def cut(text: str, most: int) -> str:
    """Return a text that takes at most `most` columns; what is left out is marked."""
    if width(text) <= most:
        return text
    kept = ""
    for sign in text:
        if width(kept + sign) > most - 1:
            break
        kept += sign
    return kept + "…"


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Given the columns' widths and the room there is, return widths that fit: the widest give way first.

    None becomes narrower than NARROWEST; on a terminal narrower than that the lines wrap.
    """
    found = list(widths)
    while sum(found) > room and max(found) > NARROWEST:
        found[found.index(max(found))] -= 1
    return found


class Screen:
    """Text for a person: colours only on a terminal, tables whose columns line up in both languages."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._colours = self._out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: object, colour: str = "") -> str:
        """Given a value, return it as careful text, in colour where colours are shown."""
        plain = clean(text)
        return f"{_COLOURS[colour]}{plain}{_PLAIN}" if colour and self._colours else plain

    def line(self, text: str = "") -> None:
        """Write one line that was made of painted parts."""
        print(text, file=self._out)

    def heading(self, text: str) -> None:
        """Write a heading with a free line before it."""
        self.line()
        self.line(self.paint(text, "strong"))

    def table(self, rows: Sequence[Sequence[tuple[object, str]]], heads: Sequence[str] = ()) -> None:
        """Write rows of (value, colour) cells below `heads`, two spaces between columns; the last is not padded."""
        if not rows:
            return
        if heads:
            rows = [[(head, "soft") for head in heads], *rows]
        texts = [[clean(value) for value, _ in row] for row in rows]
        widths = [max(width(row[column]) for row in texts) for column in range(len(texts[0]))]
        if self._out.isatty():
            widths = fitted(widths, shutil.get_terminal_size().columns - GAP * len(widths))
        for row, plain in zip(rows, texts, strict=True):
            cells = []
            for column, (_, colour) in enumerate(row):
                text = cut(plain[column], widths[column])
                cells.append(self.paint(text, colour) + " " * (widths[column] - width(text)))
            self.line(("  " + "  ".join(cells)).rstrip())


def heads(texts: Catalog, *words: str) -> list[str]:
    """Given keys of the page's words, return the heads of a table's columns."""
    return [texts.say(f"page.{word}") for word in words]


def colour_of(state: object) -> str:
    """Given a state of a remediation, return its colour."""
    if state in ("succeeded", "watching"):
        return "good"
    if state in ("failed", "ineffective", "unknown"):
        return "bad"
    return "busy" if state in ("pending", "held", "running", "undoing", "verifying") else ""
