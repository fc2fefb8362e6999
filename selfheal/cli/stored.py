"""The store of a remediator that does not answer, and its pause files: answers like the API's, read without changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from remediator import pause
from remediator.model import Json
from selfheal import __version__
from selfheal.cli.place import Place
from selfheal.common.clock import SystemClock


class StoreSource:
    """The store of a remediator that does not answer, read without changing anything."""

    name = "store"

    def __init__(self, place: Place) -> None:
        self._place = place

    def remediations(
        self, limit: int, cursor: str | None = None, state: str | None = None, *, only_open: bool = False
    ) -> Json:
        """Return a page of remediations, or of those that are not over."""
        before = _before(cursor)
        if only_open:
            return self._read(lambda reader: reader.open_remediations(limit, before, state))  # type: ignore[no-any-return]
        return self._read(lambda reader: reader.list_remediations(limit, before, state))  # type: ignore[no-any-return]

    def remediation(self, id: str) -> Json | None:
        """Return one remediation, or None."""
        if not id.isascii() or not id.isdigit() or len(id) > 18:
            return None
        found: Json | None = self._read(lambda reader: reader.remediation_detail(int(id)))
        return found

    def alerts(self, limit: int, cursor: str | None = None, *, only_open: bool = False) -> Json:
        """Return a page of alerts, or of those that are on and no heartbeat."""
        before = _before(cursor)
        if only_open:
            return self._read(lambda reader: reader.open_alerts(limit, before))  # type: ignore[no-any-return]
        return self._read(lambda reader: reader.list_alerts(limit, before))  # type: ignore[no-any-return]

    def approvals(self, limit: int, state: str | None = None) -> Json:
        """Return the newest requests to people; links are only for who may answer them."""
        page: Json = self._read(lambda reader: reader.list_approvals(limit, None, state))
        return page

    def status(self) -> Json:
        """Return the state of the whole, as far as it can be known without the remediator."""
        return {
            "highest_mode": self._place.highest_mode or None,
            **paused_now(self._place),
            "counts": self._read(lambda reader: reader.counts()),
            "blind": None,
            "version": __version__,
        }

    def breakers(self) -> list[Json]:
        """Return the circuit breakers that ever moved."""
        # as large as the web it belongs to, and only wanted here
        from remediator.web import views

        return self._read(lambda reader: views.breakers(reader.breakers()))  # type: ignore[no-any-return]

    def trust(self) -> list[Json]:
        """Return what each playbook has earned, as far as it can be known without the playbooks themselves."""
        # brings what decides along, and is only wanted here
        from remediator.trust.told import told_stored

        return self._read(told_stored)  # type: ignore[no-any-return]

    def _read(self, question: Callable[[Any], Any]) -> Any:
        from remediator.store import Reader

        opened: AbstractContextManager[Any] = Reader.open(self._place.state)
        with opened as reader:
            return question(reader)


def paused_now(place: Place) -> Json:
    """Return the pauses in force as the API shows them, `paused` and `pauses`, read from their files."""
    return pause.told(place.state, SystemClock().now())


def _before(cursor: str | None) -> int | None:
    return int(cursor) if cursor is not None and cursor.isascii() and cursor.isdigit() else None
