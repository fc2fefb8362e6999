"""Monitoring is stopped and started: alerts are stored with that fate, nothing is asked or done; and it is kept who."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator import monitoring_control
from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.web.gauges import GAUGES, QUESTION, HostGauges
from selfheal.common.clock import ManualClock
from selfheal.common.keys import Role
from tests.pipeline.sources import Act, Bench, alert, playbook
from tests.web.program import Program, running

HEAL = playbook("{action: test.act, with: {note: one}}")
HOLD = playbook("{action: test.act, with: {note: one}}", limits="cooldown: 0s, rate: [1000/1h], hold_at_most: 1h")


def parts(bench: Bench) -> Any:
    assert bench.app is not None
    return bench.app.parts


def entries(bench: Bench) -> list[dict[str, Any]]:
    with parts(bench).store.read() as reader:
        return list(reader.audit_entries(0, 500)["items"])


def firing(bench: Bench, *found: Any) -> None:
    bench.sources.firing = list(found)
    bench.sources.listed = list(found)


def test_while_stopped_an_alert_is_stored_and_nothing_is_asked_or_done(bench: Bench, act: Act) -> None:
    bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "a move", None)
    firing(bench, alert())
    asked: list[str] = []
    bench.sources.on_ask = asked.append

    bench.deliver(alert())
    bench.deliver(alert())
    bench.advance(120)

    assert [(each["fate"], each["reason"]) for each in bench.alerts()] == [("monitoring_stopped", "monitoring_stopped")]
    assert (bench.remediations(), act.ran, asked) == ([], [], [])
    # told once: a resent alert adds nothing to the history
    assert [each["kind"] for each in entries(bench)] == ["monitoring_stopped", "fate"]


def test_while_stopped_what_begins_anew_is_stored_as_another_and_left_alone_too(
    bench: Bench, act: Act, clock: ManualClock
) -> None:
    app = bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "a move", None)
    # the fate is stored with the delivery, not by a turn that may come later
    assert app.engine.stop()
    bench.deliver(alert(), rest=False)
    clock.advance(60)
    bench.deliver(alert(starts_at=clock.now()), rest=False)
    bench.deliver(alert(starts_at=clock.now()), rest=False)

    assert [(each["fate"], each["closed_at"] is None) for each in bench.alerts()] == [
        ("monitoring_stopped", True),
        ("monitoring_stopped", False),
    ]
    assert (bench.remediations(), act.ran) == ([], [])
    assert [each["kind"] for each in entries(bench)] == ["monitoring_stopped", "fate", "fate"]


def test_started_again_what_is_still_on_is_healed_without_a_new_delivery(bench: Bench, act: Act) -> None:
    bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "a move", None)
    firing(bench, alert())
    bench.deliver(alert(), alert("gone"))
    monitoring_control.start(parts(bench), "lee")
    bench.rest()
    bench.advance(1)

    fates = {each["labels"]["item"]: each["fate"] for each in bench.alerts()}
    assert fates == {"a": "succeeded", "gone": "monitoring_stopped"}
    assert len(act.ran) == 1


def test_a_stop_ends_by_itself(bench: Bench, act: Act, clock: ManualClock) -> None:
    bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "a move", clock.now() + 60)
    firing(bench, alert())
    bench.deliver(alert())
    bench.advance(59)
    before = len(act.ran)
    bench.advance(31)

    assert (before, len(act.ran)) == (0, 1)
    assert monitoring_control.told(parts(bench)) is None


def test_a_delivery_after_the_start_is_decided_like_any_other(bench: Bench, act: Act) -> None:
    bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "", None)
    firing(bench, alert())
    bench.deliver(alert())
    monitoring_control.start(parts(bench), "kim")
    bench.deliver(alert())

    assert len(act.ran) == 1


def test_what_was_held_and_has_begun_nothing_is_put_aside_and_taken_up_again(bench: Bench, act: Act) -> None:
    bench.start(HOLD)
    firing(bench, alert())
    bench.sources.away = True
    bench.deliver(alert())
    held = bench.states()
    monitoring_control.stop(parts(bench), "kim", "", None)
    bench.advance(60)
    stopped = bench.states()
    bench.sources.away = False
    monitoring_control.start(parts(bench), "kim")
    bench.rest()
    bench.advance(5)

    assert held == [("held", "blind")]
    assert stopped == [("skipped", "monitoring_stopped")]
    assert len(act.ran) == 1


def test_what_has_begun_is_brought_to_its_end(bench: Bench, act: Act) -> None:
    bench.start(HEAL)
    firing(bench, alert())
    act.while_running = lambda: monitoring_control.stop(parts(bench), "kim", "", None)
    bench.deliver(alert())

    assert [state for state, _ in bench.states()] == ["succeeded"]


def test_a_stop_outlives_a_restart(bench: Bench, act: Act) -> None:
    bench.start(HEAL)
    monitoring_control.stop(parts(bench), "kim", "a move", None)
    bench.stop()
    bench.start(HEAL)
    firing(bench, alert())
    bench.deliver(alert())

    told = monitoring_control.told(parts(bench))
    assert told is not None
    assert (told["who"], told["why"], act.ran) == ("kim", "a move", [])


def test_both_controls_are_kept_in_the_history_with_who_and_until(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        for what in ("monitoring", "healing"):
            body = {"why": "a move", "for": "30m"}
            stopped = program.ask("POST", f"/control/{what}/stop", body, Role.ADMIN).json()
            started = program.ask("POST", f"/control/{what}/start", {}, Role.ADMIN).json()
            key = "monitoring_stopped" if what == "monitoring" else "paused"
            assert stopped[key]["who"] == "admin"
            assert stopped[key]["until"] is not None
            assert started[key] is None
        entries = program.ask("GET", "/audit?limit=500").json()["items"]
        verified = program.ask("GET", "/audit/verify").json()
        lines = program.ask("GET", "/audit/export").body.splitlines()

    found = [(each["kind"], each["detail"]["who"]) for each in entries]
    assert found == [
        ("monitoring_stopped", "admin"),
        ("monitoring_started", "admin"),
        ("paused", "admin"),
        ("resumed", "admin"),
    ]
    assert entries[0]["detail"]["until"] is not None
    assert entries[0]["detail"]["why"] == "a move"
    assert (verified["ok"], verified["checked"], len(lines)) == (True, 4, 4)
    assert [json.loads(line)["kind"] for line in lines] == [kind for kind, *_ in found]


def test_secrets_of_the_policy_do_not_come_out(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        answer = program.ask("GET", "/policy")

    assert answer.json()["services"] == [{"name": "web", "timeout": 30.0}]
    assert "very-secret-word" not in answer.text


def test_a_playbook_is_run_by_hand_once_and_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        dry = program.ask("POST", "/playbooks/by_hand/run", {"labels": {"item": "x"}}, Role.OPERATOR)
        nothing = program.ask("GET", "/remediations").json()["items"]
        program.ask("POST", "/playbooks/by_hand/run", {"labels": {"item": "x"}, "dry_run": False}, Role.OPERATOR)
        runs = program.ask("GET", "/remediations").json()["items"]

    assert "dry_run" in dry.json()
    assert (nothing, [run["target"] for run in runs]) == ([], ["h1/item:x"])


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with running(tmp_path) as found:
        yield found


def test_the_dashboard_tells_what_is_on_and_what_waits(program: Program) -> None:
    program.alert("a")
    found = program.ask("GET", "/dashboard").json()

    assert [each["labels"]["item"] for each in found["firing"]] == ["a"]
    assert found["firing_count"] == 1
    assert found["waiting_for_people"] == {"settle": [], "approve": []}
    assert found["status"]["host"] == "h1"


class _Answers(Client):
    """A Prometheus that says what it is told to."""

    def __init__(self, answer: Any) -> None:
        super().__init__("http://127.0.0.1:9")
        self.answer = answer
        self.asked = 0

    def ask(self, path: str, parameters: Any) -> bytes:
        self.asked += 1
        assert parameters == {"query": QUESTION}
        if self.answer is None:
            raise self.unavailable("away")
        return json.dumps(self.answer).encode()


def vector(*elements: tuple[str, str, str]) -> Any:
    result = [{"metric": {"instance": i, "gauge": g}, "value": [1, v]} for i, g, v in elements]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def test_gauges_are_those_of_our_host_and_asked_once_in_five_seconds(clock: ManualClock) -> None:
    answer = vector(("h1:9976", "load1", "0.5"), ("other", "load1", "9"), ("h1:9976", "cpu_used_ratio", "NaN"))
    client = _Answers(answer)
    gauges = HostGauges(client, clock, ["h1:9976"])
    found = [gauges.now()["instances"] for _ in range(3)]
    clock.advance(4.9)
    gauges.now()
    before = client.asked
    clock.advance(0.2)
    gauges.now()

    assert found == [{"h1:9976": {"load1": 0.5}}] * 3
    assert (before, client.asked) == (1, 2)


@pytest.mark.parametrize(
    "answer", [None, {}, [], {"data": {"result": [{}]}}, {"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}]
)
def test_without_a_usable_answer_the_gauges_are_unavailable_and_nobody_is_pestered(
    clock: ManualClock, answer: Any
) -> None:
    client = _Answers(answer)
    gauges = HostGauges(client, clock, ["h1"])
    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            gauges.now()

    assert client.asked == 1


def test_every_gauge_stands_in_the_question() -> None:
    assert all(f'"gauge", "{name}"' in QUESTION for name in GAUGES)
