"""Command-line flags that can also be set by a `SELFHEAL_…` variable; the help names the variable."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})

_Convert = Callable[[str], Any]


class _Given(str):
    """What a variable holds. argparse reads text that is still the default after parsing as if it had been written."""

    def __copy__(self) -> list[Any]:
        """Return what a repeatable flag starts from when it is written: the command line replaces the variable."""
        return []


def variable_of(flag: str) -> str:
    """Given `--web.listen-address`, return `SELFHEAL_WEB_LISTEN_ADDRESS`."""
    return "SELFHEAL_" + flag.lstrip("-").replace(".", "_").replace("-", "_").upper()


def add_flag(parser: argparse._ActionsContainer, *names: str, help: str, default: Any = None, **options: Any) -> None:
    """Add a flag whose default comes from its variable, if that is set.

    A switch is on for 1, true, yes or on, and off for 0, false, no or off; a repeatable flag reads its variable split
    at commas. An empty variable counts as not set, and so does that of a flag that is written. What the flag would
    refuse the variable is refused too, by name, when the arguments are parsed.
    """
    variable = variable_of(next(name for name in names if name.startswith("--")))
    action = parser.add_argument(*names, default=default, help=f"{help} [${variable}]", **options)
    given = os.environ.get(variable, "")
    if given:
        action.default = _Given(given)
        action.type = _reading(variable, action, options.get("action") in ("append", "extend"))


def _reading(variable: str, action: argparse.Action, repeatable: bool) -> _Convert:
    """Return a converter that reads the variable as the flag reads its arguments, and those as before."""
    convert: _Convert = action.type if callable(action.type) else str
    read = _switch if action.nargs == 0 else _read(convert, action.choices)

    def reading(text: str) -> Any:
        if not isinstance(text, _Given):
            return convert(text)
        try:
            return [read(part) for part in text.split(",")] if repeatable else read(str(text))
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"from ${variable}: {error}") from error

    # argparse names it in its own complaints about what is written on the command line
    reading.__name__ = _name_of(convert)
    return reading


def _read(convert: _Convert, choices: Any) -> _Convert:
    def read(text: str) -> Any:
        try:
            value = convert(text)
        except (TypeError, ValueError) as error:
            raise ValueError(f"invalid {_name_of(convert)} value: {text!r}") from error
        if choices is not None and value not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(map(str, choices))}")
        return value

    return read


def _switch(text: str) -> bool:
    if text.lower() in _ON | _OFF:
        return text.lower() in _ON
    raise ValueError(f"{text!r} is neither on (1, true, yes) nor off (0, false, no)")


def _name_of(convert: _Convert) -> str:
    return str(getattr(convert, "__name__", "value"))
