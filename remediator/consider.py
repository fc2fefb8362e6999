"""Second stage, first half: which playbook is tried for an open alert, or why none is.

What is chosen and frozen here is decided by `decide.py`, in its own turn.
"""

from __future__ import annotations

import logging

from remediator.evidence import Trouble
from remediator.ladder import called_off, freeze_next, hand_over, used_up
from remediator.model import Frozen, Occurrence, Reason, Remediation, State
from remediator.parts import SUPPRESSED_LOOK, Parts, still_suppressed
from remediator.playbooks.match import choose
from remediator.playbooks.templates import TemplateRefused
from remediator.store import Tx
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

OF_A_DATASOURCE = frozenset({"DatasourceError", "DatasourceNoData"})
"""Names that Grafana gives to alerts about a query that failed: they say nothing of what is measured."""


def consider(parts: Parts, occurrence: Occurrence, now: float) -> None:
    """Given an open occurrence, give it its fate, or a pending remediation that is due at once."""
    if occurrence.alert.annotations.get("playbook") == "none":
        _fate(parts, occurrence, "human_only", Reason.HUMAN_ONLY)
        return
    if occurrence.alert.name in OF_A_DATASOURCE:
        _fate(parts, occurrence, "skipped", Reason.DATASOURCE)
        return
    playbook = choose(parts.playbooks(), occurrence.alert)
    if playbook is None:
        _fate(parts, occurrence, "no_playbook", Reason.NO_PLAYBOOK)
        return
    if called_off(parts, occurrence):
        _fate(parts, occurrence, State.CANCELLED.value, Reason.CANCELLED)
        return
    try:
        frozen = freeze_next(parts, playbook, occurrence)
    except (TemplateRefused, ConfigError) as error:
        logger.warning("template refused", extra={"playbook": playbook.name, "problem": str(error)})
        _fate(parts, occurrence, "skipped", Reason.TEMPLATE_REFUSED)
        return
    if frozen is None:
        hand_over(parts, occurrence)
        return

    asked = parts.evidence.question(frozen)
    if isinstance(asked, Trouble) and asked.reason is Reason.NEEDS_DECLARED_PROOF:
        if frozen.playbook != playbook.name:
            # a rung that cannot prove anything is nobody's help: it is people's turn
            hand_over(parts, occurrence)
            return
        _fate(parts, occurrence, "needs_declared_proof", asked.reason)
        return

    if still_suppressed(parts, occurrence):
        # what was held for it to the end would only be held again: the silence's end, or a look much later, decides
        parts.store.write(lambda tx: tx.schedule("occurrence", occurrence.id, now + SUPPRESSED_LOOK))
        return

    def add(tx: Tx) -> None:
        present = tx.occurrence(occurrence.id)
        if present is None or present.closed_at is not None:
            return
        last = None if present.remediation_id is None else tx.remediation(present.remediation_id)
        if last is not None and (last.ended_at is None or _would_only_be_observed_again(last, frozen)):
            tx.unschedule("occurrence", occurrence.id)
        elif used_up(frozen.playbook, frozen.limits, tx.tries(occurrence.id)):
            # an attempt began meanwhile: what comes after it is found by looking again
            tx.schedule("occurrence", occurrence.id, now)
        else:
            tx.schedule("remediation", tx.add_remediation(occurrence.id, frozen, now), now)

    parts.record(frozen.steps, add)


def _would_only_be_observed_again(last: Remediation, frozen: Frozen) -> bool:
    return last.state is State.OBSERVED and last.frozen == frozen


def _fate(parts: Parts, occurrence: Occurrence, fate: str, reason: Reason) -> None:
    def store(tx: Tx) -> None:
        if (occurrence.fate, occurrence.reason) == (fate, reason):
            # decided again with the same answer: nothing new to tell
            tx.unschedule("occurrence", occurrence.id)
        else:
            tx.set_fate(occurrence.id, fate, reason)

    parts.store.write(store)
