"""Errors that only the store raises; callers outside see them as RemediatorErrors.

RemediatorError (remediator/errors.py)
├── IllegalMove     a state that may not follow the present one, or a result stored twice; trying again cannot help
└── StoreTooNew     the file was written by a later version of this program
"""

from __future__ import annotations

from remediator.errors import RemediatorError


class IllegalMove(RemediatorError):
    """The database refused a transition; nothing of its transaction part was stored."""


class StoreTooNew(RemediatorError):
    """The store's schema is newer than this program; only a newer program can open it."""
