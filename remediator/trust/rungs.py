"""The playbooks in force, each on the rung that it has earned."""

from __future__ import annotations

from dataclasses import replace

from remediator.model import Mode, Playbook
from remediator.store import Store

Known = dict[tuple[str, str], Mode]


class Rungs:
    """What the store said of rungs when it was asked last: who decides asks again, in the deciding transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: Known = {}
        self._made: tuple[tuple[Playbook, ...], Known, tuple[Playbook, ...]] = ((), self._known, ())
        self.refresh()

    def refresh(self) -> None:
        """Ask the store again. Raise StoreUnavailable if it cannot be read; what was known is kept then."""
        with self._store.read() as reader:
            known = reader.rungs()
        if known != self._known:
            self._known = known

    def in_force(self, written: tuple[Playbook, ...]) -> tuple[Playbook, ...]:
        """Given playbooks as written, return them with the mode that each has earned, or else its file's.

        The digest stays: the earned mode is no part of what a version is. `highest_mode` caps it elsewhere.
        """
        of, known, made = self._made
        if of is not written or known is not self._known:
            known = self._known
            made = tuple(_on_its_rung(playbook, known) for playbook in written)
            self._made = (written, known, made)
        return made

    def mode_of(self, written: Playbook) -> Mode:
        """Given one playbook as written, return the mode that it has earned, or else its file's."""
        return self._known.get((written.name, written.digest), written.mode)


def _on_its_rung(playbook: Playbook, known: Known) -> Playbook:
    rung = known.get((playbook.name, playbook.digest), playbook.mode)
    return playbook if rung is playbook.mode else replace(playbook, mode=rung)
