"""Regular expressions with the meaning they have in Go and RE2, which Prometheus's programs use, run by Python's `re`.

Every expression is read by the grammar of https://github.com/google/re2/wiki/Syntax and written anew for Python, so
that `$`, `\\d`, `\\s`, `\\b`, `{,3}` and flags amid an expression mean the same in both. What cannot be written so is
refused, naming both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from selfheal.common.re2_classes import LARGEST, PERL, POSIX, Range, class_text, escaped, folded, negated

_MOST_REPEATS = 1000
_MOST_DEPTH = 200

_CONTROLS = {"a": 0x07, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}

_OPERATORS = {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1.0)}
# Python's \B never matches in an empty text
_ASSERTIONS = {"A": r"\A", "z": r"\Z", "b": r"(?a:\b)", "B": r"(?!(?a:\b))"}

_REFUSED_ESCAPES = {
    "Z": "Python reads \\Z as the end of the text, RE2 has no \\Z; write \\z",
    "p": "RE2 reads \\p as a class of Unicode, Python has none; write out the characters",
    "P": "RE2 reads \\P as a class of Unicode, Python has none; write out the characters",
    "C": "RE2 reads \\C as a byte, and neither Go nor Python has it",
}
_REFUSED_GROUPS = {
    "=": "Python reads (?= as lookahead, RE2 has none",
    "!": "Python reads (?! as lookahead, RE2 has none",
    "<=": "Python reads (?<= as lookbehind, RE2 has none",
    "<!": "Python reads (?<! as lookbehind, RE2 has none",
    ">": "Python reads (?> as a group that is never tried again, RE2 has none",
    "#": "Python reads (?# as a comment, RE2 has none",
    "(": "Python reads (?( as a condition, RE2 has none",
    "P=": "Python reads (?P= as a backreference, RE2 has none",
    "P>": "(?P> is a group of neither RE2 nor Python",
}


class ExpressionError(ValueError):
    """An expression that RE2 does not take, or that Python cannot be made to read as RE2 does."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; `names` are those of its captures by their number from 1, empty where there is none."""

    source: str
    names: tuple[str, ...]
    _pattern: re.Pattern[str]

    def search(self, text: str) -> tuple[str, ...] | None:
        """Given a text, return what each capture holds where it first matches, else None; empty if it took no part."""
        found = self._pattern.search(text)
        return None if found is None else found.groups("")

    def captures(self, text: str) -> dict[str, str] | None:
        """Given a text, return the named captures where it first matches, or None."""
        found = self.search(text)
        return None if found is None else {name: part for name, part in zip(self.names, found, strict=True) if name}

    def matches(self, text: str) -> bool:
        """Say whether it matches anywhere in the text."""
        return self._pattern.search(text) is not None

    def matches_all(self, text: str) -> bool:
        """Say whether it matches the text as a whole."""
        return self._pattern.fullmatch(text) is not None


def compile_re2(source: str) -> Expression:
    """Given an expression as RE2 has it, return it compiled. Raise ExpressionError, naming what is wrong and the cure.

    Go's `regexp` takes the same expressions, but for `\\C`.
    """
    reader = _Reader(source)
    written = reader.read_all()
    try:
        return Expression(source, tuple(reader.names), re.compile(written))
    except (re.error, OverflowError, RecursionError) as error:
        raise ExpressionError(f"Python cannot compile what RE2 takes: {error}") from error


class _Part(NamedTuple):
    """A part of an expression, written for Python, and whether it can match without taking a character."""

    text: str
    can_be_empty: bool = False


@dataclass(slots=True)
class _Flags:
    fold: bool = False
    lines: bool = False
    dot_all: bool = False
    lazy: bool = False


class _Reader:
    """Reads one expression from left to right and writes it for Python."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0
        self.names: list[str] = []

    def read_all(self) -> str:
        """Return the whole expression. Raise ExpressionError."""
        written = self._read_alternatives(_Flags())
        if self._at < len(self._source):
            raise self._error("unexpected )")
        return written.text

    def _read_alternatives(self, flags: _Flags) -> _Part:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise self._error("expression nests too deeply")
        branches = [[_Part("", True)]]
        while self._at < len(self._source) and self._source[self._at] != ")":
            if self._source[self._at] == "|":
                self._at += 1
                branches.append([_Part("", True)])
            else:
                branches[-1] += self._read_repeated(flags)
        self._depth -= 1
        return _Part(
            "|".join("".join(part.text for part in branch) for branch in branches),
            any(all(part.can_be_empty for part in branch) for branch in branches),
        )

    def _read_repeated(self, flags: _Flags) -> list[_Part]:
        captures = len(self.names)
        parts = self._read_atoms(flags)
        if not self._repeat_length():
            return parts
        if not parts:
            # flags that hold from here on are nothing that could be repeated
            raise self._error("missing argument to repetition operator")
        return [*parts[:-1], self._repeated(parts[-1], len(self.names) > captures, flags)]

    def _repeated(self, part: _Part, with_capture: bool, flags: _Flags) -> _Part:
        length = self._repeat_length()
        operator = self._source[self._at : self._at + length]
        self._at += length
        lazy = self._source[self._at : self._at + 1] == "?"
        self._at += lazy
        if self._repeat_length():
            raise self._error(
                f"{operator}{self._source[self._at]}: RE2 takes no repetition of a repetition, and Python may read it "
                "as one that is never tried again"
            )
        least, most = self._counts(operator)
        if with_capture and part.can_be_empty and most > 1:
            raise self._error(
                "a capture that can be empty is repeated: Python keeps what it held last, RE2 what it held last and "
                "was not empty; write (?:…) instead of (…) around what is repeated"
            )
        text = f"(?:{part.text}){operator}{'?' if lazy != flags.lazy else ''}"
        return _Part(text, part.can_be_empty or least == 0)

    def _repeat_length(self) -> int:
        """Return how long the repetition operator here is; 0 if there is none, as a brace may be only a brace."""
        rest = self._source[self._at : self._at + 24]
        if rest[:1] in ("*", "+", "?") and rest:
            return 1
        found = re.match(r"\{[0-9]+(?:,[0-9]*)?\}", rest)
        return found.end() if found else 0

    def _counts(self, operator: str) -> tuple[int, float]:
        if operator in _OPERATORS:
            return _OPERATORS[operator]
        least, comma, most = operator[1:-1].partition(",")
        counts = int(least), float(most or "inf") if comma else float(least)
        if counts[0] > min(_MOST_REPEATS, counts[1]) or _MOST_REPEATS < counts[1] < math.inf:
            raise self._error(f"invalid repeat count: {operator}")
        return counts

    def _read_atoms(self, flags: _Flags) -> list[_Part]:
        """Return what stands here: one part, none for flags, each character of a quotation."""
        if self._repeat_length():
            raise self._error("missing argument to repetition operator")
        character = self._source[self._at]
        match character:
            case "(":
                return self._read_group(flags)
            case "[":
                return [_Part(class_text(self._read_class(flags)))]
            case "\\":
                return self._read_escape(flags)
        self._at += 1
        match character:
            case ".":
                return [_Part(r"[\x00-\U0010ffff]" if flags.dot_all else r"[^\n]")]
            case "^":
                return [_Part(r"(?<![^\n])" if flags.lines else r"\A", True)]
            case "$":
                return [_Part(r"(?![^\n])" if flags.lines else r"\Z", True)]
        return [_Part(self._literal(ord(character), flags))]

    def _literal(self, code: int, flags: _Flags) -> str:
        return class_text(self._folded([(code, code)])) if flags.fold else escaped(code)

    def _folded(self, ranges: Sequence[Range]) -> list[Range]:
        try:
            return folded(ranges)
        except ValueError as error:
            raise self._error(str(error)) from error

    def _read_group(self, flags: _Flags) -> list[_Part]:
        begin = self._at
        self._at += 1
        inner = _Flags(flags.fold, flags.lines, flags.dot_all, flags.lazy)
        opening = "("
        if self._source.startswith("?", self._at):
            self._at += 1
            for refused, reason in _REFUSED_GROUPS.items():
                if self._source.startswith(refused, self._at):
                    raise self._error(f"{reason}; it cannot be used here")
            named = re.compile(r"P?<([^>]*)>").match(self._source, self._at)
            if named:
                self._at = named.end()
                self._name(named[1])
            else:
                closing = self._read_flags(inner)
                if closing == ")":
                    # from here to the end of the group that it stands in
                    flags.fold, flags.lines, flags.dot_all, flags.lazy = (
                        inner.fold, inner.lines, inner.dot_all, inner.lazy,
                    )  # fmt: skip
                    return []
                opening = "(?:"
        else:
            self.names.append("")
        body = self._read_alternatives(inner)
        if self._at >= len(self._source):
            raise ExpressionError(f"missing ) for the group {self._source[begin:]!r:.60}")
        self._at += 1
        return [_Part(f"{opening}{body.text})", body.can_be_empty)]

    def _name(self, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise self._error(f"invalid name of a capture: {name!r}")
        if name in self.names:
            raise self._error(f"the capture {name!r} stands there twice")
        self.names.append(name)

    def _read_flags(self, flags: _Flags) -> str:
        found = re.compile(r"([imsU]*)(-[imsU]+)?([:)])").match(self._source, self._at)
        if found is None or (found[3] == ")" and not (found[1] or found[2])):
            raise self._error(f"no group of RE2: (?{self._source[self._at : self._at + 4]}")
        self._at = found.end()
        for letters, value in ((found[1], True), ((found[2] or "")[1:], False)):
            flags.fold = value if "i" in letters else flags.fold
            flags.lines = value if "m" in letters else flags.lines
            flags.dot_all = value if "s" in letters else flags.dot_all
            flags.lazy = value if "U" in letters else flags.lazy
        return found[3]

    def _read_escape(self, flags: _Flags) -> list[_Part]:
        letter = self._source[self._at + 1 : self._at + 2]
        if letter in _REFUSED_ESCAPES:
            raise self._error(_REFUSED_ESCAPES[letter])
        if letter in _ASSERTIONS:
            self._at += 2
            return [_Part(_ASSERTIONS[letter], True)]
        if letter == "Q":
            return self._read_quoted(flags)
        perl = self._read_perl(flags)
        return [_Part(class_text(perl) if perl is not None else self._literal(self._read_code(), flags))]

    def _read_quoted(self, flags: _Flags) -> list[_Part]:
        end = self._source.find("\\E", self._at + 2)
        text = self._source[self._at + 2 : end if end >= 0 else None]
        self._at = end + 2 if end >= 0 else len(self._source)
        return [_Part(self._literal(ord(character), flags)) for character in text] or [_Part("(?:)", True)]

    def _read_perl(self, flags: _Flags) -> list[Range] | None:
        """Return the class of an escape such as `\\d`, or None if it is none."""
        letter = self._source[self._at + 1 : self._at + 2]
        ranges = PERL.get(letter.lower())
        if ranges is None or not letter:
            return None
        self._at += 2
        found = self._folded(ranges) if flags.fold else list(ranges)
        return negated(found) if letter.isupper() else found

    def _read_code(self) -> int:
        """Return the code of the character that an escape stands for."""
        rest = self._source[self._at + 1 :]
        if not rest:
            raise self._error("trailing backslash at end of expression")
        letter = rest[0]
        if letter in _CONTROLS:
            self._at += 2
            return _CONTROLS[letter]
        octal = re.match(r"0[0-7]{0,2}|[1-7][0-7]{1,2}", rest)
        if octal:
            self._at += 1 + octal.end()
            return int(octal[0], 8)
        if letter in "123456789":
            raise self._error(f"Python reads \\{letter} as a backreference, RE2 has none")
        hexadecimal = re.match(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})", rest)
        if hexadecimal:
            code = int(hexadecimal[1] or hexadecimal[2], 16)
            if code > LARGEST:
                raise self._error(f"invalid escape: \\{hexadecimal[0]}")
            self._at += 1 + hexadecimal.end()
            return code
        if letter.isascii() and not letter.isalnum():
            self._at += 2
            return ord(letter)
        raise self._error(f"RE2 has no escape \\{letter}")

    def _read_class(self, flags: _Flags) -> list[Range]:
        begin = self._at
        self._at += 1
        negate = self._source.startswith("^", self._at)
        self._at += negate
        ranges: list[Range] = []
        first = True
        while first or not self._source.startswith("]", self._at):
            if self._at >= len(self._source):
                raise ExpressionError(f"missing ] for the class {self._source[begin:]!r:.60}")
            first = False
            ranges += self._read_class_part(flags)
        self._at += 1
        return negated(ranges) if negate else ranges

    def _read_class_part(self, flags: _Flags) -> list[Range]:
        posix = re.compile(r"\[:(\^?)([a-zA-Z0-9_]*):\]").match(self._source, self._at)
        if posix:
            if posix[2] not in POSIX:
                raise self._error(f"invalid class: {posix[0]}")
            self._at = posix.end()
            known = self._folded(POSIX[posix[2]]) if flags.fold else list(POSIX[posix[2]])
            return negated(known) if posix[1] else known
        if self._source.startswith("\\", self._at):
            letter = self._source[self._at + 1 : self._at + 2]
            if letter in ("p", "P"):
                raise self._error(_REFUSED_ESCAPES[letter])
            perl = self._read_perl(flags)
            if perl is not None:
                return perl
        low = high = self._read_class_code()
        if self._source.startswith("-", self._at) and self._source[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            high = self._read_class_code()
        if high < low:
            raise self._error("invalid range in a class: its end comes before its beginning")
        return self._folded([(low, high)]) if flags.fold else [(low, high)]

    def _read_class_code(self) -> int:
        if self._at >= len(self._source):
            raise self._error("missing ] for a class")
        if self._source[self._at] == "\\":
            return self._read_code()
        self._at += 1
        return ord(self._source[self._at - 1])

    def _error(self, reason: str) -> ExpressionError:
        return ExpressionError(f"{reason} (at character {self._at + 1} of {self._source!r:.100})")
