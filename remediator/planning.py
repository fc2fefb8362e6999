"""What a remediation's next step would do: the one way from a frozen step to its plan, or why there is none."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from remediator.errors import Refused
from remediator.model import FrozenStep, Json, Plan, Reason, Remediation, about_of
from remediator.parts import Parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """A step's plan (the dry run), or what is in its way."""

    plan: Plan | None = None
    problem: Reason | None = None
    """`action_changed`, `policy` or `step_failed`."""
    refused: str | None = None
    """The policy's own words, where it is the policy."""
    detail: Json = field(default_factory=dict)


def same_action(parts: Parts, step: FrozenStep) -> bool:
    """Say whether the action is still the one whose arguments were frozen."""
    action = parts.actions.get(step.action)
    return action is not None and action.version == step.version


def plan_next(parts: Parts, remediation: Remediation, stage: str) -> Planned:
    """Given a remediation, plan its next step; what breaks in an action's planning is counted under `stage`."""
    frozen = remediation.frozen
    step = frozen.steps[remediation.position]
    if not same_action(parts, step):
        return Planned(problem=Reason.ACTION_CHANGED, detail={"action": step.action})
    about = about_of(frozen, remediation.id)
    try:
        return Planned(parts.dispatch.plan(frozen.target.host, step.action, step.arguments, step.timeout, about=about))
    except Refused as error:
        return Planned(problem=Reason.POLICY, refused=error.detail)
    except Exception as error:
        # the border to foreign code: an alert must have its fate, and a remediation its end, however planning breaks
        logger.exception("planning broke", extra={"action": step.action, "playbook": frozen.playbook})
        parts.counters.count("stage_errors", stage=stage)
        detail = {"action": step.action, "error": f"{error.__class__.__name__}: {error}"}
        return Planned(problem=Reason.STEP_FAILED, detail=detail)
