"""The remediator looks after itself: the watchdog, the chain of its history, what is stuck and what does not help."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from remediator.model import Alert
from remediator.selftest import FILE, SETTLING, WANTED, Result, Trial, read, want
from remediator.store.audit import HEAD, read_head
from tests.pipeline.sources import INSTANCE, Act, Bench, alert, playbook

STEPS = "{action: test.act}"


def problems(bench: Bench) -> list[dict[str, Any]]:
    assert bench.app is not None
    return bench.app.parts.alarm.problems()


def watchdog() -> Alert:
    return Alert("firing", {"alertname": "Watchdog", "severity": "none"}, {"playbook": "none"}, 1_699_999_990.0, "fw")


def test_people_are_told_after_three_intervals_and_not_before(bench: Bench) -> None:
    bench.start(playbook(STEPS))
    bench.deliver(watchdog())

    bench.advance(900.0)
    assert problems(bench) == []
    bench.advance(5.0)

    (told,) = problems(bench)
    assert told["kind"] == "watchdog"
    assert "Watchdog" in told["en"]
    assert "전달되지 않았습니다" in told["ko"]
    assert json.loads((bench.folder / "state" / "problems.json").read_text())["problems"] == [told]
    bench.deliver(watchdog())
    bench.advance(5.0)
    assert problems(bench) == []
    assert bench.value("selfheal_watchdog_deliveries_total") == 2


def test_an_outage_is_told_once_even_over_a_restart_and_ends_with_a_delivery_only(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.start(playbook(STEPS))
    bench.advance(905.0)
    begun = problems(bench)[0]["since"]
    bench.stop()
    bench.start(playbook(STEPS))

    # the start counts as a delivery for beginning an outage, never for ending one
    bench.advance(5.0)
    assert [each["since"] for each in problems(bench)] == [begun]
    bench.advance(2_000.0)
    bench.deliver(watchdog())
    bench.advance(5.0)

    assert problems(bench) == []
    told = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert told == ["the remediator itself is in trouble", "the trouble is over"]


def test_a_resolved_watchdog_is_no_delivery(bench: Bench) -> None:
    bench.start(playbook(STEPS))
    bench.deliver(Alert("resolved", watchdog().labels, {}, 1_699_999_990.0, "fw"))

    assert bench.value("selfheal_watchdog_deliveries_total") == 0


def tamper(bench: Bench, statement: str) -> None:
    connection = sqlite3.connect(bench.folder / "state" / "selfheal.db")
    for name in ("event_stays", "event_goes_behind_an_anchor"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()


def healthy(bench: Bench) -> None:
    bench.start(playbook(STEPS))
    for name in ("a", "b"):
        bench.deliver(Alert("firing", {"alertname": "Nobody", "item": name}, {}, 1_699_999_990.0, name))
    bench.advance(10.0)


def test_the_head_is_kept_beside_the_chain_and_at_the_end_too(bench: Bench) -> None:
    healthy(bench)
    app = bench.app
    assert app is not None
    with app.store.read() as reader:
        assert read_head(app.store.folder) == reader.audit_head()
    assert bench.value("selfheal_remediator_audit_last_verified_timestamp_seconds") == pytest.approx(
        bench.clock.now() - 10, abs=20
    )
    bench.deliver(Alert("firing", {"alertname": "Nobody"}, {}, 1_699_999_990.0, "c"))
    with app.store.read() as reader:
        last = reader.audit_head()
    bench.stop()

    assert read_head(bench.folder / "state") == last


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE event SET detail = '[]' WHERE id = 1", "altered"),
        ("DELETE FROM event WHERE id = (SELECT MAX(id) FROM event)", "truncated"),
        ("DELETE FROM event WHERE id = 1", "missing"),
    ],
)
@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it is stopped"])
def test_an_altered_history_is_told_and_its_head_kept_as_evidence(
    bench: Bench, statement: str, problem: str, running: bool
) -> None:
    healthy(bench)
    if not running:
        bench.stop()
    tamper(bench, statement)
    known = (bench.folder / "state" / HEAD).read_bytes()

    if not running:
        bench.start(playbook(STEPS))
    bench.advance(3_601.0)

    assert [each["kind"] for each in problems(bench) if problem in each["en"]] == ["audit"]
    assert bench.value("selfheal_remediator_audit_broken") == 1
    # it goes on healing, and writing history; only the head stays
    bench.deliver(Alert("firing", {"alertname": "Nobody"}, {}, 1_699_999_990.0, "z"))
    bench.advance(10.0)
    assert (bench.folder / "state" / HEAD).read_bytes() == known


def test_a_head_that_cannot_be_read_is_told_until_a_person_moved_it(bench: Bench) -> None:
    healthy(bench)
    bench.stop()
    (bench.folder / "state" / HEAD).write_bytes(b"{")

    bench.start(playbook(STEPS))
    bench.advance(10.0)
    assert [each["kind"] for each in problems(bench)] == ["audit"]
    (bench.folder / "state" / HEAD).unlink()
    bench.advance(3_601.0)

    assert [each for each in problems(bench) if each["kind"] == "audit"] == []
    assert bench.value("selfheal_remediator_audit_broken") == 0
    assert read_head(bench.folder / "state") is not None


def test_a_chain_of_many_pages_is_followed_piece_by_piece_also_while_its_beginning_goes(bench: Bench) -> None:
    app = bench.start(playbook(STEPS))

    def many(tx) -> None:  # type: ignore[no-untyped-def]
        for _ in range(2_500):
            tx.add_event("fate", bench.clock.now())

    app.store.write(many)
    bench.advance(3_601.0)
    assert bench.value("selfheal_remediator_audit_last_verified_timestamp_seconds") < bench.clock.now() - 3_600
    app.store.write(lambda tx: tx.prune_events(bench.clock.now() - 1.0, 1_200))
    for _ in range(5):
        bench.advance(5.0)

    assert bench.value("selfheal_remediator_audit_last_verified_timestamp_seconds") > bench.clock.now() - 60
    assert bench.value("selfheal_remediator_audit_broken") == 0


def page_value(bench: Bench, metric: str) -> float:
    assert bench.app is not None
    page = bench.app.metrics.render().decode()
    return float(next(line.split()[-1] for line in page.splitlines() if line.startswith(metric)))


def test_work_that_does_not_end_and_work_that_does_not_help_can_be_seen(bench: Bench, act: Act) -> None:
    app = bench.start(playbook(STEPS, limits="cooldown: 0s, rate: [1000/1h], lock: target, attempts: 1"))

    def fail() -> None:
        raise RuntimeError("broken")

    act.while_running = fail
    bench.sources.firing = [alert("a")]
    bench.deliver(alert("a"))
    assert bench.states()[0][0] == "unknown"
    bench.advance(100.0)
    stuck = page_value(bench, 'selfheal_remediator_under_way_oldest_seconds{state="unknown"}')
    failed = page_value(bench, "selfheal_remediator_unhealed_in_a_row")
    app.settle(int(bench.remediations()[0]["id"]), "give-up", "kim")
    bench.rest()

    assert stuck == pytest.approx(100.0, abs=1.0)
    assert failed == 0
    assert page_value(bench, 'selfheal_remediator_under_way_oldest_seconds{state="unknown"}') == 0
    assert page_value(bench, "selfheal_remediator_unhealed_in_a_row") == 1
    assert page_value(bench, "selfheal_remediator_last_verified_heal_timestamp_seconds") == 0


def test_a_self_test_begins_when_it_is_asked_for_and_fails_in_its_time(bench: Bench) -> None:
    app = bench.start(playbook(STEPS))
    want(app.store.folder, "kim", 30.0)
    bench.advance(3.0)
    under_way = read(app.store.folder / FILE)
    wanted = bench.value("selfheal_remediator_selftest_wanted")
    bench.advance(31.0)
    ended = read(app.store.folder / FILE)

    assert under_way is not None
    assert ended is not None
    assert (under_way.who, under_way.result, wanted) == ("kim", Result.RUNNING, 1)
    assert (ended.result, ended.legs, ended.last_success) == (Result.FAILED, {}, None)
    assert bench.value("selfheal_remediator_selftest_wanted") == 0
    assert not (app.store.folder / WANTED).exists()
    # none runs by the clock here, so none can be late
    page = app.metrics.render().decode().splitlines()
    assert [line for line in page if line.startswith("selfheal_remediator_selftest_age_seconds")] == []


def test_by_the_clock_it_runs_a_minute_after_the_start_and_the_last_success_outlives_a_restart(bench: Bench) -> None:
    bench.write(playbook(STEPS))
    folder = bench.folder / "state"
    folder.mkdir(mode=0o700)
    past = Trial("timer", 5.0, 300.0, Result.RUNNING, last_success=bench.clock.now() - 50.0)
    (folder / FILE).write_text(
        json.dumps(
            {"who": "timer", "began": 5.0, "within": 300.0, "result": "running", "last_success": past.last_success}
        )
    )
    write = bench.write

    def with_timer(*texts: str, highest_mode: str = "auto") -> None:
        write(*texts, highest_mode=highest_mode)
        with (bench.folder / "remediator.yml").open("a") as file:
            file.write("selftest: {every: 1h}\n")

    bench.write = with_timer  # type: ignore[method-assign]
    bench.start(playbook(STEPS))
    left = read(folder / FILE)
    age = page_value(bench, "selfheal_remediator_selftest_age_seconds")
    bench.advance(SETTLING - 5.0)
    before = bench.value("selfheal_remediator_selftest_wanted")
    bench.advance(10.0)

    assert left is not None
    # whoever ran it was ended in the middle
    assert (left.result, left.last_success) == (Result.FAILED, past.last_success)
    assert age == pytest.approx(50.0, abs=3.0)
    assert (before, bench.value("selfheal_remediator_selftest_wanted")) == (0, 1)


def test_the_alert_of_a_self_test_that_only_reconciliation_found_is_no_delivery(bench: Bench) -> None:
    own = Alert("firing", {"alertname": "SelfhealSelftest", "instance": INSTANCE}, {}, bench.clock.now(), "fs")
    app = bench.start(playbook(STEPS))
    want(app.store.folder, "kim", 60.0)
    bench.advance(3.0)
    bench.sources.firing = bench.sources.listed = [own]
    bench.advance(31.0)
    bench.advance(1.0)
    found = read(app.store.folder / FILE)

    assert found is not None
    # no playbook here, so it ends with the decision; a delivered one would have that leg
    assert (found.result, list(found.legs), found.state) == (Result.FAILED, ["rule"], "no_playbook")


def test_a_chain_that_retention_shortens_all_the_time_is_followed_to_its_end(bench: Bench) -> None:
    app = bench.start(playbook(STEPS))

    def many(tx) -> None:  # type: ignore[no-untyped-def]
        for _ in range(6_000):
            tx.add_event("fate", bench.clock.now())

    app.store.write(many)
    bench.advance(3_601.0)
    for _ in range(9):
        app.store.write(lambda tx: tx.prune_events(bench.clock.now() - 1.0, 50))
        bench.advance(5.0)

    assert bench.value("selfheal_remediator_audit_last_verified_timestamp_seconds") > bench.clock.now() - 60
    assert bench.value("selfheal_remediator_audit_broken") == 0
