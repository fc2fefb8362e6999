"""Which system this is, and how a flag is refused that only Linux can fulfil."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class System(StrEnum):
    """The systems that this engine knows, as `sys.platform` spells them."""

    LINUX = "linux"
    """On which it is tested, and procfs is the better engine."""
    MACOS = "darwin"
    """Not run in the tests: written by psutil's and node_exporter's sources."""
    WINDOWS = "win32"
    """Not run in the tests: written by psutil's source."""


SYSTEM = System(sys.platform)


def refuse(flags: Mapping[str, Any], *names: str) -> None:
    """Given the parsed flags, raise ValueError if one of these is set: it asks for what psutil does not tell."""
    given = [name for name in names if flags[name.removeprefix("--").replace("-", "_")]]
    if given:
        raise ValueError("\n".join(f"{name} is only for --engine=procfs, on Linux; remove it" for name in given))
