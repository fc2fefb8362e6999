"""What a person says of a playbook's rung. A promotion needs the numbers to hold at the moment it is stored."""

from __future__ import annotations

from dataclasses import replace

from remediator.errors import RemediatorError
from remediator.model import Mode, Playbook
from remediator.model.trust import BOUND, RUNS, SPAN, Ladder, Missing, below
from remediator.parts import Parts
from remediator.store import Tx
from remediator.trust.standing import DAY, ladder_of, numbers

LONGEST = 1_024
"""Characters of a person's reason."""


class NotTrusted(RemediatorError):
    """The rung stays as it is: the message says what is missing."""


def promote(parts: Parts, name: str, who: str, why: str) -> Mode:
    """Let a playbook climb one rung because a person says so, and return that rung.

    Raise NotTrusted if the numbers do not hold, or there is no such playbook.
    """
    _check(who, why)

    def store(tx: Tx) -> Mode:
        playbook, ladder = _standing(parts, tx, name)
        missing = ladder.missing()
        if missing or ladder.next is None:
            raise NotTrusted(f"{name} stays in mode {ladder.mode.value}: {'; '.join(_said(ladder, missing))}")
        told = {**numbers(ladder.evidence), "playbook": name, "digest": playbook.digest, "who": who, "why": why}
        now = parts.clock.now()
        tx.add_event("promoted", now, old=ladder.mode, new=ladder.next, detail=told)
        tx.set_rung(name, playbook.digest, ladder.next, who, why, now)
        return ladder.next

    return parts.store.write(store)


def demote(parts: Parts, name: str, who: str, why: str) -> Mode:
    """Take one rung from a playbook because a person says so, and return what is left. Raise NotTrusted if it is none.

    Until a person promotes it again it stays so, with evidence that comes after this.
    """
    _check(who, why)

    def store(tx: Tx) -> Mode:
        playbook, ladder = _standing(parts, tx, name)
        # not the mode in force: what highest_mode hides today may be in force tomorrow
        if playbook.mode is Mode.OBSERVE:
            raise NotTrusted(f"{name} is in mode observe: there is no lower rung")
        now, rung = parts.clock.now(), below(ladder.mode)
        told = {"playbook": name, "digest": playbook.digest, "because": "person", "who": who, "why": why}
        tx.add_event("demoted", now, old=ladder.mode, new=rung, detail=told)
        tx.set_rung(name, playbook.digest, rung, who, why, now)
        return rung

    return parts.store.write(store)


def _standing(parts: Parts, tx: Tx, name: str) -> tuple[Playbook, Ladder]:
    """Return the playbook and how it stands in this very transaction: what is known of rungs outside may be older."""
    playbook = parts.in_force(name)
    if playbook is None:
        raise NotTrusted(f"there is no playbook {name[:80]!r}")
    playbook = replace(playbook, mode=tx.rung(name, playbook.digest) or playbook.mode)
    return playbook, ladder_of(tx, playbook, parts.site.highest_mode)


def _said(ladder: Ladder, missing: tuple[Missing, ...]) -> list[str]:
    evidence = ladder.evidence
    words = {
        Missing.HIGHEST: "that is the highest",
        Missing.HIGHEST_MODE: f"highest_mode of the configuration is {ladder.highest.value}",
        Missing.NO_PROOF: "verify: none proves nothing; write mode into its file if you vouch for it",
        Missing.RUNS: f"{evidence.judged} of {RUNS} judged runs",
        Missing.SPAN: f"they span {evidence.span / DAY:.1f} of {SPAN / DAY:.0f} days",
        Missing.BOUND: f"their success is certain to be {evidence.lower_bound:.3f} only, {BOUND} are needed",
        Missing.UNKNOWN: f"{ladder.unknown} of its outcomes are unknown; settle them first",
    }
    return [words[each] for each in missing]


def _check(who: str, why: str) -> None:
    for what, text in (("who", who), ("why", why)):
        if not text.strip() or len(text) > LONGEST or not text.isprintable():
            raise NotTrusted(f"{what} must be one line of 1 to {LONGEST} characters")
