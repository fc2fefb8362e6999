"""Remediations in a real store that begin and end as a test says."""

from __future__ import annotations

import itertools
from dataclasses import replace

from remediator.model import Alert, Effect, Plan, Reason, State, StepState, Target, Verdict
from remediator.store import Store
from selfheal.common.clock import Clock
from tests.guards.values import FROZEN

_numbers = itertools.count()
PLAN = Plan(({"kind": "command", "service": "s", "verb": "restart"},))


def remediate(
    store: Store, clock: Clock, playbook: str = "heal", target: str = "a", *, begin: bool = True,
    effect: Effect = Effect.DESTRUCTIVE,
) -> int:  # fmt: skip
    """Store a remediation of an occurrence of its own, running after its step unless `begin` is false."""
    number = next(_numbers)
    step = replace(FROZEN.steps[0], effect=effect)
    frozen = replace(
        FROZEN, playbook=playbook, target=Target("h1", "item", target), steps=(step,), fingerprint=f"f{number}"
    )
    alert = Alert("firing", {"alertname": "Sick", "instance": "h1:9100"}, {}, clock.now(), f"f{number}")

    def store_it(tx):  # type: ignore[no-untyped-def]
        now = clock.now()
        occurrence, _ = tx.open_occurrence(alert, now)
        made = tx.add_remediation(occurrence, frozen, now)
        if begin:
            tx.begin_trial(made, playbook, now)
            tx.move(made, State.RUNNING, Reason.ALLOWED, now)
            step_id = tx.store_intent(made, 0, PLAN, now)
            tx.store_result(step_id, StepState.DONE, None, now)
        return made

    return int(store.write(store_it))


def end(store: Store, clock: Clock, number: int, state: State, verdict: Verdict | None = None) -> None:
    """Let a running or watching remediation come to that state."""

    def store_it(tx):  # type: ignore[no-untyped-def]
        now = clock.now()
        found = tx.remediation(number)
        if found.state is State.RUNNING and state not in (State.FAILED, State.CANCELLED):
            tx.move(number, State.VERIFYING, Reason.ALLOWED, now)
        tx.move(number, state, None, now, verdict=verdict)

    store.write(store_it)
