"""Every error the remediator raises on purpose.

RemediatorError
├── StoreUnavailable     the store cannot take the write now (full disk, locked); trying again can help
├── StoreBusy            another process owns the store; trying again helps only when that one ends
├── SourceUnavailable    Prometheus or Alertmanager did not give a usable answer; trying again can help
├── Refused              policy or a door forbids this effect; trying again cannot help until the policy changes
├── ActionFailed         the action ended and is known to have failed
└── OutcomeUnknown       the action may or may not have taken effect

A file that a person wrote wrongly is a `ConfigError` of selfheal/common/problems.py, which carries every problem found.
"""

from __future__ import annotations


class RemediatorError(Exception):
    """The root of all errors raised on purpose here."""


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
