"""Every error the remediator raises on purpose.

RemediatorError
├── ConfigError          a file a person wrote is wrong; carries every problem found
├── StoreUnavailable     the store cannot take the write now (full disk, locked); trying again can help
├── StoreBusy            another process owns the store; trying again helps only when that one ends
├── SourceUnavailable    Prometheus or Alertmanager did not give a usable answer; trying again can help
├── Refused              policy or a door forbids this effect; trying again cannot help until the policy changes
├── ActionFailed         the action ended and is known to have failed
└── OutcomeUnknown       the action may or may not have taken effect
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RemediatorError(Exception):
    """The root of all errors raised on purpose here."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file a person wrote: where, what, and the remedy."""

    file: str
    path: str
    what: str
    remedy: str = ""
    level: str = "error"
    """`error` or `warning`; only errors make `selfheal check` fail."""

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}: " if self.path else f"{self.file}: "
        return place + self.what + (f"; {self.remedy}" if self.remedy else "")


class ConfigError(RemediatorError):
    """What a person wrote cannot be used; `problems` holds everything found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class StoreUnavailable(RemediatorError):
    """The store cannot take the write now."""


class StoreBusy(RemediatorError):
    """Another process owns the store."""


class SourceUnavailable(RemediatorError):
    """`source` (`prometheus` or `alertmanager`) gave no usable answer; `detail` says why, without credentials."""

    def __init__(self, source: str, detail: str) -> None:
        super().__init__(f"{source}: {detail}")
        self.source = source
        self.detail = detail


class Refused(RemediatorError):
    """Policy or a door forbids this effect; `detail` says what was asked and what would permit it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ActionFailed(RemediatorError):
    """The action is known not to have done what it should."""


class OutcomeUnknown(RemediatorError):
    """It is not known whether the effect took place (a timeout of something that cannot be repeated)."""
