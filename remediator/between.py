"""Between two steps: has what was done already healed it? Asked only for a step marked `unless_healed`."""

from __future__ import annotations

from collections.abc import Sequence

from remediator.errors import SourceUnavailable
from remediator.evidence import FrozenRule
from remediator.model import Answer, GuardAnswer, Reason, Remediation, StepRow, StepState
from remediator.parts import Parts

_GUARD = "unless_healed"


def between_steps(parts: Parts, remediation: Remediation, rows: Sequence[StepRow]) -> GuardAnswer | None:
    """Given a remediation before a step marked `unless_healed`, return None if its condition is judged to hold still.

    Else deny with `healed_already`, or hold with `not_judged`: there are not yet two samples newer than the step
    before, or they tell neither. Without a step before there is nothing that could have healed it.
    """
    before = next((row for row in reversed(rows) if row.state is not StepState.SKIPPED), None)
    if before is None:
        return None
    sick = _still_sick(parts, remediation, before)
    if sick is None:
        return GuardAnswer(_GUARD, Answer.HOLD, Reason.NOT_JUDGED)
    return None if sick else GuardAnswer(_GUARD, Answer.DENY, Reason.HEALED_ALREADY)


def _still_sick(parts: Parts, remediation: Remediation, before: StepRow) -> bool | None:
    spec, proof = remediation.frozen.verify, remediation.proof
    if spec is None or "baseline" not in proof:
        return None
    try:
        now = parts.evidence.prometheus_now()
        end = _end_of(parts, remediation, before, now)
        return parts.evidence.still_sick(FrozenRule.from_json(proof["rule"]), spec, proof["baseline"], end, now)
    except SourceUnavailable:
        return None


def _end_of(parts: Parts, remediation: Remediation, before: StepRow, now: float) -> float:
    """Return when the step before had ended at the latest, on Prometheus's clock; kept when it is first asked for."""
    kept = remediation.proof.get("between")
    if kept is not None and kept["step"] == before.id:
        return float(kept["end"])
    proof = remediation.proof | {"between": {"step": before.id, "end": now}}
    parts.record(remediation.frozen.steps, lambda tx: tx.set_proof(remediation.id, proof))
    return now
