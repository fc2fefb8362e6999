"""Which playbook is tried next for an occurrence: the one that answers it, then those of its ladder, then people."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import dropwhile

from remediator.diagnose import Occasion, diagnose
from remediator.model import PASSING, Frozen, Limits, Occurrence, Playbook, Reason, Remediation, State, Try
from remediator.parts import Parts
from remediator.playbooks.match import freeze
from remediator.playbooks.templates import TemplateRefused
from remediator.store import Tx
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

HANDED_OVER = "handed_over"
"""The fate of an occurrence that people were asked about: final until it closes."""
MENDED_BY_ITSELF = PASSING | {Reason.ACTION_CHANGED}
"""Reasons of a skip after which the same playbook is tried again."""


def rungs(playbooks: Sequence[Playbook], first: Playbook) -> Iterator[Playbook]:
    """Given all playbooks and the one that answers, yield it and those of its ladder, up to a name that means people.

    A name that is no playbook means people; only the first one's ladder counts, and none is climbed to twice.
    """
    known = {playbook.name: playbook for playbook in playbooks}
    met = {first.name}
    yield first
    for name in first.otherwise:
        if name not in known:
            return
        if name not in met:
            met.add(name)
            yield known[name]


def used_up(playbook: str, limits: Limits, tries: Sequence[Try]) -> bool:
    """Given what was tried for an occurrence, the oldest first, say whether a playbook is not to be tried any more.

    It began as often as it may, or it cannot begin while another did; once something was begun, finding nothing to do
    is an attempt too. As long as nothing was begun for the occurrence there is no climbing: a refusal stands until
    playbooks and policy are read again.
    """
    own = [each for each in tries if each.playbook == playbook]
    since = list(dropwhile(lambda each: not each.acted, tries))
    in_vain = sum(each.playbook == playbook and each.reason is Reason.NOTHING_TO_DO for each in since if not each.acted)
    if sum(each.acted for each in own) + in_vain >= limits.attempts:
        return True
    return bool(own) and any(each.acted for each in tries) and _barred(own[-1])


def to_be_climbed(tries: Sequence[Try]) -> bool:
    """Say whether the newest try could not begin and never will, while an earlier one did and did not help."""
    return bool(tries) and any(each.acted for each in tries) and _barred(tries[-1])


def _barred(newest: Try) -> bool:
    if newest.acted:
        return False
    return newest.state is State.OBSERVED or (newest.state is State.SKIPPED and newest.reason not in MENDED_BY_ITSELF)


def freeze_next(parts: Parts, first: Playbook, occurrence: Occurrence) -> Frozen | None:
    """Given the playbook that answers, return what is frozen of the next one to try, or None: it is people's turn.

    Raise TemplateRefused or ConfigError if the first one cannot be frozen; a later one that cannot is passed over.
    """
    with parts.store.read() as reader:
        tries = reader.tries(occurrence.id)
    for playbook in rungs(parts.playbooks(), first):
        if used_up(playbook.name, playbook.limits, tries):
            continue
        try:
            return freeze(playbook, occurrence.alert, parts.site)
        except (TemplateRefused, ConfigError) as error:
            if playbook is first:
                raise
            logger.warning("template refused", extra={"playbook": playbook.name, "problem": str(error)})
    return None


def called_off(parts: Parts, occurrence: Occurrence) -> bool:
    """Say whether a person called off what was tried last: then nothing more is tried."""
    if occurrence.remediation_id is None:
        return False
    last = _last(parts, occurrence)
    return last is not None and last.ended_at is not None and last.cancel is Reason.CANCELLED


def climb_on(tx: Tx, remediation: Remediation, now: float) -> None:
    """Given a remediation that was just decided, consider its occurrence anew if only the next rung can help."""
    if to_be_climbed(tx.tries(remediation.occurrence_id)):
        tx.reconsider(remediation.occurrence_id, now)


def hand_over(parts: Parts, occurrence: Occurrence) -> None:
    """Tell people that nothing is left to try, after looking once more at what they will find."""
    last = _last(parts, occurrence)
    goes_on = last is not None and last.ended_at is None and last.occurrence_id == occurrence.id
    if occurrence.fate == HANDED_OVER or last is None or goes_on:
        parts.store.write(lambda tx: tx.unschedule("occurrence", occurrence.id))
        return
    diagnose(parts, last.id, last.frozen, Occasion.HAND_OVER)

    def store(tx: Tx) -> None:
        present = tx.occurrence(occurrence.id)
        if present is None or present.closed_at is not None:
            return
        tried = list(dict.fromkeys(each.playbook for each in tx.tries(occurrence.id) if each.acted))
        detail = {"level": "error", "tried": tried}
        tx.set_fate(occurrence.id, HANDED_OVER, Reason.ATTEMPTS_USED, detail=detail)

    parts.record(last.frozen.steps, store)


def _last(parts: Parts, occurrence: Occurrence) -> Remediation | None:
    """Return what was tried last, also for the period that this one recurred from."""
    with parts.store.read() as reader:
        number = occurrence.remediation_id or reader.tried_before(occurrence.id)
        return None if number is None else reader.remediation(number)
