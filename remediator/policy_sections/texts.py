"""What the sections of a policy file have in common: plain paths, names, lists of words, times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from remediator.policy.addresses import Address, read_address
from selfheal.common.documents import Duration, told

LONGEST_TIMEOUT = 3_600.0
"""Seconds that one command may take."""


def text_list(value: Any, what: str) -> tuple[str, ...]:
    """Given a list of what `what` calls it, return its texts."""
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        told(f"must be a list of {what}", "write [...] around it and put numbers in quotes")
    return tuple(value)


def _argv(value: Any) -> tuple[str, ...]:
    argv = text_list(value, "a program and its arguments")
    if not argv:
        told("is empty", "write the program and its arguments, for example [/usr/bin/systemctl, start, web]")
    if not argv[0].startswith("/"):
        told(f"starts the program {argv[0]!r}", "write its absolute path")
    if any("\0" in text for text in argv):
        told("holds a NUL character", "remove it")
    return argv


def absolute(value: str) -> str:
    """Given a path, return it if it is written from / on, in its one plain spelling."""
    if not value.startswith("/") or os.path.normpath(value) != value or "\0" in value:
        remedy = "write it from / on, without . and .. and without a / at the end"
        told(f"{value!r} is not a plain absolute path", remedy)
    return value


def address_of(value: str) -> Address:
    """Given a URL, return its parts."""
    try:
        return read_address(value)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)


def _plain_name(value: str) -> str:
    if not value or len(value.encode()) > 256 or not value.isprintable():
        told("is not a plain name", "use at most 256 printable characters")
    return value


def one_of(known: Sequence[str], what: str) -> AfterValidator:
    """Return what reads one of the words that there are."""

    def check(value: str) -> str:
        if value not in known:
            told(f"{value[:80]!r} is no {what}", f"there are {', '.join(known)}")
        return value

    return AfterValidator(check)


def some_of(known: Sequence[str], what: str) -> AfterValidator:
    """Return what reads a list of them."""

    def check(value: Any) -> tuple[str, ...]:
        found = text_list(value, f"{what}s: {', '.join(known)}")
        for each in found:
            if each not in known:
                told(f"{each[:80]!r} is no {what}", f"there are {', '.join(known)}")
        return found

    return AfterValidator(check)


def _timeout(value: float) -> float:
    if not 0 < value <= LONGEST_TIMEOUT:
        told("must be longer than 0s and at most 1h", "write for example 30s")
    return value


Argv = Annotated[Any, AfterValidator(_argv)]
PlainPath = Annotated[str, AfterValidator(absolute)]
Timeout = Annotated[Duration, AfterValidator(_timeout)]
Name = Annotated[str, AfterValidator(_plain_name)]
