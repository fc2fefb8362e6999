"""The doors to the host, and what is noted when one of them refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Door(StrEnum):
    """Where an effect leaves the program. A metric label."""

    SIGNALS = "signals"  # a process is signalled
    SHELL = "shell"  # a program is started
    FILES = "files"  # a file is removed
    HTTP = "http"  # another machine or service is asked
    KERNEL = "kernel"  # a file of the kernel is written


@dataclass(frozen=True, slots=True)
class Refusal:
    """One attempt that a door refused, and why."""

    door: Door
    detail: str


Heard: TypeAlias = Callable[[Refusal], None]
"""Is told every refusal; who plans or runs an action counts and records them."""


def nobody_hears(refusal: Refusal, /) -> None:
    """Do nothing with a `refusal`: the listener of a policy that is only read or checked."""
