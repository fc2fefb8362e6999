"""What a collector is built from, and how it says that it could read only a part."""

from __future__ import annotations

import argparse
import re
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


class IncompleteError(Exception):
    """A collector read only a part: these families are exported, and its success is 0."""

    def __init__(self, reason: str, families: list[Family]) -> None:
        super().__init__(reason)
        self.families = families


def flag_type(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Given a function that raises ValueError or re.error for a bad text, return one that argparse words well."""

    def parse_flag(text: str) -> T:
        try:
            return parse(text)
        except (ValueError, re.error) as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return parse_flag
