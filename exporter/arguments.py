"""Reads the command line to its end, whatever is wrong in it, so that everything wrong is told at once."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

_VARIABLE = re.compile(r"from \$(\w+):")


class RefusedError(Exception):
    """argparse's complaint about one argument or variable."""


class Parser(argparse.ArgumentParser):
    """argparse, which ends the program at the first thing wrong unless it is told to raise it."""

    raises = False

    def error(self, message: str) -> NoReturn:
        """Raise, or end the program with, a complaint."""
        if self.raises:
            raise RefusedError(message)
        super().error(message)


def parse_all(make: Callable[[], Parser], arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Given how to make the parser, and the arguments (None: those of this process), return flags and all problems.

    A flag or a variable that is wrong counts as not given.
    """
    left = list(sys.argv[1:] if arguments is None else arguments)
    problems: list[str] = []
    while True:
        parser = make()
        parser.raises = True
        try:
            flags, unknown = parser.parse_known_args(left)
        except RefusedError as refusal:
            problems.append(str(refusal))
            rest = _without(left, str(refusal))
            if rest is None:
                # nobody can say which part of it is wrong, so this is the last that is told
                return argparse.Namespace(), problems
            left = rest
            continue
        if unknown:
            problems.append(f"unrecognized arguments: {' '.join(unknown)}")
        return flags, problems


def _without(arguments: list[str], complaint: str) -> list[str] | None:
    """Given a complaint, return the arguments without its cause, or None if it is not among them.

    A variable is taken out of this process's environment: it is about to end or only checks.
    """
    variable = _VARIABLE.search(complaint)
    if variable is not None and os.environ.pop(variable[1], None) is not None:
        return arguments
    # argparse begins with: argument --one/--two:
    names = complaint.removeprefix("argument ").partition(": ")[0].split("/")
    left: list[str] = []
    takes_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if name in names:
            takes_next = not equals
        elif takes_next and not argument.startswith("-"):
            takes_next = False
        else:
            takes_next = False
            left.append(argument)
    return left if len(left) < len(arguments) else None
