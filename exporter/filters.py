"""Which of a collector's things are wanted: pairs of `…-include` and `…-exclude` flags, as in node_exporter."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from exporter.settings import flag_type
from selfheal.common.flags import add_flag
from selfheal.common.re2 import Expression, compile_own, compile_re2


@dataclass(frozen=True, slots=True)
class Filter:
    """All that `include` finds, without what `exclude` finds; the expressions may match anywhere in the name."""

    include: Expression | None
    exclude: Expression | None

    def wants(self, name: str) -> bool:
        """Say whether the thing of this name is exported."""
        if self.include is not None and not self.include.matches(name):
            return False
        return self.exclude is None or not self.exclude.matches(name)


def add_filter_flags(
    parser: argparse._ActionsContainer, flag: str, things: str, excluded: str = "", old: str = ""
) -> None:
    """Given the flags' common beginning and what is filtered, add both.

    `excluded` is the default of the second, and `old` a name that it once had and that is still taken.
    """
    default = f" (default: {excluded.replace('%', '%%')})" if excluded else ""
    add_flag(
        parser, f"{flag}-exclude", *[old] * bool(old), metavar="REGEX", type=flag_type(compile_re2),
        help=f"{things} to leave out{default}",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}-include", metavar="REGEX", type=flag_type(compile_unless_empty),
        help=f"{things} to export, and no others",
    )  # fmt: skip


def read_filter(flags: dict[str, Any], flag: str, excluded: str = "", *, both: bool = False) -> Filter:
    """Return what the two flags say together. Raise ValueError if both are given, unless `both` has a meaning."""
    key = flag.removeprefix("--").replace("-", "_")
    include: Expression | None = flags[f"{key}_include"]
    given: Expression | None = flags[f"{key}_exclude"]
    exclude = given
    if given is None:
        exclude = compile_own(excluded) if excluded and not include else None
    elif not given.source:
        # said on purpose: nothing is left out
        exclude = None
    if include and exclude and not both:
        raise ValueError(f"{flag}-include and -exclude contradict each other; give only one")
    return Filter(include, exclude)


def compile_unless_empty(source: str) -> Expression | None:
    """Given an expression, return it compiled; an empty one is none, as in node_exporter. Raise ExpressionError."""
    return compile_re2(source) if source else None
