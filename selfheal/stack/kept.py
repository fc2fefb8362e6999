"""What a person's remediator.yml becomes at a start: the stack's own settings are put right, all else stays theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfheal.stack.events import SettingPutBack

OWNED: Mapping[str, tuple[str, ...]] = {
    "prometheus": ("url", "scrape_interval"),
    "hook": ("token_file",),
    "api": ("token_file",),
}
"""Inside these mappings only these are the stack's; the rest is the person's."""

WHOLE = ("state", "process_config")
"""The stack's as a whole."""


class NotMergeable(Exception):
    """A setting has another shape than the remediator takes; it says so itself, so the file is left alone."""


@dataclass(slots=True)
class Merge:
    """One merge: `ours` is what the stack decides now, `last` what it decided at the start before.

    What differs from both was changed by a person: it is put back and noted. What was only ours before, as an address
    with another port, moves without a word.
    """

    ours: Mapping[str, Any]
    last: Mapping[str, Any]
    noted: list[SettingPutBack] = field(default_factory=list)

    def values(self, theirs: Any) -> dict[str, Any]:
        """Given what the file says, return the top-level settings that it must have. Raise NotMergeable."""
        if not isinstance(theirs, dict):
            raise NotMergeable
        merged = {key: self._one(key, theirs.get(key), self.ours[key], self.last[key]) for key in WHOLE}
        for section, keys in OWNED.items():
            said = _a(dict, theirs.get(section))
            owned, before = self.ours[section], self.last[section]
            mine = {key: self._one(f"{section}.{key}", said.get(key), owned[key], before[key]) for key in keys}
            merged[section] = said | mine
        listed = _a(list, theirs.get("protected"))
        merged["protected"] = self._united("protected", listed, self.ours["protected"], self.last["protected"])
        merged["alertmanagers"] = self._alertmanagers(_a(list, theirs.get("alertmanagers")))
        merged["hosts"] = self._hosts(_a(dict, theirs.get("hosts")))
        return merged

    def _one(self, key: str, said: Any, ours: Any, last: Any) -> Any:
        if said not in (ours, last):
            self.noted.append(SettingPutBack(key, ours, "" if said is None else str(said)))
        return ours

    def _united(self, key: str, said: list[Any], ours: Sequence[Any], last: Sequence[Any]) -> list[Any]:
        """Return what stands there with what the stack moved moved, and what is missing of ours at the end."""
        if not all(isinstance(one, str) for one in said):
            raise NotMergeable
        # what ours has beyond the last is new, so nobody took it away
        moved = dict(zip(last, ours, strict=False))
        kept = [moved.get(one, one) for one in said]
        missing = [each for each in ours if each not in kept]
        self.noted.extend(SettingPutBack(key, each, "") for each in missing if each in moved.values())
        return kept + missing

    def _alertmanagers(self, said: list[Any]) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [_a(dict, each) for each in said]
        ours, last = ([each["url"] for each in decided["alertmanagers"]] for decided in (self.ours, self.last))
        urls = self._united("alertmanagers", [each.get("url", "") for each in entries], ours, last)
        entries += [{} for _ in urls[len(entries) :]]
        return [entry | {"url": url} for entry, url in zip(entries, urls, strict=True)]

    def _hosts(self, said: dict[str, Any]) -> dict[str, Any]:
        ((name, ours),) = self.ours["hosts"].items()
        ((_, last),) = self.last["hosts"].items()
        # locks, policy and history go by the name: one that was chosen, or was this machine's before, goes on
        name = name if name in said or not said else next(iter(said))
        host = _a(dict, said.get(name))
        key = f"hosts.{name}.instances"
        instances = self._united(key, _a(list, host.get("instances")), ours["instances"], last["instances"])
        return said | {name: host | {"instances": instances}}


def _a(kind: type[Any], said: Any) -> Any:
    """Return a mapping or list as it is, an empty one for nothing. Raise NotMergeable for anything else."""
    if said is None:
        return kind()
    if not isinstance(said, kind):
        raise NotMergeable
    return said
