"""Arguments of actions: read strictly by their types, looked up in the policy, and in one canonical form.

The canonical form is read again before every intent, so reading it must give itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from remediator.model import Action, Argument, ArgumentType, Json
from remediator.policy import Policy
from remediator.policy.look_ups import look_up
from selfheal.common.durations import parse_duration
from selfheal.common.problems import ConfigError, Problem

LONGEST_TEXT = 256
"""Bytes of a rendered text."""
LONGEST_EXPRESSION = 4_096
"""Characters of an expression of PromQL."""
MOST_PARAMETERS = 20
LARGEST_INTEGER = 1_000_000
LONGEST_BODY = 16_384
"""Characters of what is sent over HTTP."""
MOST_BRANCHES = 256
"""Mappings and lists in a body."""
LOOK_UPS = frozenset(
    {
        ArgumentType.GROUP,
        ArgumentType.ROOT,
        ArgumentType.SERVICE,
        ArgumentType.UNIT,
        ArgumentType.TEMPLATE,
        ArgumentType.COMMAND,
        ArgumentType.PLAY,
        ArgumentType.WORK_TREE,
        ArgumentType.CONTAINER,
        ArgumentType.PROGRAM,
    }
)
"""Types whose value must equal one of the policy's."""
TEMPLATED = frozenset({ArgumentType.TEXT, *LOOK_UPS})
"""Types in which a template may stand: free text, and lookups whose value must equal one of the policy's."""

# below user.slice stand units of users, which may be called the same
_UNIT_PATH = re.compile(r"(?:(?!user)[^/]+\.slice/)+([^/]+)")
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|[kK]B|[MGT]B|[KMGT]iB)?")
_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def validate(action: Action, raw: Mapping[str, Any], policy: Policy) -> Json:
    """Given an action and rendered arguments, return them canonical: bytes and seconds as numbers, defaults filled in.

    Raise ConfigError with every fault, Refused if the policy does not permit the group, root or service they name.
    """
    faults, values = _read(action, raw, templates=False)
    if faults:
        raise ConfigError(faults)
    for name, argument in action.arguments.items():
        if values[name] is not None:
            look_up(policy, argument.type, values[name])
    return values


def problems(action: Action, raw: Mapping[str, Any]) -> list[Problem]:
    """Given an action and arguments as written in a playbook, return every fault; some types allow templates.

    `file` is empty and `path` is the argument's name: the caller knows where they stand.
    """
    return _read(action, raw, templates=True)[0]


def parse_bytes(value: Any) -> int:
    """Given `400MiB`, `10GB` or a whole number, return bytes. Raise ValueError, saying what an amount looks like."""
    if type(value) is int and value >= 0:
        return value
    found = _BYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not an amount of bytes; write for example 400MiB, 10GB or a whole number")
    return round(float(found[1]) * _UNITS[found[2] or "B"])


def _read(action: Action, raw: Mapping[str, Any], *, templates: bool) -> tuple[list[Problem], Json]:
    faults = [
        Problem("", str(name), "unknown argument", f"{action.name} knows {', '.join(action.arguments)}")
        for name in raw
        if name not in action.arguments
    ]
    values: Json = {}
    for name, argument in action.arguments.items():
        try:
            values[name] = _read_one(argument, raw.get(name), templates=templates)
        except OverflowError:
            faults.append(Problem("", name, "is too large", "lower it"))
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            faults.append(Problem("", name, what, remedy))
    # what belongs together is judged only once each is right by itself
    combine: Callable[[Mapping[str, Any]], str | None] | None = getattr(action, "combination_problem", None)
    problem = None if faults or combine is None else combine(values)
    if problem is not None:
        what, _, remedy = problem.partition("; ")
        faults.append(Problem("", "", what, remedy))
    return faults, values


def _read_one(argument: Argument, value: Any, *, templates: bool) -> Any:
    if value is None:
        if argument.required:
            raise ValueError("is missing; add it")
        value = argument.default
    if value is None:
        return None
    if isinstance(value, str) and "{{" in value and templates:
        if argument.type not in TEMPLATED | {ArgumentType.EXPRESSION, ArgumentType.BODY}:
            raise ValueError(f"{value!r} holds a template; write the value itself")
        return value
    return _READERS[argument.type](value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text; put it in quotes")
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT} bytes; shorten it")
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 or 0xD800 <= ord(letter) < 0xE000 for letter in value):
        raise ValueError("holds a control character; remove it")
    return value


def _unit(value: Any) -> str:
    """The path of a control group that systemd made for a unit of the machine names that unit, as series do."""
    text = _text(value)
    found = _UNIT_PATH.fullmatch(text)
    return text if found is None else found[1]


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{value!r:.80} is no whole number up to {LARGEST_INTEGER}; write it without quotes")
    return value


def _duration(value: Any) -> float:
    if type(value) in (int, float):
        # the canonical form: seconds
        return _positive(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration; write for example 5s or 2m")
    return parse_duration(value)


def _positive(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{value!r} is not a number from 0 up; write it without quotes")
    return float(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false; write true or false")
    return value


def _url(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("is no URL; write for example http://127.0.0.1:8080/health")
    return value


def _expression(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_EXPRESSION:
        raise ValueError(f"is no expression of 1 to {LONGEST_EXPRESSION} characters; write PromQL")
    return value


def _parameters(value: Any) -> Json:
    if not isinstance(value, dict) or len(value) > MOST_PARAMETERS:
        raise ValueError(f"is no mapping of at most {MOST_PARAMETERS} parameters; write NAME: VALUE")
    for name, each in value.items():
        # what a value may be stands in the policy; here only what no policy could permit
        if isinstance(each, str):
            _text(each)
        elif type(each) not in (int, float) or not math.isfinite(each):
            raise ValueError(f"{name!r:.80} is neither text nor a number; write the value itself")
    return dict(value)


def _body(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > LONGEST_BODY or any(0xD800 <= ord(sign) < 0xE000 for sign in value):
            raise ValueError(f"is longer than {LONGEST_BODY} characters, or no text; shorten it")
        return value
    if not isinstance(value, dict | list):
        raise ValueError("is neither text nor a mapping or list to send as JSON; write one of them")
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("holds something that JSON cannot; write dates and the like in quotes") from error
    if len(text) > LONGEST_BODY or text.count("{") + text.count("[") > MOST_BRANCHES:
        raise ValueError(f"is longer than {LONGEST_BODY} characters as JSON, or has too many branches; shorten it")
    # as it will come back from the store; a name that holds a template would be sent as it stands
    return json.loads(text, object_pairs_hook=_plain_names)


def _plain_names(pairs: list[tuple[str, Any]]) -> Json:
    for name, _ in pairs:
        if "{{" in name:
            raise ValueError(f"{name[:80]!r} is a name with a template; write the name itself")
    return dict(pairs)


def _statuses(value: Any) -> list[int]:
    found = value if isinstance(value, list) else [value]
    if not found or not all(type(each) is int and 100 <= each <= 599 for each in found):
        raise ValueError("is no list of statuses from 100 to 599; write for example [200, 204]")
    return found


_READERS: Mapping[ArgumentType, Callable[[Any], Any]] = {
    ArgumentType.TEXT: _text,
    ArgumentType.GROUP: _text,
    ArgumentType.ROOT: _text,
    ArgumentType.SERVICE: _text,
    ArgumentType.BYTES: parse_bytes,
    ArgumentType.DURATION: _duration,
    ArgumentType.NUMBER: _positive,
    ArgumentType.SWITCH: _switch,
    ArgumentType.UNIT: _unit,
    ArgumentType.TEMPLATE: _text,
    ArgumentType.INTEGER: _integer,
    ArgumentType.COMMAND: _text,
    ArgumentType.PARAMETERS: _parameters,
    ArgumentType.URL: _url,
    ArgumentType.EXPRESSION: _expression,
    ArgumentType.BODY: _body,
    ArgumentType.STATUSES: _statuses,
    ArgumentType.PLAY: _text,
    ArgumentType.WORK_TREE: _text,
    ArgumentType.CONTAINER: _text,
    ArgumentType.PROGRAM: _text,
}
