"""The shape of `scale:` in a policy file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from remediator.policy.scale import Scale, template_problem
from selfheal.common.documents import Duration, Section, told

MOST_INSTANCES = 1_000
DEFAULT_COOLDOWN = 60.0


def _template(value: str) -> str:
    problem = template_problem(value)
    if problem is not None:
        told(problem, "name a template of yours, with @ and nothing behind it: worker@.service")
    return value


class _ScaleRule(Section):
    min: Annotated[int, Field(ge=0, le=MOST_INSTANCES)]
    max: Annotated[int, Field(ge=1, le=MOST_INSTANCES)]
    step: Annotated[int, Field(ge=1, le=MOST_INSTANCES)] = 1
    cooldown: Duration = DEFAULT_COOLDOWN

    @model_validator(mode="after")
    def _is_a_range(self) -> _ScaleRule:
        if self.min > self.max:
            told(f"min {self.min} is above max {self.max}", "mend one of them")
        return self


WrittenScale = dict[Annotated[str, AfterValidator(_template)], _ScaleRule]


def scale(written: WrittenScale) -> tuple[Scale, ...]:
    """Given the section as it was read, return its values."""
    return tuple(Scale(template, rule.min, rule.max, rule.step, rule.cooldown) for template, rule in written.items())
