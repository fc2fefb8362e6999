"""What actions see of the alert, their own silences, and their marks: through the stages, on a clock that stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.manual import run_playbook
from remediator.model import Context, Effect, Json, Outcome, Plan
from remediator.playbooks.loader import load_playbook
from remediator.playbooks.match import LONGEST_ANNOTATION, MOST_ANNOTATIONS, Site, freeze
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import INSTANCE, Act, Bench, Sources, alert, playbook


@dataclass
class Looking(Act):
    """An action that remembers what it is told of the alert, each time."""

    name: str = "test.look"
    seen: list[tuple[str, Any, int]] = field(default_factory=list)

    def plan(self, arguments: Mapping[str, Any], context: Context) -> Plan:
        self.seen.append(("plan", context.alert, context.remediation))
        return super().plan(arguments, context)

    def run(self, plan: Plan, context: Context) -> Outcome:
        self.seen.append(("run", context.alert, context.remediation))
        return super().run(plan, context)

    def undo(self, _plan: Plan, outcome: Outcome, context: Context) -> Outcome:
        self.seen.append(("undo", context.alert, context.remediation))
        return Outcome(True, outcome.effects)


@dataclass
class Silencing(Act):
    """An action that says that it made a silence."""

    name: str = "test.silence"
    effect: Effect = Effect.REVERSIBLE
    made: str = "s1"

    def run(self, plan: Plan, context: Context) -> Outcome:
        super().run(plan, context)
        effect: Json = {"kind": "silence", "id": self.made}
        return Outcome(True, (effect,))


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = [alert()]
    return sources


@pytest.fixture
def look() -> Looking:
    return Looking()


@pytest.fixture
def silence() -> Silencing:
    return Silencing()


@pytest.fixture
def bench(
    tmp_path: Path, sources: Sources, clock: ManualClock, look: Looking, silence: Silencing, act: Act
) -> Iterator[Bench]:
    mark: Any = ACTIONS["annotate.mark"]
    made = Bench(tmp_path, sources, clock, look, silence, act, mark)
    yield made
    made.stop()


FIRST = {"summary": "as it was delivered first"}


def test_an_action_sees_the_alert_as_it_was_frozen_whatever_is_delivered_meanwhile(
    bench: Bench, look: Looking, act: Act
) -> None:
    def fail() -> None:
        bench.deliver(replace(alert(), annotations={"summary": "changed"}, starts_at=1.0), rest=False)
        raise ValueError("so that it is undone")

    look.while_planning = lambda: bench.deliver(replace(alert(), annotations={"summary": "new"}), rest=False)
    act.idempotent, act.while_running = True, fail
    bench.start(playbook("{action: test.look, undo: true}, {action: test.act}"))

    bench.deliver(replace(alert(), annotations=FIRST))

    frozen = {
        "labels": dict(alert().labels),
        "annotations": FIRST,
        "starts_at": alert().starts_at,
        "fingerprint": alert().fingerprint,
    }
    number = int(bench.remediations()[0]["id"])
    assert {what for what, _, _ in look.seen} == {"plan", "run", "undo"}
    assert [(told, by) for _, told, by in look.seen] == [(frozen, number)] * len(look.seen)


def test_who_only_tries_it_out_shows_the_same_alert_and_no_number(bench: Bench, look: Looking) -> None:
    app = bench.start(playbook("{action: test.look}"))

    labels = {"item": "a", "instance": INSTANCE}
    run_playbook(app.parts, "heal", labels, "ada", dry_run=True)

    ((what, told, number),) = look.seen
    assert (what, number) == ("plan", 0)
    assert told["labels"] == {"alertname": "Sick", **labels}


def test_few_and_short_annotations_are_frozen(tmp_path: Path) -> None:
    path = tmp_path / "heal.yml"
    path.write_text(playbook("{action: notify.log, with: {message: x}}"))
    many = {f"a{number:03}": "x" * 10_000 for number in range(100)}

    frozen = freeze(load_playbook(path), replace(alert(), annotations=many), Site({"h1": (INSTANCE,)}, ACTIONS))

    assert len(frozen.annotations) == MOST_ANNOTATIONS
    assert set(frozen.annotations.values()) == {"x" * LONGEST_ANNOTATION + "…"}


@pytest.mark.parametrize(("made", "ran"), [("s1", 1), ("s2", 0)], ids=["its own", "somebody else's"])
def test_its_own_silence_keeps_no_later_step_back(
    bench: Bench, sources: Sources, silence: Silencing, act: Act, made: str, ran: int
) -> None:
    bench.start(playbook("{action: test.silence}, {action: test.act}"))
    silence.made = made

    def quiet() -> None:
        sources.silenced = [alert()]

    silence.while_running = quiet
    bench.deliver(alert())

    assert len(silence.ran) == 1
    assert len(act.ran) == ran


def test_a_mark_is_on_the_page_of_metrics_once_its_step_is_done(bench: Bench, clock: ManualClock) -> None:
    bench.start(playbook('{action: annotate.mark, with: {text: "mending {{ $labels.item }}"}}, {action: test.act}'))
    labels = {"playbook": "heal", "target": "h1/item:a", "text": "mending a"}
    assert bench.value("selfheal_annotation_timestamp_seconds", **labels) == 0.0

    bench.deliver(alert())

    assert bench.value("selfheal_annotation_timestamp_seconds", **labels) == pytest.approx(clock.now())
    clock.advance(4_000)
    assert bench.value("selfheal_annotation_timestamp_seconds", **labels) == 0.0
