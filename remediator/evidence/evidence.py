"""The questions the stages put, answered from shared, short-lived answers, so that a storm of alerts asks few."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence import between, declared, group, proof, samples
from remediator.evidence.alertmanager import Alertmanagers, Suppressed
from remediator.evidence.firing import ANSWER_AGE, Firing, Seen
from remediator.evidence.prometheus import Prometheus
from remediator.evidence.proof import Health
from remediator.evidence.rules import FrozenRule, Rules, Trouble, read_rules
from remediator.evidence.samples import Samples
from remediator.evidence.scraping import Scraping
from remediator.evidence.shared import Shared
from remediator.evidence.suppression import Suppression
from remediator.judge import Witness
from remediator.model import Alert, BlastRadius, Frozen, Group, Json, Live, Reason, Verify
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
        ignore_labels = tuple(ignore_labels)
        self._alertmanagers = Alertmanagers(alertmanagers, clock, ignore_labels)
        self._clock = clock
        self.scraping = Scraping(self._prometheus, clock)
        self._firing = Firing(self._prometheus, clock, self.rules, ignore_labels)
        self._failed = failed
        self._rules: Shared[Rules] = Shared(clock, RULES_AGE)
        self._suppression = Suppression(self._alertmanagers, clock)
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

    def question(self, frozen: Frozen) -> FrozenRule | Trouble:
        """Given what is frozen, return what tells whether it is still needed: the alert's rule, or what stands in.

        Without a rule, and without both `when:` and `healthy:`, it is trouble: `needs_declared_proof`.
        """
        if declared.goes_by_its_own_words(frozen):
            return self._stand_in(frozen)
        found = self.rule_for(frozen.labels.get("alertname", ""), frozen.labels, frozen.generator_url)
        if not isinstance(found, Trouble) or found.reason is not Reason.RULE_UNKNOWN:
            return found
        if not declared.may_stand_in(frozen):
            return Trouble(Reason.NEEDS_DECLARED_PROOF, found.detail)
        return self._stand_in(frozen)

    def _stand_in(self, frozen: Frozen) -> FrozenRule | Trouble:
        try:
            return declared.stand_in(frozen, self.rules().behind(frozen.when) if frozen.when else {})
        except SourceUnavailable as error:
            self._note(error)
            return Trouble(Reason.BLIND, error.detail)

    def alerts_of(self, labels: Mapping[str, str]) -> list[dict[str, str]]:
        """Given some labels of alerts, return all labels of those that Prometheus has now. Raise SourceUnavailable."""
        return self._counted(lambda: self._firing.having(labels))

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
            if rule.declared:
                seen = self._firing.look_declared(rule, labels, fresh_after)
            else:
                seen = self._firing.look(rule, labels, fresh_after, one_by_one)
            asked_at = seen.asked_at
            known = seen.active or rule.declared
            was_there = True if known else self._firing.was_there(labels, fresh_after, one_by_one)
            if not was_there:
                differ = self._firing.differing(rule, labels, seen.firing, fresh_after)
        except SourceUnavailable as error:
            self._note(error)
            seen = None
            blind.append("prometheus")
        try:
            suppressed, since = self._suppression.of(labels, fingerprint, fresh_after, one_by_one)
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
            if rule.declared:
                return self._firing.look_declared(rule, labels, fresh_after).active
            return self._firing.active(rule, labels, fresh_after)
        except SourceUnavailable as error:
            self._note(error)
            return None

    def ask(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Given PromQL, return labels and value of each element now, for who only looks. Raise SourceUnavailable."""
        found = self._counted(lambda: self._prometheus.query(expression))
        return [(element.labels, element.value) for element in found]

    def prometheus_now(self) -> float:
        """Return Prometheus's own time. Raise SourceUnavailable."""
        return self._counted(self._prometheus.now)

    def group(self, radius: BlastRadius, labels: Mapping[str, str]) -> Group:
        """Given a blast radius and the alert, return what is known of its group, asked now. Never raises."""
        try:
            own = self._firing.own(labels)
            return group.ask(self._prometheus, radius, {label: own[label] for label in radius.by if label in own})
        except SourceUnavailable as error:
            self._note(error)
            return Group(None, None, blind=True)

    def refused(self, rule: FrozenRule, verify: Verify | None) -> str | None:
        """Given a rule and what the playbook declares, say why no proof is possible, with the remedy, or None."""
        if rule.declared and (problem := declared.refused(rule)) is not None:
            return problem
        return None if verify is None else proof.refused(rule, verify)

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

    def before(self, wanted: Sequence[Witness], at: float, scrape_interval: float) -> Samples | None:
        """Given quantities and when the effects began, return the minutes before; None if Prometheus answers not."""
        return self._if_answered(lambda: samples.look_back(self._prometheus, wanted, at, scrape_interval))

    def since(self, wanted: Sequence[Witness], span: tuple[float, float], scrape_interval: float) -> Samples | None:
        """Given quantities and a span on Prometheus's clock, return it of each; None if Prometheus answers not."""
        return self._if_answered(lambda: samples.look_on(self._prometheus, wanted, span, scrape_interval))

    def still_sick(
        self, rule: FrozenRule, verify: Verify, baseline: Mapping[str, Any], end: float, now: float
    ) -> bool | None:
        """Given the baseline and the end of the last effect, say whether it is sick still (True), proven healed (False)
        or neither can be told yet (None). Never raises.
        """
        return between.still_sick(self._prometheus, rule, verify, baseline, end, now)

    def healthy_now(self, rule: FrozenRule, labels: Mapping[str, str]) -> bool:
        """Say whether the condition is proven gone before any effect of ours. Raise SourceUnavailable."""
        if rule.declared:
            # that `when:` returns nothing is no proof, and `healthy:` is judged after effects only
            return False
        own = self._firing.own(labels)
        return self._counted(lambda: proof.healthy_before(self._prometheus, rule, own))

    def alertmanager_alerts(self, receiver: str) -> list[Alert]:
        """Return the alerts Alertmanager lists as active for our receiver. Raise SourceUnavailable if none answers."""
        return self._counted(lambda: self._alertmanagers.active(receiver))

    def suppressed(self, alert: Alert) -> bool:
        """Say whether an alert is silenced or inhibited, asked just now of all with its name. Raise SourceUnavailable.

        One answer serves many alerts: for those who look through thousands.
        """
        asked = self._counted(
            lambda: self._suppression.of(alert.labels, alert.fingerprint, self._clock.now() - ANSWER_AGE, False)
        )
        return bool(asked[0].silenced_by or asked[0].inhibited_by)

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

    def _if_answered(self, ask: Callable[[], T]) -> T | None:
        try:
            return self._counted(ask)
        except SourceUnavailable:
            return None

    def _counted(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except SourceUnavailable as error:
            self._note(error)
            raise

    def _note(self, error: SourceUnavailable) -> None:
        self._failed(error.source)
        logger.warning("no evidence", extra={"source": error.source, "problem": error.detail})
