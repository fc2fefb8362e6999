"""What a playbook declares in place of a rule: `when:` says whether it is still needed, `healthy:` proves the rest.

For alerts whose rule the configured Prometheus does not hold, and for what a person asks for without any alert.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.evidence.rules import FrozenRule, Recorded
from remediator.judge import Refusal, prepare_expression
from remediator.model import Frozen


def goes_by_its_own_words(frozen: Frozen) -> bool:
    """Say whether a person asked for it and no rule is to be asked whether it is needed."""
    if not frozen.manual:
        return False
    return not frozen.labels.get("alertname") or (frozen.when is not None and _says_what_proves_it(frozen))


def may_stand_in(frozen: Frozen) -> bool:
    """Say whether the playbook declares enough to act on an alert whose rule is not known: both sides of it."""
    return frozen.when is not None and frozen.verify is not None and frozen.verify.healthy is not None


def stand_in(frozen: Frozen, recorded: Recorded) -> FrozenRule:
    """Given what is frozen and the recorded rules that its `when:` uses, return what stands for the rule.

    Without `when:` its expression is empty: there is nothing to ask, a person's word is all.
    """
    name = frozen.labels.get("alertname") or frozen.playbook
    return FrozenRule(name, "", frozen.when or "", {}, 0.0, 0.0, recorded, declared=True)


def refused(rule: FrozenRule) -> str | None:
    """Given a stand-in, say why its expression cannot be asked, with the remedy, or None."""
    if not rule.expression:
        return None
    found = prepare_expression(rule.expression, rule.recorded)
    return f"when: {found}" if isinstance(found, Refusal) else None


def concerns(element: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    """Given the labels of an element of `when:` and of the alert, say whether it is about this alert.

    It must have the alert's instance, and no label of which the alert has another value.
    """
    instance = alert.get("instance", "")
    if not instance or element.get("instance") != instance:
        return False
    return all(alert.get(name, value) == value for name, value in element.items() if name != "__name__")


def _says_what_proves_it(frozen: Frozen) -> bool:
    return frozen.verify is None or frozen.verify.healthy is not None
