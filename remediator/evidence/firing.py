"""Does an alert fire, and what did Prometheus have of it? Asked alone for a few, of the whole rule for many."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from remediator.errors import SourceUnavailable
from remediator.evidence.declared import concerns
from remediator.evidence.prometheus import Prometheus
from remediator.evidence.rules import FrozenRule, Rules
from remediator.evidence.shared import Answered, Shared
from remediator.judge import alert_keys, left_out_of, narrowed_text, older_texts, still_firing
from remediator.judge.flow import drop, narrow_selector
from remediator.judge.parse import is_label_name
from remediator.judge.printer import show
from remediator.judge.tree import Matcher, Selector
from selfheal.common.clock import Clock

ANSWER_AGE = 1.0
STARTED_AGE = 10.0
BEFORE_DELIVERY = 60.0
_SURE = ("alertname", "instance")
"""Labels that tell which alert it is about; whoever rewrites these tells of another."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What Prometheus said of one alert."""

    asked_at: float
    firing: bool
    active: bool


class Firing:
    """Asks one Prometheus; `ignored` labels are left out of every comparison. Methods raise SourceUnavailable."""

    def __init__(
        self, prometheus: Prometheus, clock: Clock, rules: Callable[[], Rules], ignored: Iterable[str]
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._rules = rules
        self._ignored = frozenset(ignored)
        self._keys: Shared[frozenset[int]] = Shared(clock, ANSWER_AGE)
        self._started: Shared[tuple[float | None]] = Shared(clock, STARTED_AGE)
        self._old: Shared[bool] = Shared(clock, ANSWER_AGE)
        self._caught_up: set[object] = set()

    def own(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Given an alert's labels, return those of its series: without external and ignored ones."""
        return drop(labels, tuple(self._ignored | self._rules().external_labels))

    def look(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float, one_by_one: bool) -> Seen:
        """Say whether the rule's expression holds for the alert and `ALERTS` has it, asked at `fresh_after` or later.

        Raise SourceUnavailable if it does not answer, and if it would answer from samples of before its last start:
        what was sick when it was stopped may be well by now.
        """
        fires, listed = left_out_of(rule.labels, self._ignored), left_out_of((), self._ignored)
        whole = ("fires", rule.key), ("listed", rule.name)
        if one_by_one and any(self._keys.peek(key, fresh_after) is None for key in whole):
            seen = self._look_alone(rule, labels, fresh_after)
        else:
            firing = self._keys.get(whole[0], fresh_after, lambda: self._prometheus.keys(rule.expression, fires))
            active = self._listed(rule, fresh_after)
            seen = Seen(
                min(firing.asked_at, active.asked_at),
                not firing.value.isdisjoint(self._alert_keys(labels, fires)),
                not active.value.isdisjoint(self._alert_keys(labels, listed)),
            )
        if seen.firing and self._from_before_the_start(rule, labels, fresh_after):
            raise SourceUnavailable("prometheus", f"alert {rule.name}: no scrape since Prometheus started")
        return seen

    def look_declared(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float) -> Seen:
        """Say whether what stands in for a rule returns something about the alert; `ALERTS` knows nothing of it."""
        asked_at = self._clock.now()
        if not rule.expression:
            return Seen(asked_at, True, True)
        holds = any(concerns(element.labels, labels) for element in self._prometheus.query(rule.expression))
        only = {"instance": labels.get("instance", "")}
        if holds and self._from_before_the_start(rule, only, fresh_after):
            raise SourceUnavailable("prometheus", f"when: of {rule.name}: no scrape since Prometheus started")
        return Seen(asked_at, holds, holds)

    def active(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float) -> bool:
        """Say whether `ALERTS` has the alert, from one answer about the whole rule."""
        listed = left_out_of((), self._ignored)
        return not self._listed(rule, fresh_after).value.isdisjoint(self._alert_keys(labels, listed))

    def having(self, labels: Mapping[str, str]) -> list[dict[str, str]]:
        """Given some labels, return all labels of the alerts that `ALERTS` has with them, once each."""
        answer = self._prometheus.query(show(_alerts(labels)))
        found = [drop(element.labels, ("__name__", "alertstate")) for element in answer]
        return list({tuple(sorted(each.items())): each for each in found}.values())

    def was_there(self, labels: Mapping[str, str], delivered_at: float, one_by_one: bool) -> bool:
        """Say whether `ALERTS` had a sample of the alert since one minute before the delivery."""
        listed = left_out_of((), self._ignored)
        window = f"[{self._minutes_since(delivered_at)}m]"
        if one_by_one:
            return self._holds(f"last_over_time({show(_alerts(self.own(labels)))}{window})", labels, listed)
        past = f"last_over_time({show(_alerts({'alertname': labels.get('alertname', '')}))}{window})"
        keys = self._keys.get(("past", past), 0.0, lambda: self._prometheus.keys(past, listed))
        return not keys.value.isdisjoint(self._alert_keys(labels, listed))

    def differing(
        self, rule: FrozenRule, labels: Mapping[str, str], firing: bool, delivered_at: float
    ) -> tuple[str, ...]:
        """Return the names of labels in which Prometheus has this very alert otherwise, if any.

        What the rule adds may differ and, unless its expression is `firing` for these very labels, so may a label that
        only one of both has: relabelling on the way adds and drops them. Other alerts of the rule are not this one.
        """
        ours = self.own(labels)
        if firing and all(ours.get(name) == text for name, text in rule.labels.items()):
            return ()
        kept = [name for name in ours if name not in rule.labels and is_label_name(name)]
        same = _alerts({name: ours[name] for name in kept if firing or name in _SURE})
        alike = (Matcher(name, "=~", f"{re.escape(ours[name])}|") for name in kept if not (firing or name in _SURE))
        past = f"{show(replace(same, matchers=(*same.matchers, *alike)))}[{self._minutes_since(delivered_at)}m]"
        candidates = []
        for found in self._prometheus.query(f"last_over_time({past})"):
            theirs = drop(self.own(found.labels), ("alertstate",))
            differ = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
            added = theirs.keys() ^ ours.keys() if not firing else frozenset()
            if all(name in rule.labels or name in added for name in differ):
                candidates.append(tuple(differ))
        return min(candidates, key=lambda names: (len(names), names), default=())

    def _listed(self, rule: FrozenRule, fresh_after: float) -> Answered[frozenset[int]]:
        alerts = show(_alerts({"alertname": rule.name}))
        listed = left_out_of((), self._ignored)
        return self._keys.get(("listed", rule.name), fresh_after, lambda: self._prometheus.keys(alerts, listed))

    def _look_alone(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float) -> Seen:
        asked_at = self._clock.now()
        fires, listed = left_out_of(rule.labels, self._ignored), left_out_of((), self._ignored)
        own = self.own(labels)
        narrowed = narrowed_text(rule.expression, drop(own, tuple(fires)))
        firing = narrowed is not None and self._holds(narrowed, labels, fires)
        if not firing:
            # a narrowed question that comes back empty proves nothing: ask the whole, shared with the other rows
            keys = self._keys.get(
                ("fires", rule.key), fresh_after, lambda: self._prometheus.keys(rule.expression, fires)
            )
            firing = not keys.value.isdisjoint(self._alert_keys(labels, fires))
            asked_at = min(asked_at, keys.asked_at)
        return Seen(asked_at, firing, self._holds(show(_alerts(own)), labels, listed))

    def _holds(self, query: str, labels: Mapping[str, str], left_out: frozenset[str]) -> bool:
        return still_firing(query, labels, left_out, self._prometheus.query, self._rules().external_labels)

    def _alert_keys(self, labels: Mapping[str, str], left_out: frozenset[str]) -> frozenset[int]:
        return alert_keys(labels, left_out, self._rules().external_labels)

    def _from_before_the_start(self, rule: FrozenRule, labels: Mapping[str, str], fresh_after: float) -> bool:
        """Say whether the alert's own answer depends on samples of before Prometheus's start: they live on for minutes.

        What ended before and is not read for the alert's own labels holds nothing back.
        """
        started = self._started.get("started", 0.0, lambda: (self._prometheus.started(),)).value[0]
        if started is None or (rule.key, started) in self._caught_up:
            return False
        every = [f"count({older})" for older in older_texts(rule.text, rule.recorded, {}, started)]
        # one answer for all alerts of the rule; only if something is old each asks for its own
        old = self._old.get((rule.key, started), fresh_after, lambda: bool(every and self._any(" or ".join(every))))
        if not old.value:
            # nothing can become older than the start again
            self._caught_up.add((rule.key, started))
            return False
        return any(map(self._any, older_texts(rule.text, rule.recorded, self.own(labels), started)))

    def _any(self, query: str) -> bool:
        return bool(self._prometheus.query(query))

    def _minutes_since(self, delivered_at: float) -> int:
        # whole minutes, so that rows of one storm share the question
        return math.ceil((max(self._clock.now() - delivered_at, 0.0) + BEFORE_DELIVERY) / 60)


def _alerts(labels: Mapping[str, str]) -> Selector:
    """Return the selector of `ALERTS` with these labels."""
    return narrow_selector(Selector("ALERTS"), labels)
