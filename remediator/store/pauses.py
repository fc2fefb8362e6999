"""Which pauses were told as events already; the pauses themselves are files."""

from __future__ import annotations

import json

from remediator.model import Json
from remediator.store.rows import Rows, to_text


class PauseReads(Rows):
    """Reading them."""

    def told_pauses(self) -> dict[str, Json]:
        """Return the pauses that were told last, as the API shows them, by their file's name."""
        return {row["name"]: json.loads(row["body"]) for row in self._all("told_pauses")}


class PauseWrites(PauseReads):
    """Writing them."""

    def tell_pause(self, name: str, body: Json) -> None:
        """Remember that the pause in file `name` was told as `body`."""
        self._run("tell_pause", name=name, body=to_text(body))

    def forget_pause(self, name: str) -> None:
        """Remember that its end was told."""
        self._run("forget_pause", name=name)
