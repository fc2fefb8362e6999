"""Templates such as `{{ $labels.instance }}`: parsed when a file is loaded, filled in once, never scanned again.

A label is text of a stranger. It may become a plain value or the value of a quoted PromQL matcher, nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from remediator.errors import RemediatorError
from remediator.model import Alert

LONGEST_VALUE = 256
"""Bytes of UTF-8."""

_OPEN = re.compile(r"\{\{|\}\}")
_TEMPLATE = re.compile(r"\{\{\s*\$(labels|annotations)\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# these reorder or hide what a person reads
_MISLEADING = frozenset("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


class TemplateRefused(RemediatorError):
    """A template cannot be filled in safely; `detail` says which and why. The label must change, not the moment."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Reference:
    """One template: which label or annotation stands there."""

    source: str
    """`labels` or `annotations`."""
    name: str

    def __str__(self) -> str:
        return f"{{{{ ${self.source}.{self.name} }}}}"


Part = str | Reference


def parse(text: str) -> tuple[Part, ...]:
    """Given text that may hold templates, return its parts. Raise ValueError with the remedy if one is malformed."""
    parts: list[Part] = []
    position = 0
    for found in _TEMPLATE.finditer(text):
        parts += _plain(text[position : found.start()])
        parts.append(Reference(found[1], found[2]))
        position = found.end()
    return tuple(parts + _plain(text[position:]))


def _plain(text: str) -> list[Part]:
    if _OPEN.search(text):
        raise ValueError(
            "a template is malformed; write {{ $labels.NAME }} or {{ $annotations.NAME }}, without functions or pipes"
        )
    return [text] if text else []


def has_template(text: str) -> bool:
    """Say whether anything in the text looks like a template."""
    return _OPEN.search(text) is not None


def references(text: str) -> tuple[Reference, ...]:
    """Given text that may hold templates, return them. Raise ValueError as `parse` does."""
    return tuple(part for part in parse(text) if isinstance(part, Reference))


def value_of(reference: Reference, alert: Alert) -> str:
    """Given a template and the alert, return the value.

    Raise TemplateRefused if it is missing, empty, longer than 256 bytes, or holds control or misleading characters.
    """
    known = alert.labels if reference.source == "labels" else alert.annotations
    value = known.get(reference.name, "")
    if not value:
        raise TemplateRefused(f"{reference} is missing or empty on this alert")
    # measured before it is looked through: a value can be megabytes
    if len(value) > LONGEST_VALUE or len(value.encode("utf-8", "surrogatepass")) > LONGEST_VALUE:
        raise TemplateRefused(f"{reference} is longer than {LONGEST_VALUE} bytes")
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _MISLEADING for sign in value):
        raise TemplateRefused(f"{reference} holds control characters")
    return value


def render(text: str, alert: Alert) -> str:
    """Given text with templates and the alert, return the text with each filled in once.

    Raise TemplateRefused as `value_of` does, and if the whole exceeds 256 bytes.
    """
    parts = parse(text)
    whole = "".join(part if isinstance(part, str) else value_of(part, alert) for part in parts)
    if len(parts) > 1 and len(whole.encode()) > LONGEST_VALUE:
        raise TemplateRefused(f"{text!r} becomes longer than {LONGEST_VALUE} bytes")
    return whole


def render_expression(text: str, alert: Alert) -> str:
    """Given a PromQL expression with templates in quoted matcher values, return it with each filled in and quoted.

    Raise TemplateRefused as `value_of` does. Raise ValueError if a template stands anywhere else.
    """
    return "".join(
        part.text if part.reference is None else _quoted(value_of(part.reference, alert), part)
        for part in parse_expression(text)
    )


@dataclass(frozen=True, slots=True)
class ExpressionPart:
    """A piece of an expression: as it stands, or a template inside a matcher's quotes."""

    text: str
    reference: Reference | None = None
    quote: str = '"'
    regex: bool = False


def parse_expression(text: str) -> tuple[ExpressionPart, ...]:
    """Given a PromQL expression, return its pieces.

    Raise ValueError with the remedy if a template is malformed or stands anywhere but in a quoted matcher value.
    """
    return tuple(_expression_parts(text))


def _expression_parts(text: str) -> Iterator[ExpressionPart]:
    position = 0
    for start, end, quote in _strings(text):
        yield from _outside(text[position:start])
        operator = _operator_before(text, start)
        pieces = parse(text[start:end])
        if any(isinstance(piece, Reference) for piece in pieces) and (not operator or quote == "`"):
            raise ValueError(_WHERE)
        regex = operator in ("=~", "!~")
        for piece in pieces:
            if isinstance(piece, Reference):
                yield ExpressionPart("", piece, quote, regex)
            else:
                yield ExpressionPart(piece)
        position = end
    yield from _outside(text[position:])


def _operator_before(text: str, position: int) -> str:
    """Return the matcher's operator that ends before `position`, or nothing."""
    while position > 0 and text[position - 1] in " \t\r\n":
        position -= 1
    two, one = text[max(0, position - 2) : position], text[max(0, position - 1) : position]
    if two in ("=~", "!~", "!="):
        return two
    return one if one == "=" and two not in ("==", ">=", "<=") else ""


_WHERE = 'a template may stand only in a quoted matcher value of an expression; write {label="{{ $labels.label }}"}'


def _outside(text: str) -> Iterator[ExpressionPart]:
    # `{{` cannot occur in PromQL outside of quotes
    if has_template(text):
        raise ValueError(_WHERE)
    if text:
        yield ExpressionPart(text)


def _strings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and quote of every string literal, quotes included; comments hold none."""
    position = 0
    while position < len(text):
        sign = text[position]
        if sign == "#":
            position = (text.find("\n", position) + 1) or len(text)
        elif sign in "\"'`":
            end = position + 1
            while end < len(text) and text[end] != sign:
                end += 2 if text[end] == "\\" and sign != "`" else 1
            yield position, min(end + 1, len(text)), sign
            position = end + 1
        else:
            position += 1


def _quoted(value: str, part: ExpressionPart) -> str:
    if part.regex:
        value = "".join("\\" + sign if sign in r"\.+*?()|[]{}^$" else sign for sign in value)
    return value.replace("\\", "\\\\").replace(part.quote, "\\" + part.quote)
