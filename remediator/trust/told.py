"""How a playbook's trust is shown: its rung, the numbers, what is missing, and what its shadow decisions say."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.model import Json, Mode, Playbook
from remediator.model.trust import CLIMB, Evidence, Judgement, Standing, above
from remediator.store import Reader
from remediator.trust.standing import ladder_of, numbers
from selfheal.common.clock import to_rfc3339


def told_all(reader: Reader, playbooks: Iterable[Playbook], written: Iterable[Playbook], highest: Mode) -> list[Json]:
    """Given the playbooks on their rungs and as written, return each with its trust, by name."""
    files = {playbook.name: playbook.mode for playbook in written}
    named = sorted(playbooks, key=lambda playbook: playbook.name)
    return [told(reader, each, files.get(each.name, each.mode), highest) for each in named]


def told(reader: Reader, playbook: Playbook, written: Mode, highest: Mode) -> Json:
    """Given one playbook on its rung, and its file's mode, return its trust."""
    ladder = ladder_of(reader, playbook, highest)
    missing = ladder.missing()
    return {
        "playbook": playbook.name,
        "digest": playbook.digest,
        "mode": ladder.mode.value,
        "written_mode": written.value,
        "highest_mode": highest.value,
        "next": None if (higher := above(ladder.mode)) is None else higher.value,
        "proposed": not missing,
        "missing": [each.value for each in missing],
        **_set(reader.standing(playbook.name, playbook.digest)),
        "evidence": _evidence(ladder.evidence, ladder.unknown),
        "shadow": shadow(reader, playbook.name, playbook.digest),
        "earlier": _earlier(reader.standing_elsewhere(playbook.name, playbook.digest)),
    }


def told_stored(reader: Reader) -> list[Json]:
    """Return what the store alone knows of each playbook that was last in force; its file, and what caps it, it cannot.

    A mode is told only where a person or a demotion set it.
    """
    found = []
    for name, digest in sorted(reader.versions().items()):
        standing = reader.standing(name, digest)
        mode = None if standing is None else standing.rung
        by_rung = {rung: reader.evidence(name, digest, rung) for rung in CLIMB}
        rung = mode or max(CLIMB, key=lambda each: by_rung[each].last_at or 0.0)
        evidence = by_rung[rung]
        found.append(
            {
                "playbook": name,
                "digest": digest,
                "mode": None if mode is None else mode.value,
                "next": None if (higher := above(rung)) is None else higher.value,
                "proposed": evidence.proposed,
                "missing": [each.value for each in evidence.missing()],
                **_set(standing),
                "evidence": _evidence(evidence, reader.unknown_of(name)),
                "shadow": shadow(reader, name, digest),
                "earlier": _earlier(reader.standing_elsewhere(name, digest)),
            }
        )
    return found


def shadow(reader: Reader, playbook: str, digest: str) -> Json:
    """Return what this version would have done while it observed: was it needed, and what would have stopped it?"""
    found = reader.judgements(playbook, digest, Mode.OBSERVE)
    cleared = reader.clearings(playbook, digest)

    def count(judgement: Judgement) -> int:
        return sum(int(each["count"]) for each in found if each["judgement"] == judgement)

    return {
        "waiting": count(Judgement.WAITING),
        "needed": count(Judgement.SUCCESS),
        "cleared_alone": count(Judgement.FAILURE),
        "left_out": count(Judgement.LEFT_OUT),
        "blocked": [
            {"guard": each["guard"], "reason": each["reason"], "count": each["count"]}
            for each in found
            if each["judgement"] == Judgement.BLOCKED
        ],
        "cleared_after_median_seconds": _median(cleared),
    }


def _median(values: list[float]) -> float | None:
    # the standard library's brings more along than all of this room
    ordered, middle = sorted(values), len(values) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _evidence(evidence: Evidence, unknown: int) -> Json:
    return {
        **numbers(evidence),
        "first_at": None if evidence.first_at is None else to_rfc3339(evidence.first_at),
        "last_at": None if evidence.last_at is None else to_rfc3339(evidence.last_at),
        "recent": [sign == "1" for sign in evidence.recent],
        "unknown": unknown,
    }


def _set(standing: Standing | None) -> Json:
    return {
        "changed_at": None if standing is None else to_rfc3339(standing.changed_at),
        "who": None if standing is None or not standing.who else standing.who,
        "why": None if standing is None else standing.why,
    }


def _earlier(standing: Standing | None) -> Json | None:
    if standing is None:
        return None
    return {
        "digest": standing.digest,
        "mode": standing.rung.value,
        "changed_at": to_rfc3339(standing.changed_at),
        "who": standing.who or None,
    }
