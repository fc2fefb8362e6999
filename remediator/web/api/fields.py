"""What a request may hold: one description of each field, from which requests are judged and OpenAPI is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remediator.model import Json
from remediator.web.problems import Problem
from selfheal.common.durations import parse_duration

LARGEST_ID = 2**63 - 1
LABELS = 64
"""Labels of a manual run."""
_DURATION = r"^[1-9][0-9]{0,3}[smhd]$"
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
"""Without what ends a line or moves a cursor."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a query or a body."""

    name: str
    kind: str
    """`text` (one line), `id`, `count`, `switch`, `duration` or `labels`."""
    meaning: str
    required: bool = False
    choices: tuple[str, ...] = ()
    most: int = 256
    """Characters of a text; the largest count."""
    least: int = 1
    default: Any = None

    def schema(self) -> Json:
        """Return the field as JSON schema."""
        return (
            {"description": self.meaning} | self._type() | ({} if self.default is None else {"default": self.default})
        )

    def _type(self) -> Json:
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        match self.kind:
            case "id":
                return {"type": "string", "pattern": "^[0-9]{1,18}$"}
            case "count":
                return {"type": "integer", "minimum": self.least, "maximum": self.most}
            case "switch":
                return {"type": "boolean"}
            case "duration":
                return {"type": "string", "pattern": _DURATION, "examples": ["30m"]}
            case "labels":
                text = {"type": "string", "maxLength": 1024, "pattern": _LINE}
                names = {"pattern": _LINE}
                return {
                    "type": "object", "additionalProperties": text, "propertyNames": names, "maxProperties": LABELS,
                }  # fmt: skip
        return {"type": "string", "minLength": self.least, "maxLength": self.most, "pattern": _LINE}

    def read(self, value: Any) -> Any:
        """Given a value of a body, return it as it is used. Raise Problem if it is none of this kind."""
        if self.choices:
            if not isinstance(value, str) or value not in self.choices:
                raise bad(f"{self.name} must be one of {', '.join(self.choices)}")
            return value
        match self.kind:
            case "count":
                if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
                    raise bad(f"{self.name} must be a number from {self.least} to {self.most}")
                return value
            case "switch":
                if not isinstance(value, bool):
                    raise bad(f"{self.name} must be true or false")
                return value
            case "labels":
                return _labels(self.name, value)
            case "id":
                return number(value, f"{self.name} must be what an earlier answer gave")
            case "duration":
                return _span(self.name, value)
        if not isinstance(value, str) or not self.least <= len(value) <= self.most or not _one_line(value):
            raise bad(f"{self.name} must be one line of {self.least} to {self.most} characters")
        return value

    def read_text(self, value: str) -> Any:
        """Given a value of a query, which is always text, return it as it is used. Raise Problem likewise."""
        if self.kind == "count":
            digits = value if value.isascii() and value.isdigit() and len(value) < 19 else "-1"
            return self.read(int(digits))
        if self.kind == "switch":
            if value not in ("true", "false"):
                raise bad(f"{self.name} must be true or false")
            return value == "true"
        return self.read(value)


def read_body(body: Any, fields: Iterable[Field]) -> dict[str, Any]:
    """Given a JSON value, return the fields with absent ones at their default. Raise Problem for anything else."""
    if not isinstance(body, dict):
        raise bad("send a JSON object")
    return _read(body, {field.name: field for field in fields}, lambda field, value: field.read(value))


def read_query(query: Mapping[str, list[str]], fields: Iterable[Field]) -> dict[str, Any]:
    """Given the arguments of a query, each with all its values, return the fields likewise."""
    known = {field.name: field for field in fields}
    for name, values in query.items():
        if name in known and len(values) > 1:
            raise bad(f"{name} stands there more than once")
    single = {name: values[0] for name, values in query.items()}
    return _read(single, known, lambda field, value: field.read_text(value))


def _read(given: Mapping[str, Any], known: Mapping[str, Field], read: Any) -> dict[str, Any]:
    unknown = sorted(set(given) - set(known))
    if unknown:
        allowed = ", ".join(known) or "nothing"
        raise bad(f"{unknown[0][:64]!a} is not known here; known: {allowed}")
    missing = [name for name, field in known.items() if field.required and name not in given]
    if missing:
        raise bad(f"{missing[0]} is missing")
    return {name: read(field, given[name]) if name in given else field.default for name, field in known.items()}


def number(text: Any, otherwise: str) -> int:
    """Given an id as written, return it as a number. Raise Problem with `otherwise` if it is none."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise bad(otherwise)
    return int(text)


def bad(detail: str) -> Problem:
    """Return the answer to a question that cannot be understood."""
    return Problem(400, "Bad Request", detail)


def _one_line(value: str) -> bool:
    # halves of characters, which JSON can spell, cannot be stored
    return re.fullmatch(_LINE, value) is not None and not re.search("[\ud800-\udfff]", value)


def _span(name: str, value: Any) -> float:
    if not isinstance(value, str) or not re.fullmatch(_DURATION, value):
        raise bad(f"{name} must be a time like 30s, 30m, 2h or 7d; leave it out for no end")
    return parse_duration(value)


def _labels(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > LABELS:
        raise bad(f"{name} must be an object of at most {LABELS} labels")
    for label, text in value.items():
        if not isinstance(text, str) or len(text) > 1024 or not _one_line(text) or not _one_line(label):
            raise bad(f"{name} must hold text only, each on one line of at most 1024 characters")
    return value
