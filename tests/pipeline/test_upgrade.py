"""A store that the first version left in the middle of everything is opened by this program: all goes on, once.

`tests/store/version_1.sql` is what the first version's own program had on disk at one moment, effects under way.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.model import Alert, Context, Limits, Plan, Rate
from remediator.model import fingerprint as identity
from remediator.store import Reader, Store
from remediator.store.schema import MIGRATIONS
from selfheal.common.clock import ManualClock
from tests.pipeline.measured import Measured
from tests.pipeline.sources import Act, Bench

LEFT = Path(__file__).parents[1] / "store" / "version_1.sql"
FIRST = Path(__file__).parents[2] / "remediator/store/sqlite" / MIGRATIONS[0]
STOPPED_AT = 1_700_000_021.0
QUICK = "cooldown: 0s, rate: [1000/1h], lock: target"
AUTO = "mode: auto\nverify: none\n"


def book(case: str, steps: str, rest: str = AUTO, limits: str = QUICK) -> str:
    """Return a playbook as the first version had it, for the alerts of one case."""
    written = ", ".join(f"{{action: test.{name}, with: {{note: '{{{{ $labels.item }}}}'}}}}" for name in steps.split())
    return (
        f"playbook: {case}\ntrigger: {{alert: Sick, match: ['case=\"{case}\"']}}\n"
        'target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}\n'
        f"limits: {{{limits}}}\nsteps: [{written}]\n{rest}"
    )


BOOKS = (
    book("plain", "act"),
    book("cooling", "act", limits="cooldown: 10m, rate: [1000/1h], lock: target"),
    book("stepwise", "act act"),
    book("again", "again"),
    book("failing", "failing", limits=f"{QUICK}, attempts: 1"),
    book("doubtful", "doubtful"),
    book("proven", "act", "mode: auto\nverify: {healthy_for: 0s, within: 10m, watch: 10m}\n"),
    book("watching", "act", "verify: none\n"),
)


class Noted(Act):
    """An action whose effects are told by the item that they were on."""

    def plan(self, arguments: Mapping[str, Any], _context: Context) -> Plan:
        """Return the same plan for the same item."""
        return Plan(({"kind": "command", "service": "test", "verb": arguments["note"]},))


def given(item: str, case: str = "plain", **more: str) -> Alert:
    """Return an alert as it was and still is."""
    labels = {"alertname": "Sick", "instance": "h1:9100", "item": item, "case": case, **more}
    return Alert("firing", labels, {}, 1_699_999_990.0, identity(labels))


HUMAN = replace(given("human"), annotations={"playbook": "none"})
FIRING = [
    given("resting", "cooling"), given("resting", "cooling", part="second"), given("failing", "failing"),
    given("observed", "watching"), given("doubtful", "doubtful"), given("nobody", "unknown"), HUMAN,
    given("verified", "proven"), given("stepwise", "stepwise"), given("paused"), given("pending"),
    given("again", "again"), given("once"), given("once", part="second"), given("undecided"),
    given("replicated", replica="a"), given("both", replica="a"), given("both", replica="b"),
]  # fmt: skip


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder that the first version left."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "selfheal.db")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.executescript(f"{LEFT.read_text('utf-8')}\nPRAGMA user_version = 1;")
    connection.close()
    return tmp_path


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(STOPPED_AT + 1.0)


@pytest.fixture
def sources(clock: ManualClock) -> Iterator[Measured]:
    made = Measured(clock)
    made.firing, made.listed = list(FIRING), list(FIRING)
    watched = given("watched", "proven")
    made.known = {watched.fingerprint: watched}
    yield made
    made.close()


@pytest.fixture
def acts() -> list[Noted]:
    return [Noted("test.act"), Noted("test.again", idempotent=True), Noted("test.failing"), Noted("test.doubtful")]


@pytest.fixture
def bench(left: Path, sources: Measured, clock: ManualClock, acts: list[Noted]) -> Iterator[Bench]:
    made = Bench(left, sources, clock, *acts)
    yield made
    made.stop()


def effects(acts: list[Noted]) -> Counter[str]:
    """Return how often each item was acted upon."""
    return Counter(verb for act in acts for verb in act.verbs())


def told(bench: Bench) -> dict[str, list[tuple[str, str | None]]]:
    """Return (state, reason) of all remediations by their item, the oldest first."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for each in reversed(bench.remediations()):
        found.setdefault(each["alert"]["labels"]["item"], []).append((each["state"], each["reason"]))
    return found


DONE = ("succeeded", "proof_not_asked")


def test_everything_that_waited_goes_on_as_its_state_says_and_nothing_is_done_twice(
    bench: Bench, sources: Measured, acts: list[Noted], clock: ManualClock
) -> None:
    bench.start(*BOOKS)
    at_once, effects_at_once = told(bench), effects(acts)
    # as a kill left it: what had begun and cannot be repeated is people's, what can be is done with the same plan
    assert at_once["once"] == [("unknown", "outcome_unknown"), ("held", "locked")]
    assert at_once["doubtful"] == [("unknown", "outcome_unknown")]
    assert at_once["again"] == [DONE]
    assert at_once["pending"] == [DONE]
    assert at_once["undecided"] == [DONE]
    assert at_once["paused"] == [("held", "paused")]
    assert at_once["stepwise"] == [("running", "allowed")]
    assert at_once["resting"] == [DONE, ("held", "cooldown")]
    assert at_once["verified"] == [("verifying", "allowed")]
    assert at_once["watched"] == [("watching", "proven")]
    assert at_once["failing"] == [("failed", "step_failed")]
    assert at_once["gone"] == [DONE]
    assert effects_at_once == {"again": 1, "pending": 1, "undecided": 1}

    healed = given("verified", "proven")
    sources.firing.remove(healed)
    for _ in range(3):
        bench.advance(5)
    assert told(bench)["paused"] == [DONE]
    assert told(bench)["stepwise"] == [DONE]
    assert told(bench)["verified"] == [("watching", "proven")]
    # the cooldown began when the first version had its effect, and ends ten minutes after it
    bench.advance(1_700_000_600.0 - clock.now() - 1)
    assert told(bench)["resting"][1] == ("held", "cooldown")
    bench.advance(61)
    assert told(bench)["resting"] == [DONE, DONE]
    assert told(bench)["watched"] == [("succeeded", "held_watch")]
    assert told(bench)["once"] == [("unknown", "outcome_unknown"), ("held", "locked")]
    assert effects(acts) == {
        "again": 1, "pending": 1, "undecided": 1, "paused": 1, "stepwise": 1, "resting": 1, "both": 1,
    }  # fmt: skip


def test_what_a_person_settles_frees_what_waited_behind_it(bench: Bench, acts: list[Noted]) -> None:
    app = bench.start(*BOOKS)
    doubted = next(each for each in bench.remediations() if told_of(each) == ("once", None))
    app.settle(int(doubted["id"]), "done", "kim")
    bench.rest()

    assert told(bench)["once"] == [DONE, DONE]
    assert effects(acts)["once"] == 1


def told_of(remediation: dict[str, Any]) -> tuple[str, str | None]:
    labels = remediation["alert"]["labels"]
    return labels["item"], labels.get("part")


def test_an_alert_that_the_first_version_knew_by_its_replica_is_the_same_one_still(
    bench: Bench, sources: Measured, acts: list[Noted]
) -> None:
    bench.start(*BOOKS)
    before = len(bench.remediations())
    bench.deliver(given("replicated", replica="b"), given("replicated", replica="a"))
    bench.advance(31)
    assert len(bench.remediations()) == before
    assert sorted(state for state, _ in told(bench)["both"]) == ["cancelled", "succeeded"]
    assert open_items(bench)["both"] == open_items(bench)["replicated"] == 1
    assert effects(acts)["replicated"] == 0

    sources.firing = [each for each in sources.firing if each.labels["item"] != "replicated"]
    sources.listed = list(sources.firing)
    bench.deliver(replace(given("replicated", replica="b"), status="resolved"))
    assert "replicated" not in open_items(bench)


def test_of_two_that_are_one_alert_the_one_that_is_acted_upon_goes_on(bench: Bench, left: Path) -> None:
    connection = sqlite3.connect(left / "state" / "selfheal.db")
    # the younger one's remediation was under way
    number = max(row[0] for row in connection.execute("SELECT id FROM remediation WHERE target LIKE '%:both'"))
    connection.execute("UPDATE remediation SET state = 'running', started_at = created_at WHERE id = ?", (number,))
    connection.execute("INSERT INTO lock VALUES ('h1/item:both', ?)", (number,))
    connection.commit()
    connection.close()
    bench.start(*BOOKS)
    bench.advance(6)

    # it was asked whether to begin, and the pause of then is over: the elder one is called off, the younger goes on
    assert told(bench)["both"] == [("cancelled", "resolved"), DONE]


def open_items(bench: Bench) -> Counter[str]:
    """Return how many occurrences are open, by item."""
    return Counter(each["labels"]["item"] for each in bench.alerts() if each["closed_at"] is None)


TABLES = ("delivery", "occurrence", "remediation", "step", "decision", "evidence", "lock", "work", "event", "cursor")


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return everything that the first version had written."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in TABLES}
    connection.close()
    return found


def test_opening_it_loses_and_changes_no_row(left: Path, clock: ManualClock) -> None:
    path = left / "state" / "selfheal.db"
    before = rows(path)
    Store.open(left / "state", clock).close()
    after = rows(path)
    connection = sqlite3.connect(path)
    version, whole, dangling = (
        connection.execute(f"PRAGMA {name}").fetchall()
        for name in ("user_version", "integrity_check", "foreign_key_check")
    )
    outcomes = connection.execute("SELECT target, failed, healed_at FROM outcome ORDER BY target").fetchall()
    connection.close()

    assert {row["state"] for row in before["remediation"]} >= {
        "pending", "held", "running", "verifying", "watching", "unknown", "succeeded", "failed", "observed",
    }  # fmt: skip
    assert [row.pop("hash") for row in after["event"]] == [None] * len(before["event"])
    assert after == before
    assert (version, whole, dangling) == ([(len(MIGRATIONS),)], [("ok",)], [])
    # what breakers and repeats count; what proof was not asked for counts as neither
    assert [(target, failed) for target, failed, _ in outcomes] == [("h1/item:failing", 1), ("h1/item:watched", 0)]
    assert [healed is None for *_, healed in outcomes] == [True, False]


def test_what_was_frozen_then_is_read_with_todays_defaults(left: Path, clock: ManualClock) -> None:
    Store.open(left / "state", clock).close()
    with Reader.open(left / "state") as reader:
        found = {each.frozen.playbook: each.frozen for each in reader.unfinished_remediations()}

    assert found["cooling"].limits == replace(Limits(), cooldown=600.0, rate=(Rate(1_000, 3_600.0),), lock="target")
    assert (found["plain"].when, found["plain"].diagnose, found["plain"].manual) == (None, (), False)
    assert [(step.undo, step.unless_healed) for step in found["stepwise"].steps] == [(False, False)] * 2


def test_the_chain_of_events_begins_after_what_the_first_version_wrote(bench: Bench, left: Path) -> None:
    unchained = len(rows(left / "state" / "selfheal.db")["event"])
    app = bench.start(*BOOKS)
    with app.store.read() as reader:
        found = reader.audit_verify()

    assert (found.ok, found.unchained, found.begins_after) == (True, unchained, unchained)
    assert found.checked > 0


def test_the_store_of_the_test_has_the_first_versions_schema(left: Path, tmp_path: Path) -> None:
    def schema(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        own = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        return connection.execute(own).fetchall()

    made = sqlite3.connect(":memory:")
    made.executescript(FIRST.read_text("utf-8"))
    stored = sqlite3.connect(left / "state" / "selfheal.db")
    try:
        assert schema(stored) == schema(made)
    finally:
        made.close()
        stored.close()
