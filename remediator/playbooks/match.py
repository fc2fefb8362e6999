"""Which playbook answers an alert, and the freezing of one remediation: rendered once, never looked up again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from remediator.model import (
    Action,
    Alert,
    Frozen,
    FrozenStep,
    Limits,
    Matcher,
    Mode,
    Playbook,
    Rate,
    Step,
    Target,
    Verify,
)
from remediator.model.trust import is_below, lowest
from remediator.playbooks.arguments import render_arguments
from remediator.playbooks.diagnoses import rendered
from remediator.playbooks.templates import Reference, TemplateRefused, render, render_expression, value_of

MOST_ANNOTATIONS = 32
LONGEST_ANNOTATION = 2_048
"""Characters of each annotation that are frozen: they are for commands to read, not to store a document in."""
_LONGEST_SEARCHED = 4096
"""Characters of a label that a regular expression is tried on; a longer one fits no playbook."""


@dataclass(frozen=True, slots=True)
class Site:
    """What freezing needs of the configuration and of the table of actions."""

    hosts: Mapping[str, tuple[str, ...]]
    """Configured name → the `instance` values it is scraped as."""
    actions: Mapping[str, Action]
    highest_mode: Mode = Mode.OBSERVE
    host_rates: tuple[Rate, ...] = ()
    """Over all playbooks together."""


def choose(playbooks: Sequence[Playbook], alert: Alert) -> Playbook | None:
    """Given all playbooks and an alert, return the most specific that matches it, or None.

    More matchers are more specific; among equals the first by name. The order of `playbooks` does not matter.
    """
    found = [playbook for playbook in playbooks if matches(playbook, alert.labels)]
    return min(found, key=lambda playbook: (-len(playbook.trigger.match), playbook.name), default=None)


def matches(playbook: Playbook, labels: Mapping[str, str]) -> bool:
    """Say whether the playbook's trigger fits an alert with these labels."""
    if not playbook.trigger.alert or playbook.trigger.alert != labels.get("alertname"):
        return False
    return all(matches_one(matcher, labels.get(matcher.label, "")) for matcher in playbook.trigger.match)


def matches_one(matcher: Matcher, value: str) -> bool:
    """Say whether a matcher accepts a label's value; a missing label is the empty text, as in Alertmanager."""
    if matcher.operator in ("=", "!="):
        return (value == matcher.value) is (matcher.operator == "=")
    if len(value) > _LONGEST_SEARCHED:
        return False
    return (_pattern(matcher.value).fullmatch(value) is not None) is (matcher.operator == "=~")


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def freeze(playbook: Playbook, alert: Alert, site: Site) -> Frozen:
    """Given a playbook that matches and the alert, render everything once and return what the remediation goes by.

    The mode is the lower one of the playbook's and the site's. The policy is not asked: planning does that, and
    observing shows its answer. A rendered host is looked up in the site's hosts, by name and by instance; one that is
    not there stays as rendered and is the owner guard's to deny.
    Raise TemplateRefused if a template cannot be filled in safely, saying which one.
    """
    target = _target(playbook, alert, site)
    return Frozen(
        playbook=playbook.name,
        digest=playbook.digest,
        mode=lowest(playbook.mode, site.highest_mode),
        target=target,
        lock_key=f"host/{target.host}" if playbook.limits.lock == "host" else f"target/{target}",
        labels=dict(alert.labels),
        starts_at=alert.starts_at,
        fingerprint=alert.fingerprint,
        generator_url=alert.generator_url,
        limits=_limits(playbook.limits, alert),
        host_rates=site.host_rates,
        steps=tuple(_step(index, step, alert, site.actions) for index, step in enumerate(playbook.steps)),
        verify=_verify(playbook, alert),
        otherwise=playbook.otherwise,
        when=_expression("when", playbook.when, alert),
        diagnose=rendered(playbook, alert) if playbook.diagnose else (),
        annotations=_kept(alert.annotations),
    )


def _kept(annotations: Mapping[str, str]) -> dict[str, str]:
    first = sorted(annotations.items())[:MOST_ANNOTATIONS]
    return {name: text if len(text) <= LONGEST_ANNOTATION else text[:LONGEST_ANNOTATION] + "…" for name, text in first}


def withdrawn(playbook: Playbook | None, frozen: Frozen, site: Site) -> bool:
    """Say whether the playbook in force (None: it is gone) may not go as far as what was frozen of it once."""
    return playbook is None or is_below(lowest(playbook.mode, site.highest_mode), frozen.mode)


def _target(playbook: Playbook, alert: Alert, site: Site) -> Target:
    values = {key: _rendered(f"target.{key}", text, alert) for key, text in playbook.target.items()}
    written = values.pop("host")
    owners = [name for name, instances in site.hosts.items() if written == name or written in instances]
    kind, name = next(iter(values.items()))
    return Target(owners[0] if len(owners) == 1 else written, kind, name)


def _rendered(at: str, text: str, alert: Alert) -> str:
    try:
        return render(text, alert)
    except TemplateRefused as refusal:
        raise TemplateRefused(f"{at}: {refusal.detail}") from refusal


def _step(index: int, step: Step, alert: Alert, actions: Mapping[str, Action]) -> FrozenStep:
    action = actions[step.action]
    return FrozenStep(
        action=step.action,
        version=action.version,
        effect=action.effect,
        idempotent=action.idempotent,
        arguments=render_arguments(action, step.arguments, alert, f"steps[{index}].with"),
        timeout=step.timeout,
        always=step.always,
        on_failure=step.on_failure,
        unless_healed=step.unless_healed,
        undo=step.undo,
    )


def _limits(limits: Limits, alert: Alert) -> Limits:
    """A label that names the group must be there: without it the group would be another one, or everything."""
    radius = limits.blast_radius
    if radius is None:
        return limits
    try:
        for label in radius.by:
            value_of(Reference("labels", label), alert)
        quorum = None if radius.quorum is None else render_expression(radius.quorum, alert)
    except TemplateRefused as refusal:
        raise TemplateRefused(f"limits.blast_radius: {refusal.detail}") from refusal
    return replace(limits, blast_radius=replace(radius, quorum=quorum))


def _verify(playbook: Playbook, alert: Alert) -> Verify | None:
    verify = playbook.verify
    if verify is None:
        return None
    healthy = _expression("verify.healthy", verify.healthy, alert)
    alive = _expression("verify.alive", verify.alive, alert)
    return replace(verify, healthy=healthy, alive=alive)


def _expression(at: str, text: str | None, alert: Alert) -> str | None:
    try:
        return None if text is None else render_expression(text, alert)
    except TemplateRefused as refusal:
        raise TemplateRefused(f"{at}: {refusal.detail}") from refusal
