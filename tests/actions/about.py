"""Plans and runs actions for an alert, as the stages do, with every plan and outcome led through JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.model import About, Outcome, Plan, Silencer
from remediator.policy import Policy, Refusal
from selfheal.common.clock import SystemClock

LABELS = {"alertname": "Sick", "instance": "web-1:9976", "job": "web", "replica": "a"}
ABOUT = About({"labels": LABELS, "annotations": {"summary": "ill"}, "starts_at": 1.5, "fingerprint": "abcd"}, 17)


@dataclass
class Hands:
    """One host's policy, and what happened on the way."""

    policy: Policy
    silences: Silencer | None = None
    points: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    reached: Callable[[str], None] | None = None

    def dispatch(self) -> LocalDispatch:
        """Return the dispatch over the present policy."""
        return LocalDispatch(
            lambda: self.policy,
            ACTIONS,
            SystemClock(),
            None,
            self.reached or self.points.append,
            silences=self.silences,
            refused=lambda refusal, by, first: self.refusals.append(refusal),
        )

    def plan(self, action: str, timeout: float = 30.0, about: About = ABOUT, **arguments: Any) -> Plan:
        """Plan an action; the plan went through the store."""
        plan = self.dispatch().plan("web-1", action, arguments, timeout, about=about)
        stored = json.loads(json.dumps({"items": plan.items, "detail": plan.detail}))
        return Plan(tuple(stored["items"]), stored["detail"])

    def run(self, action: str, plan: Plan, timeout: float = 30.0, about: About = ABOUT) -> Outcome:
        """Run a stored plan; the outcome can be stored."""
        outcome = self.dispatch().run("web-1", action, plan, timeout, about=about)
        json.dumps({"effects": outcome.effects, "detail": outcome.detail, "rows": outcome.rows})
        return outcome

    def undo(self, action: str, plan: Plan, outcome: Outcome, timeout: float = 30.0) -> Outcome:
        """Take a stored outcome back."""
        return self.dispatch().undo("web-1", action, plan, outcome, timeout, about=ABOUT)
