"""Idempotency keys: a POST that is sent again is not done again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import StoreUnavailable
from remediator.store import Reader, Store
from selfheal.common.clock import ManualClock
from selfheal.common.keys import Role
from tests.web.program import Program, running
from tests.web.site import Answer


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("once")) as found:
        yield found


def run(program: Program, key: str, item: str, role: Role = Role.ADMIN, **more: Any) -> Answer:
    body = {"labels": {"item": item}, "dry_run": False} | more
    return program.ask("POST", "/playbooks/by_hand/run", body, role, Idempotency_Key=key)


def runs(program: Program, item: str) -> int:
    items = program.ask("GET", "/remediations?limit=500").json()["items"]
    return sum(each["target"] == f"h1/item:{item}" for each in items)


def test_a_request_sent_again_has_the_first_answer_and_does_nothing(program: Program) -> None:
    first, second = run(program, "a", "once"), run(program, "a", "once")

    assert (first.status, first.body) == (second.status, second.body)
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    assert runs(program, "once") == 1


def test_without_a_key_or_with_another_it_is_done_again(program: Program) -> None:
    run(program, "b1", "twice")
    run(program, "b2", "twice")
    program.ask("POST", "/playbooks/by_hand/run", {"labels": {"item": "twice"}, "dry_run": False})

    assert runs(program, "twice") == 3


def test_another_request_with_the_same_key_is_refused(program: Program) -> None:
    run(program, "c", "one")
    answer = run(program, "c", "other")

    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert runs(program, "other") == 0


def test_a_refusal_is_kept_like_any_answer(program: Program) -> None:
    answers = [program.ask("POST", "/remediations/4711/cancel", {}, Idempotency_Key="d") for _ in range(2)]

    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body
    assert answers[1].headers["content-type"] == "application/problem+json"


def test_one_callers_key_is_not_anothers(program: Program) -> None:
    run(program, "e", "mine", Role.ADMIN)
    run(program, "e", "mine", Role.OPERATOR)

    assert runs(program, "mine") == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256])
def test_what_is_no_key_is_refused(program: Program, key: str) -> None:
    assert run(program, key, "nokey").status == 400
    assert runs(program, "nokey") == 0


def test_a_request_whose_answer_was_lost_is_not_done_again(program: Program) -> None:
    from remediator.web.api.once import _digest

    class Sent:
        method, path, query_string = "POST", "/api/v1/playbooks/by_hand/run", b""

        @staticmethod
        def get_data(as_text: bool) -> bytes:
            return b'{"labels": {"item": "lost"}, "dry_run": false}'

    program.app.claim_answer("admin", "f", _digest(Sent()))  # type: ignore[arg-type]

    answer = run(program, "f", "lost")

    assert (answer.status, runs(program, "lost")) == (409, 0)


def test_answers_are_kept_for_a_day_and_across_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    store = Store.open(tmp_path, clock)
    try:
        store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
        store.write(lambda tx: tx.keep_answer("kim", "k", 200, "{}"))
    finally:
        store.close()
    store = Store.open(tmp_path, clock)
    try:
        clock.advance(86_399)
        known = store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
        clock.advance(2)
        gone = store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
    finally:
        store.close()

    assert known is not None
    assert (known.digest, known.status, known.body) == ("digest", 200, "{}")
    assert gone is None


def test_what_was_not_stored_may_be_sent_again_and_an_answer_is_kept_once(tmp_path: Path, clock: ManualClock) -> None:
    store = Store.open(tmp_path, clock)
    try:
        store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
        store.write(lambda tx: tx.forget_answer("kim", "k"))
        again = store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
        store.write(lambda tx: tx.keep_answer("kim", "k", 200, "first"))
        store.write(lambda tx: tx.keep_answer("kim", "k", 200, "second"))
        store.write(lambda tx: tx.forget_answer("kim", "k"))
        known = store.write(lambda tx: tx.claim_answer("kim", "k", "digest", clock.now()))
    finally:
        store.close()

    assert again is None
    assert known is not None
    assert known.body == "first"


def test_what_was_stored_and_cannot_be_read_just_then_is_not_done_again(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: Any) -> None:
        raise StoreUnavailable("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "remediation_detail", unreadable)
        first = run(program, "g", "unread")
    second = run(program, "g", "unread")

    assert (first.status, second.status, runs(program, "unread")) == (409, 409, 1)
    assert "selfheal show" in second.json()["detail"]
