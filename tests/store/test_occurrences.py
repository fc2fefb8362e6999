"""One open occurrence per alert, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from remediator.model import Alert, Frozen, Plan, Reason, State
from remediator.store import Due, Store


def test_the_same_alert_again_is_nothing_new_but_its_annotations_and_its_last_sight(
    store: Store, make_alert: Callable[..., Alert]
) -> None:
    first = store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))
    store.write(lambda tx: tx.unschedule("occurrence", first[0]))
    changed = make_alert("a", annotations={"summary": "sicker"}, starts_at=5.0)
    second = store.write(lambda tx: tx.open_occurrence(changed, 20.0))

    assert (first, second) == ((1, True), (1, False))
    with store.read() as reader:
        found = reader.open_occurrences()
        work = reader.work()
    assert [(each.id, each.received_at, each.last_seen_at) for each in found] == [(1, 10.0, 20.0)]
    assert found[0].alert == replace(make_alert("a"), annotations={"summary": "sicker"})
    assert work == []


def test_a_new_occurrence_is_due_for_decision_at_once(store: Store, make_alert: Callable[..., Alert]) -> None:
    store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))

    with store.read() as reader:
        assert [(row.kind, row.id, row.due) for row in reader.work()] == [("occurrence", 1, 10.0)]


def test_an_alert_that_comes_back_after_its_end_opens_another_occurrence(
    store: Store, make_alert: Callable[..., Alert]
) -> None:
    first = store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))
    store.write(lambda tx: tx.close_occurrence("a", 20.0, "resolved"))
    second = store.write(lambda tx: tx.open_occurrence(make_alert("a"), 30.0))

    assert (first, second) == ((1, True), (2, True))


def test_closing_what_is_not_open_changes_nothing(store: Store) -> None:
    assert store.write(lambda tx: tx.close_occurrence("a", 20.0, "resolved")) is None


def test_an_occurrence_that_ends_before_anything_was_done_is_closed_and_no_longer_due(
    store: Store, make_alert: Callable[..., Alert]
) -> None:
    store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))

    assert store.write(lambda tx: tx.close_occurrence("a", 20.0, "resolved")) == 1

    with store.read() as reader:
        found = reader.occurrence(1)
        work = reader.work()
        events = reader.events_after(0, 10)
    assert found is not None
    assert (found.closed_at, found.fate, found.reason) == (20.0, "closed", Reason.RESOLVED)
    assert work == []
    assert [(event.kind, event.old, event.new, event.occurrence_id) for event in events] == [
        ("fate", None, "closed", 1)
    ]


@pytest.mark.parametrize(
    ("way", "cancelled"),
    [
        ((), True),
        ((State.HELD,), True),
        ((State.RUNNING,), True),
        ((State.RUNNING, State.UNDOING), True),
        ((State.RUNNING, State.VERIFYING), True),
        ((State.RUNNING, State.UNKNOWN), True),
        ((State.RUNNING, State.VERIFYING, State.WATCHING), False),
        ((State.SKIPPED,), False),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) and value else None,
)
def test_a_resolve_asks_every_live_remediation_to_end_and_no_other(
    store: Store, add: Callable[..., int], way: tuple[State, ...], cancelled: bool
) -> None:
    id = add(*way)
    store.write(lambda tx: tx.schedule("remediation", id, 99.0, 3))

    store.write(lambda tx: tx.close_occurrence("made-0", 20.0, "resolved"))

    with store.read() as reader:
        found = reader.remediation(id)
        work = [(row.due, row.priority) for row in reader.work()]
        occurrence = reader.occurrence(1)
    assert found is not None
    assert occurrence is not None
    assert found.cancel == (Reason.RESOLVED if cancelled else None)
    assert work == [(20.0 if cancelled else 99.0, 3)]
    assert occurrence.fate == ("skipped" if way == (State.SKIPPED,) else None)


def test_the_first_reason_to_cancel_stays(store: Store, add: Callable[..., int]) -> None:
    id = add()
    store.write(lambda tx: tx.set_cancel(id, Reason.CANCELLED, 5.0))

    store.write(lambda tx: tx.close_occurrence("made-0", 20.0, "resolved"))

    with store.read() as reader:
        found = reader.remediation(id)
    assert found is not None
    assert found.cancel is Reason.CANCELLED


def test_a_fate_is_an_event_and_ends_the_wait_for_a_decision(store: Store, make_alert: Callable[..., Alert]) -> None:
    store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))

    store.write(lambda tx: tx.set_fate(1, "no_playbook", Reason.NO_PLAYBOOK))

    with store.read() as reader:
        found = reader.occurrence(1)
        events = reader.events_after(0, 10)
        assert reader.work() == []
    assert found is not None
    assert (found.fate, found.reason) == ("no_playbook", Reason.NO_PLAYBOOK)
    assert [(event.kind, event.new, event.reason) for event in events] == [("fate", "no_playbook", Reason.NO_PLAYBOOK)]


def test_a_new_remediation_takes_the_place_of_the_last_fate(
    store: Store, add: Callable[..., int], make_frozen: Callable[..., Frozen]
) -> None:
    first = add(State.RUNNING, State.FAILED)
    store.write(lambda tx: tx.reconsider(1, 50.0))

    second = store.write(lambda tx: tx.add_remediation(1, make_frozen(), 60.0))

    with store.read() as reader:
        found = reader.occurrence(1)
        assert reader.work() == []
    assert found is not None
    assert (first, second, found.fate, found.reason, found.remediation_id) == (1, 2, None, None, 2)


@pytest.mark.parametrize(("size", "cut"), [(64 * 1024, False), (64 * 1024 + 1, True), (1_000_000, True)])
def test_a_malformed_alert_is_kept_up_to_64_kib_with_the_cut_marked(store: Store, size: int, cut: bool) -> None:
    text = "가" + "x" * (size - 3)
    id = store.write(lambda tx: tx.add_malformed(10.0, text, "labels is no object"))

    with store.read() as reader:
        found = reader.occurrence(id)
        listed = reader.list_alerts(10)["items"][0]
    assert found is not None
    kept = found.alert.labels["text"]
    assert len(kept.encode()) <= 64 * 1024
    assert kept.endswith(" …[cut]") is cut
    assert kept.startswith("가x")
    assert (found.fate, found.reason, found.closed_at) == ("malformed", Reason.MALFORMED, 10.0)
    assert (listed["status"], listed["problem"], listed["labels"]) == ("malformed", "labels is no object", {})


@pytest.mark.parametrize("text", ["\ud800", "\x00", "'; DROP TABLE occurrence; --", "{{ $labels.x }}", "<b>", "\r\n"])
def test_hostile_text_is_stored_as_it_came(store: Store, make_alert: Callable[..., Alert], text: str) -> None:
    alert = make_alert("a", labels={"alertname": text, text: text}, annotations={text: text})

    id, new = store.write(lambda tx: tx.open_occurrence(alert, 10.0))
    store.write(lambda tx: tx.add_malformed(10.0, text, text))
    store.write(lambda tx: tx.add_delivery(10.0, text, 1, 0, text))

    with store.read() as reader:
        found = reader.occurrence(id)
    assert new
    assert found is not None
    assert (found.alert.labels, found.alert.annotations) == (alert.labels, alert.annotations)


def test_scheduling_again_replaces_the_time_and_keeps_the_priority_unless_told(store: Store) -> None:
    store.write(lambda tx: tx.schedule("reconcile", 0, 10.0, 2))
    store.write(lambda tx: tx.schedule("reconcile", 0, 20.0))
    store.write(lambda tx: tx.schedule("announce", 0, 15.0))

    with store.read() as reader:
        found = [(row.kind, row.id, row.due, row.priority) for row in reader.work()]
        due = (reader.due_of("reconcile", 0), reader.due_of("reconcile", 1))
    assert found == [("announce", 0, 15.0, 0), ("reconcile", 0, 20.0, 2)]
    assert due == (20.0, None)


def test_a_row_written_meanwhile_is_neither_finished_nor_postponed(store: Store) -> None:
    store.write(lambda tx: tx.schedule("reconcile", 0, 10.0))
    with store.read() as reader:
        (old,) = reader.work()
    store.write(lambda tx: tx.unschedule("reconcile", 0))
    store.write(lambda tx: tx.schedule("reconcile", 0, 10.0))
    with store.read() as reader:
        (new,) = reader.work()

    assert not store.write(lambda tx: tx.finish_work("reconcile", 0, old.generation))
    assert not store.write(lambda tx: tx.postpone_work("reconcile", 0, old.generation, 99.0))
    assert store.write(lambda tx: tx.postpone_work("reconcile", 0, new.generation, 30.0))
    with store.read() as reader:
        (later,) = reader.work()
    assert later.due == 30.0
    assert store.write(lambda tx: tx.finish_work("reconcile", 0, later.generation))
    with store.read() as reader:
        assert reader.work() == []


def test_the_listener_is_told_what_changed_before_the_writer_goes_on(
    store: Store, make_alert: Callable[..., Alert]
) -> None:
    told: list[Due] = []
    store.on_due = told.extend

    store.write(lambda tx: tx.open_occurrence(make_alert("a"), 10.0))
    first = list(told)
    store.write(lambda tx: tx.set_fate(1, "no_playbook", Reason.NO_PLAYBOOK))
    store.write(lambda tx: tx.set_cursor("log", 1))

    assert [(due.kind, due.id, due.due, due.gone) for due in first] == [("occurrence", 1, 10.0, False)]
    assert [(due.kind, due.id, due.gone) for due in told[1:]] == [("occurrence", 1, True)]
    assert told[1].generation > told[0].generation


def test_a_cursor_remembers_per_channel_and_events_come_in_order(store: Store, add: Callable[..., int]) -> None:
    add(State.HELD, State.RUNNING)

    store.write(lambda tx: tx.set_cursor("log", 1))
    store.write(lambda tx: tx.set_cursor("log", 2))

    with store.read() as reader:
        cursors = (reader.cursor("log"), reader.cursor("mail"))
        events = reader.events_after(cursors[0], 10)
        limited = reader.events_after(0, 2)
    assert cursors == (2, 0)
    assert [event.new for event in events] == ["running"]
    assert [event.id for event in limited] == [1, 2]


def test_what_was_tried_is_told_from_the_first_effect_on_and_what_was_tried_last_from_the_newest(
    store: Store, add: Callable[..., int], plan: Plan
) -> None:
    first = add(State.SKIPPED, now=1.0)
    begun = add(occurrence=1, now=2.0)
    store.write(lambda tx: [tx.move(begun, State.RUNNING, None, 2.0), tx.store_intent(begun, 0, plan, 2.0)])
    with store.read() as reader:
        assert [each.created_at for each in reader.tries(1)] == [2.0]
    store.write(lambda tx: tx.move(begun, State.FAILED, Reason.STEP_FAILED, 2.0))
    add(State.SKIPPED, occurrence=1, now=3.0)
    add(State.SKIPPED, now=4.0)

    with store.read() as reader:
        tried, newest, nothing = reader.tries(1), reader.newest_tries(1, 2), reader.tries(2)

    assert first == 1
    assert [(each.acted, each.state, each.created_at) for each in tried] == [
        (True, State.FAILED, 2.0),
        (False, State.SKIPPED, 3.0),
    ]
    assert newest == tried[::-1]
    assert nothing == []
