"""A few times a minute: shadow decisions whose time is over are looked at, and promotions proposed or withdrawn."""

from __future__ import annotations

from functools import partial

from remediator import monitoring_control
from remediator.evidence import Trouble
from remediator.model import Mode, Playbook, Remediation
from remediator.parts import Parts
from remediator.store import Tx
from remediator.trust.rungs import Rungs
from remediator.trust.standing import ladder_of, numbers

EVERY = 15.0
"""Seconds between two turns, unless a rung changed or numbers came to suffice: that wakes it at once."""
AT_ONCE = 100
"""Shadow decisions that are looked at in one turn."""


class Trust:
    """One turn at a time."""

    def __init__(self, parts: Parts, rungs: Rungs) -> None:
        self._parts = parts
        self._rungs = rungs

    def turn(self, now: float) -> float:
        """Do one turn; return when the next is due."""
        self._rungs.refresh()
        more = not monitoring_control.is_stopped(self._parts) and self._look(now)
        self._consider(now)
        return now + (1.0 if more else EVERY)

    def _look(self, now: float) -> bool:
        """Look at alerts of shadow decisions whose time is over; say whether there may be more of them."""
        parts = self._parts
        with parts.store.read() as reader:
            due = reader.shadows_due(now - reader.set_by(), AT_ONCE)
            found = [reader.remediation(number) for number in due]
        if not due:
            return False
        seen = [(each.id, self._is_on(each, now)) for each in found if each is not None]
        at = parts.clock.now()
        judged = parts.store.write(lambda tx: [tx.judge_shadow(number, firing, at) for number, firing in seen])
        return len(due) == AT_ONCE and any(judged)

    def _is_on(self, remediation: Remediation, now: float) -> bool | None:
        """Say whether its alert is on, asked now; None if nobody can tell."""
        frozen = remediation.frozen
        rule = self._parts.evidence.question(frozen)
        if isinstance(rule, Trouble):
            return None
        return self._parts.evidence.live(rule, frozen.labels, frozen.fingerprint, now).firing

    def _consider(self, now: float) -> None:
        """Note versions that are new, propose promotions that are earned, withdraw those that are no more, show all."""
        parts, highest = self._parts, self._parts.site.highest_mode
        playbooks = parts.playbooks()
        with parts.store.read() as reader:
            versions = reader.versions()
            ladders = {playbook.name: ladder_of(reader, playbook, highest) for playbook in playbooks}
        for playbook in playbooks:
            ladder = ladders[playbook.name]
            if versions.get(playbook.name) != playbook.digest:
                parts.store.write(partial(_note_version, playbook, now))
            if ladder.evidence.proposed is bool(ladder.missing()):
                parts.store.write(partial(_propose, playbook, highest, now))
            parts.counters.observe("trust_proposed", float(not ladder.missing()), playbook=playbook.name)
            for mode in Mode:
                is_it = float(mode is ladder.mode)
                parts.counters.observe("playbook_mode", is_it, playbook=playbook.name, mode=mode.value)


def _note_version(playbook: Playbook, now: float, tx: Tx) -> None:
    """Another digest is another playbook: say it where the one before had a rung of its own."""
    known = tx.versions().get(playbook.name)
    if known == playbook.digest:
        return
    tx.set_version(playbook.name, playbook.digest)
    before = None if known is None else tx.standing(playbook.name, known)
    if before is None:
        return
    told = {"playbook": playbook.name, "digest": playbook.digest, "before": before.digest}
    tx.add_event("trust_restarted", now, old=before.rung, new=playbook.mode, detail=told)


def _propose(playbook: Playbook, highest: Mode, now: float, tx: Tx) -> None:
    ladder = ladder_of(tx, playbook, highest)
    proposed = not ladder.missing()
    if ladder.evidence.proposed is proposed or ladder.next is None:
        return
    tx.propose(playbook.name, playbook.digest, ladder.mode, proposed)
    told = {"playbook": playbook.name, "digest": playbook.digest, **numbers(ladder.evidence)}
    kind = "promotion_proposed" if proposed else "promotion_withdrawn"
    tx.add_event(kind, now, old=ladder.mode, new=ladder.next, detail=told)
