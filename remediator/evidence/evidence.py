"""The questions the stages put, answered from shared, short-lived answers, so that a storm of alerts asks few."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence import proof
from remediator.evidence.alertmanager import Alertmanagers, States, Suppressed
from remediator.evidence.firing import ANSWER_AGE, Firing, Seen
from remediator.evidence.prometheus import Prometheus
from remediator.evidence.proof import Health
from remediator.evidence.rules import FrozenRule, Rules, Trouble, read_rules
from remediator.evidence.shared import Shared
from remediator.evidence.silences import Silence
from remediator.model import Alert, Json, Live, Reason, Verify
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

RULES_AGE = 10.0
ASKED_ONE_BY_ONE = 50
"""More questions about one rule within a second are answered from one answer about the whole rule."""
IGNORED = ("replica", "prometheus_replica")


def _nobody(_source: str) -> None:
    """Tell nobody."""


class Evidence:
    """Asks Prometheus and the Alertmanagers; may be used by many threads at once."""

    def __init__(
        self,
        prometheus: Client,
        alertmanagers: Sequence[Client],
        clock: Clock,
        *,
        ignore_labels: Iterable[str] = IGNORED,
        failed: Callable[[str], None] = _nobody,
    ) -> None:
        """`ignore_labels` are left out when alerts are compared; `failed` is told the source of every failure."""
        self._prometheus = Prometheus(prometheus)
        self._alertmanagers = Alertmanagers(alertmanagers, clock)
        self._clock = clock
        self._firing = Firing(self._prometheus, clock, self.rules, ignore_labels)
        self._failed = failed
        self._rules: Shared[Rules] = Shared(clock, RULES_AGE)
        self._suppressed: Shared[States] = Shared(clock, ANSWER_AGE)
        self._silences: Shared[tuple[Silence, ...]] = Shared(clock, ANSWER_AGE)
        self._asked: dict[str, tuple[float, int]] = {}

    def rules(self, fresh_after: float = 0.0) -> Rules:
        """Return all rules, at most 10 s old and asked at or after `fresh_after`. Raise SourceUnavailable."""
        return self._rules.get("rules", fresh_after, self._read_rules).value

    def rule_for(self, alertname: str, labels: Mapping[str, str], generator_url: str) -> FrozenRule | Trouble:
        """Given an alert, return the rule that fires it, frozen with the recorded rules it uses, or why not."""
        try:
            found = self.rules().find(alertname, labels, generator_url)
            if isinstance(found, Trouble):
                # it may have been loaded since the rules were read
                found = self.rules(self._clock.now() - ANSWER_AGE).find(alertname, labels, generator_url)
            return found
        except SourceUnavailable as error:
            self._note(error)
            return Trouble(Reason.BLIND, error.detail)

    def live(self, rule: FrozenRule, labels: Mapping[str, str], fingerprint: str, fresh_after: float) -> Live:
        """Given an alert, return what both sources say of it, asked at or after `fresh_after`. Never raises.

        `fresh_after` is wall time: the delivery, or our last effect on the target if that is later.
        """
        blind: list[str] = []
        asked_at = self._clock.now()
        seen: Seen | None = None
        was_there: bool | None = None
        differ: tuple[str, ...] = ()
        suppressed = Suppressed()
        one_by_one = self._few(rule)
        try:
            seen = self._firing.look(rule, labels, fresh_after, one_by_one)
            asked_at = seen.asked_at
            was_there = True if seen.active else self._firing.was_there(labels, fresh_after, one_by_one)
            if not was_there:
                differ = self._firing.differing(labels, fresh_after)
        except SourceUnavailable as error:
            self._note(error)
            seen = None
            blind.append("prometheus")
        try:
            suppressed, since = self._suppressed_now(labels, fingerprint, fresh_after, one_by_one)
            asked_at = min(asked_at, since)
        except SourceUnavailable as error:
            self._note(error)
            blind.append("alertmanager")
        return Live(
            asked_at=asked_at,
            firing=None if seen is None else seen.firing,
            active=None if seen is None else seen.active,
            seen_since_delivery=None if seen is None else was_there,
            labels_differ=differ,
            silenced_by=suppressed.silenced_by,
            inhibited_by=suppressed.inhibited_by,
            blind=tuple(blind),
        )

    def active(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float) -> bool | None:
        """Say whether Prometheus has the alert, asked at or after `fresh_after`; None if it does not answer.

        One answer serves all alerts of the rule: for those who look through thousands.
        """
        try:
            return self._firing.active(rule, labels, fresh_after)
        except SourceUnavailable as error:
            self._note(error)
            return None

    def prometheus_now(self) -> float:
        """Return Prometheus's own time. Raise SourceUnavailable."""
        return self._counted(self._prometheus.now)

    def refused(self, rule: FrozenRule, verify: Verify) -> str | None:
        """Given a rule and what the playbook declares, say why no proof is possible, with the remedy, or None."""
        return proof.refused(rule, verify)

    def baseline(self, rule: FrozenRule, labels: Mapping[str, str], verify: Verify) -> Json:
        """Given an alert before the first effect, return which inputs have data. Raise SourceUnavailable."""
        own = self._firing.own(labels)
        return self._counted(
            lambda: proof.take(self._prometheus, rule, own, verify, lambda expression: self.rules().behind(expression))
        )

    def health(
        self,
        rule: FrozenRule,
        labels: Mapping[str, str],
        verify: Verify,
        baseline: Mapping[str, Any],
        end: float,
        now: float,
    ) -> Health:
        """Given the baseline, the end of the last effect and the present on Prometheus's clock, judge. Never raises.

        The labels judged by are those stored in the baseline: external labels may have changed since.
        """
        return proof.look(self._prometheus, rule, verify, {"labels": dict(labels), **baseline}, end, now)

    def healthy_now(self, rule: FrozenRule, labels: Mapping[str, str]) -> bool:
        """Say whether the condition is proven gone before any effect of ours. Raise SourceUnavailable."""
        own = self._firing.own(labels)
        return self._counted(lambda: proof.healthy_before(self._prometheus, rule, own))

    def alertmanager_alerts(self, receiver: str) -> list[Alert]:
        """Return the alerts Alertmanager lists as active for our receiver. Raise SourceUnavailable if none answers."""
        return self._counted(lambda: self._alertmanagers.active(receiver))

    def _read_rules(self) -> Rules:
        return read_rules(self._prometheus.rule_groups(), self._prometheus.external_labels())

    def _few(self, rule: FrozenRule) -> bool:
        """Count this question, and say whether few enough are asked about the rule to ask for each alert alone."""
        second = math.floor(self._clock.monotonic())
        since, count = self._asked.get(rule.name, (second, 0))
        # a race between threads loses a count, which only means one question more asked alone
        count = count + 1 if second - since <= 1 else 1
        self._asked[rule.name] = (since if second - since <= 1 else second, count)
        return count <= ASKED_ONE_BY_ONE

    def _suppressed_now(
        self, labels: Mapping[str, str], fingerprint: str, fresh_after: float, one_by_one: bool
    ) -> tuple[Suppressed, float]:
        name = labels.get("alertname", "")
        asked_at = self._clock.now()
        if one_by_one and self._suppressed.peek(name, fresh_after) is None:
            known = self._alertmanagers.suppressed_one(labels).of(labels, fingerprint)
            if known is not None:
                return known, asked_at
            known = Suppressed()
        else:
            answer = self._suppressed.get(name, fresh_after, lambda: self._alertmanagers.suppressed_all(name))
            known = answer.value.of(labels, fingerprint) or Suppressed()
            asked_at = answer.asked_at
        # an Alertmanager that does not have the alert (after its own restart) still has its silences
        silences = self._silences.get("silences", fresh_after, self._alertmanagers.silences)
        covering = tuple(silence.id for silence in silences.value if silence.covers(labels))
        return known | Suppressed(covering), min(asked_at, silences.asked_at)

    def _counted(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except SourceUnavailable as error:
            self._note(error)
            raise

    def _note(self, error: SourceUnavailable) -> None:
        self._failed(error.source)
        logger.warning("no evidence", extra={"source": error.source, "problem": error.detail})
