"""What the API shows, word for word, and what retention leaves of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from remediator.model import Alert, Answer, GuardAnswer, Outcome, Plan, Reason, State, StepState, Verdict
from remediator.store import Store, Tx


def healed(tx: Tx, id: int, plan: Plan) -> None:
    tx.add_decision(
        id,
        (
            GuardAnswer("pause", Answer.ALLOW, Reason.ALLOWED),
            GuardAnswer("lock", Answer.HOLD, Reason.LOCKED, {"remediation": 9}, 1_003.5),
        ),
        1_001.0,
    )
    tx.move(id, State.RUNNING, Reason.ALLOWED, 1_002.0)
    step = tx.store_intent(id, 0, plan, 1_002.0)
    tx.store_result(step, StepState.DONE, Outcome(True, plan.items, {"signal": "TERM"}), 1_003.0)
    tx.skip_step(id, 1, Reason.NOTHING_TO_DO, 1_003.0)
    tx.add_evidence(id, "after", {"value": 1.5}, 1_004.0)
    tx.move(id, State.VERIFYING, Reason.ALLOWED, 1_004.0)
    tx.set_proof(id, {"end": 5.0})
    tx.move(id, State.SUCCEEDED, Reason.PROVEN, 1_005.25, verdict=Verdict.FIXED)


SUMMARY = {
    "id": "1",
    "playbook": "restart",
    "target": "h1/process_group:web",
    "state": "succeeded",
    "reason": "proven",
    "verdict": "fixed",
    "mode": "auto",
    "created_at": "1970-01-01T00:16:40.000Z",
    "started_at": "1970-01-01T00:16:42.000Z",
    "verified_at": "1970-01-01T00:16:45.250Z",
    "ended_at": "1970-01-01T00:16:45.250Z",
    "alert": {
        "alertname": "Sick",
        "fingerprint": "made-0",
        "starts_at": "2023-11-14T22:13:10.000Z",
        "labels": {"alertname": "Sick", "instance": "h1:9100"},
    },
}


def test_a_remediation_is_listed_as_the_api_promises(store: Store, add: Callable[..., int], plan: Plan) -> None:
    id = add()
    store.write(lambda tx: healed(tx, id, plan))

    with store.read() as reader:
        assert reader.list_remediations(10) == {"items": [SUMMARY], "next": None}


def test_the_detail_has_decisions_steps_evidence_and_events(store: Store, add: Callable[..., int], plan: Plan) -> None:
    id = add()
    store.write(lambda tx: healed(tx, id, plan))

    with store.read() as reader:
        detail = reader.remediation_detail(id)
        none = reader.remediation_detail(99)

    assert none is None
    assert detail is not None
    assert {key: detail[key] for key in SUMMARY} == SUMMARY
    allowed = {"guard": "pause", "answer": "allow", "reason": "allowed", "detail": {}, "until": None}
    held = {"guard": "lock", "answer": "hold", "reason": "locked", "detail": {"remediation": 9}}
    at = {"at": "1970-01-01T00:16:41.000Z"}
    assert detail["decisions"] == [at | allowed, at | held | {"until": "1970-01-01T00:16:43.500Z"}]
    item = {"kind": "process", "pid": 7, "start_ticks": 70, "group": "web"}
    assert detail["steps"] == [
        {
            "position": 0,
            "action": "process.terminate",
            "state": "done",
            "undo": False,
            "attempt": 1,
            "intent_at": "1970-01-01T00:16:42.000Z",
            "ended_at": "1970-01-01T00:16:43.000Z",
            "plan": {"items": [item], "detail": {"why": "rss"}},
            "outcome": {"ok": True, "effects": [item], "detail": {"signal": "TERM"}, "rows": []},
        },
        {
            "position": 1,
            "action": "process.terminate",
            "state": "skipped",
            "undo": False,
            "attempt": 1,
            "intent_at": "1970-01-01T00:16:43.000Z",
            "ended_at": "1970-01-01T00:16:43.000Z",
            "plan": {"items": [], "detail": {"reason": "nothing_to_do"}},
            "outcome": None,
        },
    ]
    assert detail["evidence"] == [{"at": "1970-01-01T00:16:44.000Z", "phase": "after", "body": {"value": 1.5}}]
    assert [(event["kind"], event["from"], event["to"], event["reason"]) for event in detail["events"]] == [
        ("moved", None, "pending", None),
        ("moved", "pending", "running", "allowed"),
        ("step", None, "intent", None),
        ("step", None, "done", None),
        ("step", None, "skipped", "nothing_to_do"),
        ("moved", "running", "verifying", "allowed"),
        ("moved", "verifying", "succeeded", "proven"),
        ("fate", None, "succeeded", "proven"),
    ]
    assert detail["events"][2]["detail"] == {"step": 1, "position": 0, "action": "process.terminate", "undo": False}


@pytest.mark.parametrize(
    ("count", "limit", "pages"),
    [(0, 2, [[]]), (2, 2, [["2", "1"]]), (3, 2, [["3", "2"], ["1"]]), (4, 2, [["4", "3"], ["2", "1"]])],
)
def test_pages_follow_each_other_without_gap_or_repetition(
    store: Store, add: Callable[..., int], count: int, limit: int, pages: list[list[str]]
) -> None:
    for _ in range(count):
        add()

    with store.read() as reader:
        for listing in (reader.list_remediations, reader.list_alerts):
            found, before = [], None
            while True:
                page = listing(limit, before)
                found.append([item["id"] for item in page["items"]])
                if page["next"] is None:
                    break
                before = int(page["next"])
            assert found == pages


def test_a_list_may_be_limited_to_one_state(store: Store, add: Callable[..., int]) -> None:
    add(State.RUNNING)
    add()
    add(State.RUNNING)

    with store.read() as reader:
        page = reader.list_remediations(1, None, "running")
        rest = reader.list_remediations(1, int(page["next"]), "running")

    assert [item["id"] for item in page["items"] + rest["items"]] == ["3", "1"]
    assert rest["next"] is None


def test_what_is_open_is_listed_by_itself_and_counted_whole(
    store: Store, add: Callable[..., int], make_alert: Callable[..., Alert]
) -> None:
    heartbeat = {"alertname": "Watchdog", "severity": "none"}
    store.write(lambda tx: tx.open_occurrence(make_alert("beat", labels=heartbeat), 1_000.0))
    held = add(State.HELD)
    add(State.SKIPPED)
    watched = add(State.RUNNING, State.VERIFYING, State.WATCHING)
    unknown = add(State.RUNNING, State.UNKNOWN)
    store.write(lambda tx: tx.close_occurrence("made-2", 1_001.0, "resolved"))

    with store.read() as reader:
        alerts = [reader.open_alerts(2), reader.open_alerts(2, 4), reader.open_alerts(9, heartbeats=True)]
        runs = [reader.open_remediations(2), reader.open_remediations(2, watched)]
        runs += [reader.open_remediations(9, None, state) for state in ("unknown", "skipped")]

    assert [[item["id"] for item in page["items"]] for page in alerts] == [["5", "4"], ["2"], ["5", "4", "2", "1"]]
    assert [(page["next"], page["count"]) for page in alerts] == [("4", 3), (None, 3), (None, 4)]
    assert [[int(item["id"]) for item in page["items"]] for page in runs] == [[unknown, watched], [held], [unknown], []]
    assert [(page["next"], page["count"]) for page in runs] == [(str(watched), 3), (None, 3), (None, 1), (None, 0)]


def test_every_alert_is_listed_with_its_fate(
    store: Store, add: Callable[..., int], make_alert: Callable[..., Alert]
) -> None:
    add(State.SKIPPED)
    store.write(lambda tx: tx.open_occurrence(make_alert("open"), 1_000.0))
    store.write(lambda tx: tx.close_occurrence("made-0", 1_001.0, "resolved"))

    with store.read() as reader:
        newest, oldest = reader.list_alerts(10)["items"]

    common = {
        "alertname": "Sick",
        "labels": {"alertname": "Sick", "instance": "h1:9100"},
        "problem": None,
        "starts_at": "2023-11-14T22:13:10.000Z",
        "received_at": "1970-01-01T00:16:40.000Z",
    }
    still = {"id": "2", "fingerprint": "open", "status": "firing", "closed_at": None}
    over = {"id": "1", "fingerprint": "made-0", "status": "resolved", "closed_at": "1970-01-01T00:16:41.000Z"}
    assert newest == common | still | {"fate": None, "reason": None, "remediation_id": None}
    assert oldest == common | over | {"fate": "skipped", "reason": None, "remediation_id": "1"}


def test_live_ones_and_unfinished_ones_differ_by_those_watched(store: Store, add: Callable[..., int]) -> None:
    pending = add()
    watched = add(State.RUNNING, State.VERIFYING, State.WATCHING)
    add(State.SKIPPED)

    with store.read() as reader:
        live = [each.id for each in reader.live_remediations()]
        unfinished = [each.id for each in reader.unfinished_remediations()]

    assert (live, unfinished) == ([pending], [pending, watched])


TABLES = ("occurrence", "remediation", "step", "decision", "evidence", "event", "delivery", "lock", "work")


def rows(store: Store) -> dict[str, int]:
    with store.read() as reader:
        return {table: reader._connection.execute(f"SELECT COUNT(*) FROM {table}").fetchall()[0][0] for table in TABLES}


def test_retention_deletes_what_ended_before_with_all_its_rows_but_history_and_nothing_else(
    store: Store, add: Callable[..., int], plan: Plan, make_alert: Callable[..., Alert]
) -> None:
    id = add()
    store.write(lambda tx: healed(tx, id, plan))
    store.write(lambda tx: tx.add_delivery(1_000.0, "selfheal", 1, 0, "4"))
    store.write(lambda tx: tx.close_occurrence("made-0", 1_006.0, "resolved"))
    live = add(State.RUNNING)
    store.write(lambda tx: tx.store_intent(live, 0, plan, 1_000.0))
    store.write(lambda tx: tx.take_lock("h1", live))
    store.write(lambda tx: tx.close_occurrence("made-1", 1_001.0, "resolved"))
    store.write(lambda tx: tx.open_occurrence(make_alert("open"), 1.0))
    before = rows(store)

    assert store.write(lambda tx: tx.delete_older(1_000.0, 10)) == 0
    assert rows(store) == before
    # 1,005.25 is the remediation's end and not before itself
    assert store.write(lambda tx: tx.delete_older(1_005.25, 10)) == 1
    assert {table: before[table] - count for table, count in rows(store).items() if count != before[table]} == {
        "delivery": 1
    }
    assert store.write(lambda tx: tx.delete_older(1_005.26, 10)) == 1
    assert store.write(lambda tx: tx.delete_older(1_006.0, 10)) == 0
    assert store.write(lambda tx: tx.delete_older(9_999.0, 10)) == 1
    after = rows(store)
    assert after == {
        "occurrence": 2,
        "remediation": 1,
        "step": 1,
        "decision": 0,
        "evidence": 0,
        "event": before["event"],
        "delivery": 0,
        "lock": 1,
        "work": 2,
    }


def test_retention_works_in_batches(store: Store, add: Callable[..., int]) -> None:
    for number in range(5):
        add(State.SKIPPED)
        store.write(lambda tx, number=number: tx.close_occurrence(f"made-{number}", 1_000.0, "resolved"))  # type: ignore[misc]

    deleted = []
    while not deleted or deleted[-1]:
        deleted.append(store.write(lambda tx: tx.delete_older(2_000.0, 3)))

    assert deleted == [3, 3, 3, 1, 0]
    assert rows(store) == dict.fromkeys(TABLES, 0) | {"event": 15}
