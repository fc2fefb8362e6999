"""Answers the stages' questions from the recording, where the daemon asks Prometheus and Alertmanager.

Every question that `Evidence` can be asked is answered here or goes on to the rules as they were read: nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from remediator.errors import SourceUnavailable
from remediator.evidence import Evidence, FrozenRule, Health, Scraping, Trouble
from remediator.evidence.prometheus import Runtime
from remediator.evidence.rules import Rules
from remediator.evidence.scraping import Gap
from remediator.model import Alert, BlastRadius, Group, Json, Live, Verify
from remediator.replay.world import Healing, World
from selfheal.common.clock import Clock

TAKEN_FOR_GRANTED = "recorded"
"""The expression of a rule that is not known; it is asked of nobody."""
FRESH_SAMPLES = 2
"""Samples newer than the action that a proof takes."""

Groups = Callable[[BlastRadius, Mapping[str, str], float], Group]
"""Given a blast radius, the alert's labels and the time, return what is known of its group."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is taken for granted beside the alerts."""

    rules: Rules | None
    """None: each alert has a rule that can be judged."""
    groups: Groups
    up: Callable[[float], int]
    """How many instances there were at a time."""


class Recorded(Evidence):
    """What the recording says at the simulated time, under one assumption about actions."""

    def __init__(self, world: World, known: Known, clock: Clock, healing: Healing, scrape_interval: float) -> None:
        # nothing that could ask anybody is made
        self._world = world
        self._known = known
        self._clock = clock
        self._healing = healing
        self.fresh_after = FRESH_SAMPLES * scrape_interval
        """Seconds until samples are new enough to tell of a change."""
        self.scraping: Scraping = Unbroken(known.up, clock)
        self._refused: dict[tuple[object, ...], str | None] = {}

    def rules(self, fresh_after: float = 0.0) -> Rules:
        """Return the rules as they were read once. Raise SourceUnavailable where there were none to read."""
        del fresh_after
        if self._known.rules is None:
            return Rules({}, {}, frozenset())
        return self._known.rules

    def rule_for(self, alertname: str, labels: Mapping[str, str], generator_url: str) -> FrozenRule | Trouble:
        """Return the alert's rule as it is known, or one that is taken for granted."""
        if self._known.rules is None:
            return FrozenRule(alertname, "", TAKEN_FOR_GRANTED, {}, 0.0, 0.0)
        return self._known.rules.find(alertname, labels, generator_url)

    def refused(self, rule: FrozenRule, verify: Verify | None) -> str | None:
        """Say why no proof is possible, where the rules were read; else it is taken for possible."""
        if self._known.rules is None:
            return None
        key = (rule.key, rule.declared, verify)
        if key not in self._refused:
            self._refused[key] = super().refused(rule, verify)
        return self._refused[key]

    def live(self, rule: FrozenRule, labels: Mapping[str, str], fingerprint: str, fresh_after: float) -> Live:
        """Say whether it is on; nothing is silenced or inhibited."""
        del rule, labels, fresh_after
        on = self._world.on_since(fingerprint) is not None
        return Live(self._clock.now(), on, on, True)

    def active(self, *_: Any, **__: Any) -> NoReturn:
        """Nobody asks for a whole rule here."""
        raise _unasked("active")

    def alerts_of(self, *_: Any, **__: Any) -> NoReturn:
        """Nobody asks by hand here."""
        raise _unasked("alerts_of")

    def ask(self, *_: Any, **__: Any) -> NoReturn:
        """No action runs, so none asks."""
        raise _unasked("ask")

    def suppressed(self, alert: Alert) -> bool:
        """Nothing is silenced or inhibited."""
        del alert
        return False

    def alertmanager_alerts(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is lost on the way here."""
        raise _unasked("alertmanager_alerts")

    def prometheus_now(self) -> float:
        """Return the simulated time: there is one clock."""
        return self._clock.now()

    def group(self, radius: BlastRadius, labels: Mapping[str, str]) -> Group:
        """Return what is known of the group at the simulated time."""
        try:
            return self._known.groups(radius, labels, self._clock.now())
        except SourceUnavailable:
            return Group(None, None, blind=True)

    def baseline(self, rule: FrozenRule, labels: Mapping[str, str], verify: Verify) -> Json:
        """Return the one thing that judging needs here: whose alert it is."""
        del rule, verify
        return {"fingerprint": self._world.fingerprint_of(labels)}

    def health(
        self,
        rule: FrozenRule,
        labels: Mapping[str, str],
        verify: Verify,
        baseline: Mapping[str, Any],
        end: float,
        now: float,
    ) -> Health:
        """Say whether two samples since the action show it healthy: always, or where the recording says so."""
        del rule, labels, verify
        well = end if self._healing is Healing.ALL else self._world.off_since(baseline["fingerprint"])
        healthy = well is not None and now >= max(end, well) + self.fresh_after
        return Health(healthy, True, False, None, "recorded", {"now": now})

    def still_sick(
        self, rule: FrozenRule, verify: Verify, baseline: Mapping[str, Any], end: float, now: float
    ) -> bool | None:
        """Say whether what was done so far healed it; None until two samples came since."""
        if now < end + self.fresh_after:
            return None
        return not self.health(rule, {}, verify, baseline, end, now).healthy

    def healthy_now(self, rule: FrozenRule, labels: Mapping[str, str]) -> bool:
        """It is asked where it is off: that is all the recording can tell."""
        del rule, labels
        return True

    def before(self, *_: Any, **__: Any) -> None:
        """No measured quantity is recorded."""

    def since(self, *_: Any, **__: Any) -> None:
        """No measured quantity is recorded."""


class Unbroken(Scraping):
    """A monitoring without restarts and holes: what it was like is not recorded."""

    def __init__(self, up: Callable[[float], int], clock: Clock) -> None:
        # nothing that could ask anybody is made
        self._count = up
        self._now = clock.now

    def since(self) -> Runtime:
        """Neither a start nor a reload is known."""
        return Runtime(None, None)

    def gap(self, labels: Mapping[str, str], interval: float, allowed: int) -> Gap:
        """No hole is known."""
        del labels, interval, allowed
        return Gap(0.0, "")

    def up(self) -> int:
        """Return how many instances there were."""
        return self._count(self._now())


def members(instances: Sequence[Mapping[str, str]]) -> Groups:
    """Given the labels of all alerts of the recording, return what takes their instances for all that there are."""
    counted: dict[tuple[tuple[str, str], ...], int] = {}

    def known(radius: BlastRadius, labels: Mapping[str, str], at: float) -> Group:
        del at
        key = tuple((label, labels.get(label, "")) for label in radius.by)
        if key not in counted:
            fitting = {
                each["instance"]
                for each in instances
                if each.get("instance") and all(each.get(label, "") == value for label, value in key)
            }
            counted[key] = len(fitting)
        return Group(counted[key], None if radius.quorum is None else True)

    return known


def _unasked(what: str) -> RuntimeError:
    return RuntimeError(f"replay has no answer to {what}: nothing may be asked of anybody")
