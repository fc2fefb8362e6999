"""What a plan tells besides the things it would touch, in a language's words. For the page and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.locale import Catalog
from remediator.locale.words import details

NOTES = 20
"""Files left out, and last lines of what a dry run wrote, that are shown; the API has all that was kept."""
_COUNTED = ("refused_count", "beyond_limit", "beyond_most", "kept_by_floor", "kept_before", "undo_needs")
"""Keys of a plan's detail with one number or word: how much the plan does not do, and what taking it back needs."""


def notes(catalog: Catalog, plan: Mapping[str, Any] | None) -> list[str]:
    """Given a plan of the API, return what a person should know before saying yes, a line each; nothing for none."""
    detail = (plan or {}).get("detail") or {}
    lines = [str(detail["why"])] if isinstance(detail.get("why"), str) else []
    counted = details(catalog, {key: detail[key] for key in _COUNTED if detail.get(key)})
    return [*lines, *([counted] if counted else []), *_left_out(catalog, detail), *_written(catalog, detail)]


def _left_out(catalog: Catalog, detail: Mapping[str, Any]) -> list[str]:
    left_out = detail.get("left_out")
    files = left_out.get("files") if isinstance(left_out, Mapping) else None
    if not isinstance(left_out, Mapping) or not isinstance(files, list):
        return []
    lines = [
        catalog.say("plan.left_out", path=each.get("path", "?"), name=each.get("class", "?"), why=each.get("why", "?"))
        for each in files[:NOTES]
    ]
    more = sum((left_out.get("classes") or {}).values()) - len(lines)
    return [*lines, catalog.say("page.more", count=more)] if more > 0 else lines


def _written(catalog: Catalog, detail: Mapping[str, Any]) -> list[str]:
    checked = detail.get("checked")
    output = checked.get("output") if isinstance(checked, Mapping) else None
    if not isinstance(output, str) or not output.strip():
        return []
    lines = output.strip().splitlines()
    cut = [" …"] if len(lines) > NOTES else []
    return [catalog.say("plan.checked"), *cut, *(f"  {each}" for each in lines[-NOTES:])]
