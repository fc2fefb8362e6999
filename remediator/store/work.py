"""Work rows: everything that waits is one of them. `changed` tells the engine after the commit what it must know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remediator.store.rows import Rows


@dataclass(frozen=True, slots=True)
class Due:
    """A work row as it now stands: the handler of `kind` is to run with `id` once `due` (epoch seconds) has come."""

    kind: str
    id: int
    due: float
    priority: int = 0
    """Higher goes first among those that are due."""
    generation: int = 0
    """Another number means that the row was written meanwhile."""
    gone: bool = False
    """The row was deleted."""
    by: int = 0
    """The thread whose write this was; 0 for a row that was only read."""


class WorkReads(Rows):
    """Reading work rows."""

    def work(self) -> list[Due]:
        """Return every work row, the earliest first."""
        return [Due(*row) for row in self._all("work")]

    def due_of(self, kind: str, id: int) -> float | None:
        """Return when the row is due, or None if there is no such row."""
        row = self._one("due_of", kind=kind, id=id)
        return None if row is None else float(row["due"])


class WorkWrites(WorkReads):
    """Writing work rows."""

    changed: list[Due]
    _generations: Iterator[int]
    by: int

    def schedule(self, kind: str, id: int, due: float, priority: int | None = None) -> None:
        """Make or change a row: due at `due`. Without `priority` the row keeps its own, or gets 0."""
        generation = next(self._generations)
        row = self._one("schedule", kind=kind, id=id, due=due, priority=priority, generation=generation)
        assert row is not None
        self.changed.append(Due(kind, id, due, row["priority"], generation, by=self.by))

    def unschedule(self, kind: str, id: int) -> None:
        """Delete a row; a missing one is no error."""
        if self._run("unschedule", kind=kind, id=id):
            self.changed.append(Due(kind, id, 0.0, generation=next(self._generations), gone=True, by=self.by))

    def finish_work(self, kind: str, id: int, generation: int) -> bool:
        """Delete a row unless it was written since `generation`; say whether it was deleted."""
        if not self._run("finish_work", kind=kind, id=id, generation=generation):
            return False
        self.changed.append(Due(kind, id, 0.0, generation=next(self._generations), gone=True, by=self.by))
        return True

    def postpone_work(self, kind: str, id: int, generation: int, due: float) -> bool:
        """Make a row due at `due` unless it was written since `generation`; say whether it was changed."""
        later = next(self._generations)
        row = self._one("postpone_work", kind=kind, id=id, generation=generation, due=due, later=later)
        if row is None:
            return False
        self.changed.append(Due(kind, id, due, row["priority"], later, by=self.by))
        return True
