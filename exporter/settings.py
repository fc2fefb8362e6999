"""What a collector is built from, and how it says that it could read only a part, or that there is nothing to read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from exporter.encode import Family
from exporter.paths import Paths
from selfheal.common.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """The paths, the clock and the parsed flags; each collector takes from `flags` only what it added."""

    paths: Paths
    clock: Clock
    flags: argparse.Namespace
    once: bool = False
    """One page is wanted and no server: what refreshes by itself is waited for."""


class IncompleteError(Exception):
    """A collector read only a part: these families are exported, and its success is 0."""

    def __init__(self, reason: str, families: list[Family]) -> None:
        super().__init__(reason)
        self.families = families


class NoDataError(Exception):
    """This host has nothing of what a collector reads: its success is 0, and nothing is wrong."""


def flag_type(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Given a function that raises ValueError for a bad text, return one that argparse words well."""

    def parse_flag(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return parse_flag
