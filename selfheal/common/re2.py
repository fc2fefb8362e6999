"""Regular expressions with the meaning they have in Go, carried out by RE2, the library whose meaning that is.

Its time grows with the length of a text and no faster, and other threads go on meanwhile: what is matched may be
chosen by strangers. It is loaded with the first expression that needs it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

# what finding one needs at most, whatever the text: beyond it RE2 is slower, not larger
_MOST_BYTES = 1 << 20
_MOST_NAMES = 500
# words, and as the last sign anything: the same in Python, as fast, and spares 3 MB for RE2
_PLAIN = re.compile(r"\^?[A-Za-z0-9_ /:=,@-]*(?:\.[*+])?")
_BYTES_OF_RE2 = re.compile(r"(?<!\\)(?:\\\\)*\\C")
_SURROGATE = re.compile("[\ud800-\udfff]")


class ExpressionError(ValueError):
    """An expression that RE2 does not take."""


class Expression:
    """A compiled expression; `names` are those of its captures by their number from 1, empty where there is none."""

    def __init__(self, source: str, pattern: Any) -> None:
        self.source = source
        by_number = {number: name for name, number in pattern.groupindex.items()}
        self.names = tuple(by_number.get(number, "") for number in range(1, pattern.groups + 1))
        self._pattern = pattern
        # a host's names come again with every scrape
        self.matches = lru_cache(_MOST_NAMES)(self.finds)
        """As `finds`, for names: it is remembered."""

    def __str__(self) -> str:
        return self.source

    def search(self, text: str | bytes) -> tuple[str, ...] | None:
        """Given a text, return what each capture holds where it first matches, else None; empty if it took no part."""
        found = self._pattern.search(_readable(text))
        return None if found is None else found.groups("")

    def captures(self, text: str | bytes) -> dict[str, str] | None:
        """Given a text, return the named captures where it first matches, or None."""
        found = self.search(text)
        return None if found is None else {name: part for name, part in zip(self.names, found, strict=True) if name}

    def finds(self, text: str | bytes) -> bool:
        """Say whether it matches anywhere in the text."""
        return self._pattern.search(_readable(text)) is not None

    def matches_all(self, text: str) -> bool:
        """Say whether it matches the text as a whole."""
        return self._pattern.fullmatch(_readable(text)) is not None


def compile_re2(source: str) -> Expression:
    """Given an expression as RE2 has it, return it compiled. Raise ExpressionError, naming what is wrong.

    Go's `regexp` takes the same expressions.
    """
    if _PLAIN.fullmatch(source):
        return compile_own(source)
    if _BYTES_OF_RE2.search(source):
        raise ExpressionError(r"Go has no \C; write (?s:.) for any character")
    import re2

    options = re2.Options()
    options.max_mem = _MOST_BYTES
    options.log_errors = False
    try:
        return Expression(source, re2.compile(source, options))
    except re2.error as error:
        raise ExpressionError(f"RE2 refuses it: {error.args[0].decode('utf-8', 'replace')}") from error
    except UnicodeEncodeError as error:
        raise ExpressionError("it is not UTF-8") from error


def compile_own(source: str) -> Expression:
    """Given a default of ours, return it compiled by Python: a start without expressions of others needs no RE2.

    Only for what Python reads as RE2 does, in a time that grows with the text; `$` is no literal in it.
    """
    return Expression(source, re.compile(source.replace("$", r"\Z"), re.ASCII))


def _readable(text: str | bytes) -> str:
    """Return a text as Go sees it: each byte that is no UTF-8 is one U+FFFD."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
