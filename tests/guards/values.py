"""One decision in which everything is well: what a table test of a guard changes."""

from __future__ import annotations

from remediator.model import Effect, Facts, Frozen, FrozenStep, History, Limits, Live, Mode, Target

NOW = 1_700_000_000.0
FROZEN = Frozen(
    playbook="restart_worker",
    digest="d",
    mode=Mode.AUTO,
    target=Target("web-1", "process_group", "worker"),
    lock_key="host/web-1",
    labels={"alertname": "WorkerLeaks", "instance": "web-1:9976", "job": "node"},
    starts_at=NOW - 60,
    fingerprint="f",
    generator_url="",
    limits=Limits(cooldown=600, hold_at_most=900),
    host_rates=(),
    steps=(FrozenStep("process.terminate", 1, Effect.DESTRUCTIVE, False, {}, 30.0),),
    verify=None,
)
FACTS = Facts(
    asked_at=NOW,
    delivered_at=NOW - 1,
    pause=None,
    hosts=("web-1",),
    live=Live(asked_at=NOW, firing=True, active=True, seen_since_delivery=True),
    rule_problem=None,
    plan=None,
    policy_refusal=None,
)
HISTORY = History(live_duplicate=None, lock_holder=None, last_effect_at=None)
