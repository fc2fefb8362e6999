"""What a person asks for: any playbook, now, with labels as an alert would have brought them. Nothing is let off.

It is an occurrence of its own with one remediation, which the same stages decide, run and verify.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from remediator import decide
from remediator.approvals import LONGEST
from remediator.errors import RemediatorError, SourceUnavailable, StoreUnavailable
from remediator.model import Alert, Frozen, Json, Playbook, Remediation, State
from remediator.parts import Parts
from remediator.playbooks.match import freeze
from remediator.playbooks.templates import TemplateRefused
from remediator.store import Tx
from selfheal.common.clock import to_rfc3339
from selfheal.common.problems import ConfigError

FINGERPRINT = "manual-"
"""Begins the fingerprint of what a person asked for; no delivery can bring one, for `-` is refused there."""
MOST_LABELS = 64
LONGEST_LABEL = 1_024
"""Characters of a label that a person gives."""
SHOWN = 5
"""Alerts that are told where the labels fit several."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CannotRun(RemediatorError):
    """The playbook cannot be run like this: the message says why, and what to give."""


def run_playbook(parts: Parts, name: str, labels: Mapping[str, str], who: str, dry_run: bool) -> Json:
    """Given a playbook's name and labels, run it, or tell what would be. Raise CannotRun."""
    if not 0 < len(who) <= LONGEST or not who.isprintable():
        raise CannotRun(f"who must be one line of 1 to {LONGEST} characters")
    playbook = parts.in_force(name)
    if playbook is None:
        raise CannotRun(f"there is no playbook {name[:80]!r}")
    now = parts.clock.now()
    alert = Alert("firing", _labels(parts, playbook, labels), {}, now, FINGERPRINT + secrets.token_hex(8))
    try:
        frozen = replace(freeze(playbook, alert, parts.site), manual=True)
    except (TemplateRefused, ConfigError) as error:
        raise CannotRun(f"{name}: {error}; give it with --label") from error
    if dry_run:
        return {"dry_run": _tried(parts, frozen, now)}

    def store(tx: Tx) -> int:
        occurrence = tx.add_request(playbook.trigger.alert or playbook.name, alert, now)
        number = tx.add_remediation(occurrence, frozen, now)
        told = {"who": who, "playbook": playbook.name}
        tx.add_event("manual", now, remediation_id=number, occurrence_id=occurrence, detail=told)
        tx.schedule("remediation", number, now)
        return number

    number = parts.record(frozen.steps, store)
    try:
        with parts.store.read() as reader:
            return {"remediation": reader.remediation_detail(number)}
    except StoreUnavailable as error:
        # not passed on: that would say that nothing was stored, and who asks again would have it run twice
        raise CannotRun(
            f"remediation {number} was asked for, but cannot be read now; look with: selfheal show {number}"
        ) from error


def _labels(parts: Parts, playbook: Playbook, given: Mapping[str, str]) -> dict[str, str]:
    """Return the labels to go by: those given, the alert's own where it is one that is known, and the instance."""
    for label, value in given.items():
        if not _LABEL.fullmatch(label) or not isinstance(value, str) or len(value) > LONGEST_LABEL:
            raise CannotRun(f"{label[:80]!r} is no label, or its value is longer than {LONGEST_LABEL} characters")
    if len(given) > MOST_LABELS:
        raise CannotRun(f"at most {MOST_LABELS} labels can be given")
    name = playbook.trigger.alert
    if given.get("alertname", name) != name:
        raise CannotRun(f"{playbook.name} is not for the alert {given['alertname'][:80]!r}; leave alertname out")
    labels = dict(given)
    if name and playbook.when is None:
        labels = _of_the_alert(parts, name, labels)
    elif name:
        labels["alertname"] = name
    if "instance" not in labels:
        labels["instance"] = _instance(parts)
    return labels


def _of_the_alert(parts: Parts, name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return all labels of the one alert that Prometheus has with these; without one, those and its rule's own."""
    labels = {"alertname": name, **given}
    try:
        found = parts.evidence.alerts_of(labels)
        rules = parts.evidence.rules().alerts.get(name, ())
    except SourceUnavailable:
        # that nobody answers is the guards' to say
        return labels
    if len(found) > 1:
        told = "; ".join(", ".join(f"{key}={each[key]}" for key in sorted(each)) for each in found[:SHOWN])
        raise CannotRun(f"{len(found)} alerts fit, give more labels: {told}")
    if found:
        return found[0]
    fixed = rules[0].labels if len(rules) == 1 else {}
    return {key: value for key, value in fixed.items() if value and "{{" not in value} | labels


def _instance(parts: Parts) -> str:
    instances = parts.config.host.instances
    if len(instances) != 1:
        raise CannotRun(f"give --label instance=…, one of {', '.join(instances)}")
    return instances[0]


def _tried(parts: Parts, frozen: Frozen, now: float) -> Json:
    """Return what every guard says and what the first step would touch; nothing of it is stored."""
    remediation = Remediation(
        id=0, occurrence_id=0, frozen=frozen, state=State.PENDING, reason=None, verdict=None, cancel=None, position=0,
        until=None, created_at=now, held_since=None, started_at=None, verified_at=None, ended_at=None, proof={},
    )  # fmt: skip
    answers, decision, plan = decide.try_out(parts, remediation, now)
    return {
        "playbook": frozen.playbook,
        "target": str(frozen.target),
        "mode": frozen.mode.value,
        "labels": dict(frozen.labels),
        "answer": decision.answer.value,
        "reason": decision.reason.value,
        "answers": [
            {
                "guard": each.guard,
                "answer": each.answer.value,
                "reason": each.reason.value,
                "detail": each.detail,
                "until": None if each.until is None else to_rfc3339(each.until),
            }
            for each in answers
        ],
        "steps": [
            {"action": step.action, "effect": step.effect.value, "arguments": step.arguments} for step in frozen.steps
        ],
        "plan": None if plan is None else {"items": list(plan.items), "detail": plan.detail},
    }
