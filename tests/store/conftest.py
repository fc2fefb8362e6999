"""A real store on a real disk, and short ways to make what stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.model import Alert, Effect, Frozen, FrozenStep, Limits, Mode, Plan, Rate, State, Target, Verify
from remediator.store import Store, Tx
from selfheal.common.clock import ManualClock


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state", clock)
    yield opened
    opened.close()


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    def make(fingerprint: str = "f1", **changes: Any) -> Alert:
        values: dict[str, Any] = {
            "status": "firing",
            "labels": {"alertname": "Sick", "instance": "h1:9100"},
            "annotations": {"summary": "sick"},
            "starts_at": 1_699_999_990.0,
            "fingerprint": fingerprint,
            "generator_url": "http://prometheus/graph?g0.expr=up",
        }
        return Alert(**(values | changes))

    return make


@pytest.fixture
def make_frozen() -> Callable[..., Frozen]:
    def make(name: str = "web", effect: Effect = Effect.DESTRUCTIVE, **changes: Any) -> Frozen:
        step = FrozenStep("process.terminate", 1, effect, True, {"group": name}, 30.0)
        values: dict[str, Any] = {
            "playbook": "restart",
            "digest": "d" * 64,
            "mode": Mode.AUTO,
            "target": Target("h1", "process_group", name),
            "lock_key": "h1",
            "labels": {"alertname": "Sick", "instance": "h1:9100"},
            "starts_at": 1_699_999_990.0,
            "fingerprint": "f1",
            "generator_url": "",
            "limits": Limits(rate=(Rate(2, 3_600.0),)),
            "host_rates": (Rate(5, 600.0),),
            "steps": (step, step),
            "verify": Verify(),
        }
        return Frozen(**(values | changes))

    return make


@pytest.fixture
def add(store: Store, make_alert: Callable[..., Alert], make_frozen: Callable[..., Frozen]) -> Callable[..., int]:
    """Store a remediation (with an occurrence of its own unless one is given) and lead it to a state."""

    def make(*states: State, now: float = 1_000.0, occurrence: int | None = None, **frozen: Any) -> int:
        def work(tx: Tx) -> int:
            count = len(tx.list_alerts(10_000)["items"])
            opened = occurrence if occurrence is not None else tx.open_occurrence(make_alert(f"made-{count}"), now)[0]
            id = tx.add_remediation(opened, make_frozen(**frozen), now)
            for state in states:
                tx.move(id, state, None, now)
            return id

        return store.write(work)

    return make


@pytest.fixture
def plan() -> Plan:
    return Plan(({"kind": "process", "pid": 7, "start_ticks": 70, "group": "web"},), {"why": "rss"})
