"""Counts who was touched besides the patient: from the decoys and from every effect that the remediator recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selfheal.stack.patient import SERVICE
from selfheal.stack.patient.identities import ever_existed

_VERBS = ("start", "stop", "status")


def foreign_effects(remediations: Iterable[Mapping[str, Any]], patient: Path) -> list[Mapping[str, Any]]:
    """Given whole remediations as the API tells them, return every recorded effect that is not on the patient."""
    known = ever_existed(patient)
    root = (patient / "folder").resolve()
    return [
        effect
        for remediation in remediations
        for step in remediation["steps"]
        for effect in (step["outcome"] or {}).get("effects", [])
        if not _is_patients(effect, known, root)
    ]


def _is_patients(effect: Mapping[str, Any], known: frozenset[tuple[int, int]], root: Path) -> bool:
    match effect.get("kind"):
        case "process":
            return (effect.get("pid"), effect.get("start_ticks")) in known
        case "file":
            # the parent is resolved, not the file: a link that was removed is judged by where it stood
            path = Path(str(effect.get("path")))
            return path.is_absolute() and path.name not in ("", "..") and path.parent.resolve().is_relative_to(root)
        case "command":
            return effect.get("service") == SERVICE and effect.get("verb") in _VERBS
    # an effect of a kind that nobody told us about is not known to be the patient's
    return False
