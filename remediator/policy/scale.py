"""Templates of systemd of which more or fewer instances may run: `worker@.service` as worker@1, worker@2, and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remediator.policy.refusals import Door
from remediator.policy.units import is_never, name_problem

if TYPE_CHECKING:
    from remediator.policy import Policy

_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_TEMPLATE = re.compile(r"[^@]+@\.service")


@dataclass(frozen=True, slots=True)
class Scale:
    """How many instances of a template may run, and how fast that may change."""

    template: str
    min: int
    max: int
    step: int = 1
    """Instances that one run may start or stop."""
    cooldown: float = 0.0
    """Seconds after which, counted from the last start or stop of an instance, the number may change again."""

    def instance(self, number: int) -> str:
        """Return the unit of one instance."""
        return self.template.replace("@.", f"@{number}.")

    def number(self, unit: str) -> int | None:
        """Return which instance a unit is, or None if it is none of the numbered ones."""
        before, _, after = self.template.partition("@")
        name = unit.removeprefix(f"{before}@").removesuffix(after)
        return int(name) if _NUMBER.fullmatch(name) and self.instance(int(name)) == unit else None


def template_problem(template: str) -> str | None:
    """Given the name of a template, return what is wrong with it, or None."""
    if not _TEMPLATE.fullmatch(template) or name_problem(template) is not None:
        return f"{template[:80]!r} is no template of services, as worker@.service is"
    if is_never(template) or is_never(template.replace("@.", "@1.")):
        return f"{template!r} keeps this host reachable or watched"
    return None


def scaling(policy: Policy, template: str) -> Scale:
    """Given a template, return how it may be scaled. Raise Refused if the policy does not list exactly that one."""
    if policy.problem is not None:
        raise policy.refused(Door.SHELL, str(policy.problem))
    for scale in policy.scale:
        if scale.template == template:
            problem = template_problem(template)
            if problem is not None:
                raise policy.refused(Door.SHELL, f"{problem}; it is never touched")
            return scale
    what = f"template {template[:80]!r} is not permitted; list it under scale in {policy.source}"
    raise policy.refused(Door.SHELL, what)


def may_scale(policy: Policy, unit: str, verb: str) -> None:
    """Given an instance and `start` or `stop`, return if that belongs to a permitted scaling. Raise Refused if not."""
    name, at, rest = unit.partition("@")
    scale = scaling(policy, f"{name}@.{rest.rpartition('.')[2]}" if at else unit)
    number = scale.number(unit)
    if number is None or verb not in ("start", "stop"):
        what = f"{verb!r} of {unit[:80]!r} is no scaling; only numbered instances are started and stopped"
        raise policy.refused(Door.SHELL, what)
    if number > scale.max and verb == "start":
        raise policy.refused(Door.SHELL, f"instance {number} of {scale.template} is above its max of {scale.max}")
