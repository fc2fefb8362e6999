"""Marks of playbooks for the dashboard: the newest few, each committed with the result of the step that made it."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.store.rows import Rows, plain

MOST = 20
"""Marks that are kept: each is a series of its own for as long as it is shown."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment that a playbook marked."""

    playbook: str
    target: str
    text: str
    at: float


class MarkReads(Rows):
    """Reading marks."""

    def marks(self, since: float) -> list[Mark]:
        """Return the marks made after `since`, the oldest first; of equal ones the newest."""
        return [Mark(row["playbook"], row["target"], row["text"], row["at"]) for row in self._all("marks", since=since)]


class MarkWrites(MarkReads):
    """Writing marks."""

    def add_mark(self, mark: Mark) -> None:
        """Add one, and forget what is beyond the newest few."""
        self._run(
            "add_mark", playbook=plain(mark.playbook), target=plain(mark.target), text=plain(mark.text), at=mark.at
        )
        self._run("forget_marks", most=MOST)
