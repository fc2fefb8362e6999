"""Values of the API in a language's words: states, reasons, plan items, times. For the page and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.locale import Catalog


def word(catalog: Catalog, group: str, value: object) -> str:
    """Given a group such as `reason` and a value of the API, return its words; an unknown value stays as it is."""
    if value is None or value == "":
        return ""
    return _said(catalog, f"{group}.{value}") or str(value)


def fate(catalog: Catalog, alert: Mapping[str, Any]) -> str:
    """Given an alert of the API, return what became of it: a remediation's state, or why there is none."""
    value = alert.get("fate")
    if value is None:
        return catalog.say("fate.pending")
    return _said(catalog, f"state.{value}") or _said(catalog, f"fate.{value}") or str(value)


def item(catalog: Catalog, thing: Mapping[str, Any]) -> str:
    """Given one item of a plan or outcome, return what it is."""
    match thing.get("kind"):
        case "process":
            return catalog.say("item.process", pid=thing.get("pid", "?"), group=thing.get("group", "?"))
        case "file":
            return catalog.say("item.file", path=thing.get("path", "?"))
        case "command":
            return catalog.say("item.command", service=thing.get("service", "?"), verb=thing.get("verb", "?"))
        case other:
            return str(other)


def moment(text: object) -> str:
    """Given a time of the API, return it as people read it, in UTC to the second; nothing for none."""
    if not isinstance(text, str) or not text:
        return ""
    return text[:19].replace("T", " ") + " UTC"


def last_decision(decisions: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Given every guard's answer at every decision, return those of the last one and how many decisions came before.

    A held remediation is decided again every few seconds; the last answers are those that count.
    """
    times = list(dict.fromkeys(each.get("at") for each in decisions))
    if not times:
        return [], 0
    return [each for each in decisions if each.get("at") == times[-1]], len(times) - 1


def _said(catalog: Catalog, key: str) -> str:
    try:
        return catalog.say(key)
    except KeyError:
        return ""
