"""Values that a playbook gives to a policy's command: each checked by its type, each a whole element of the argv."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from remediator.policy.values import LONGEST_VALUE, Parameter, ParameterType

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""One element of an argv that stands for a parameter."""

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?", re.ASCII)
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of Unicode that a person cannot see or that reorder what is seen."""

LookUp = Callable[[ParameterType, str], str | None]
"""Asks the policy for a group or root; returns why it is not permitted, or None."""


def read_values(parameters: Sequence[Parameter], given: Mapping[str, Any], look_up: LookUp) -> dict[str, str]:
    """Given what a command takes and what it is given, return every value as text.

    Raise ValueError if one is unknown, missing, empty, of another type or out of its range, naming it.
    """
    unknown = sorted(set(map(str, given)) - {parameter.name for parameter in parameters})
    if unknown:
        raise ValueError(f"there is no parameter {unknown[0][:80]!r}")
    values: dict[str, str] = {}
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            raise ValueError(f"parameter {parameter.name!r} is missing")
        problem = value_problem(parameter, value) or _lookup(parameter, value, look_up)
        if problem is not None:
            raise ValueError(f"parameter {parameter.name!r} {problem}")
        values[parameter.name] = str(value)
    return values


def fill(argv: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Given an argv and values, return it with each placeholder replaced; what was put in is not looked at again."""
    found = ((PLACEHOLDER.fullmatch(element), element) for element in argv)
    return tuple(element if match is None else values[match[1]] for match, element in found)


def value_problem(parameter: Parameter, value: Any) -> str | None:
    """Given a parameter and a value for it, return what is wrong with the value by itself, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "is no text and no number"
    text = str(value)
    match parameter.type:
        case ParameterType.NUMBER:
            return _number_problem(parameter, text)
        case ParameterType.CHOICE:
            return None if text in parameter.of else f"must be one of {', '.join(parameter.of)}"
    if not isinstance(value, str):
        return "must be text"
    problem = text_problem(text)
    if problem is None and parameter.pattern is not None and not re.fullmatch(parameter.pattern, text):
        return f"does not match {parameter.pattern}"
    return problem


def text_problem(text: str) -> str | None:
    """Given free text for an argv, return what is wrong with it, or None."""
    if not text:
        return "is empty"
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_VALUE:
        return f"is longer than {LONGEST_VALUE} bytes"
    if text.startswith("-"):
        return "begins with -, which programs read as an option"
    if any(unicodedata.category(sign) in _UNSEEN for sign in text):
        return "holds characters that cannot be seen"
    return None


def _number_problem(parameter: Parameter, text: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return "is no number from 0 up in plain digits"
    if float(text) < parameter.at_least or (parameter.at_most is not None and float(text) > parameter.at_most):
        most = "" if parameter.at_most is None else f" to {parameter.at_most:g}"
        return f"must be from {parameter.at_least:g}{most}"
    return None


def _lookup(parameter: Parameter, value: Any, look_up: LookUp) -> str | None:
    if parameter.type not in (ParameterType.GROUP, ParameterType.ROOT):
        return None
    refusal = look_up(parameter.type, str(value))
    return None if refusal is None else f"is refused: {refusal}"
