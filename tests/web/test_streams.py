"""Server-sent events: told as they happen, resumed by id, bounded, and never on a thread of the server."""

from __future__ import annotations

import fcntl
import http.client
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from remediator.web import streams as streaming
from remediator.web.streams import Streams, TooMany
from selfheal.common.keys import Role, add_key
from tests.web.program import Program, running
from tests.web.site import until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("streams")) as found:
        yield found


@pytest.fixture
def program(shared: Program) -> Iterator[Program]:
    """The remediator of all tests here, without listeners of an earlier one."""
    yield shared
    until(lambda: len(shared.app._streams) == 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LOOK_EVERY", 0.02)


class Listener:
    """A reader of events."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection, self.answer = connection, answer

    def next(self) -> dict[str, str]:
        """Return the fields of the next event; comments and what tells when to come back are passed over."""
        fields: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line and "data" in fields:
                return fields
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@contextmanager
def listening(program: Program, path: str = "/events", **headers: str) -> Iterator[Listener]:
    connection = http.client.HTTPConnection(*program.app.server.address, timeout=15)
    sent = {"Accept": "text/event-stream", "X-API-Key": program.keys[Role.VIEWER]} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    connection.request("GET", f"/api/v1{path}", headers=sent)
    listener = Listener(connection, connection.getresponse())
    try:
        yield listener
    finally:
        listener.close()


def last_id(program: Program) -> int:
    with program.app.store.read() as reader:
        return reader.audit_head().id


def pause_and_resume(program: Program) -> None:
    program.ask("PUT", "/pause", {"why": "for the test"})
    program.ask("DELETE", "/pause")


def test_what_happens_is_told_to_who_listens(program: Program) -> None:
    with listening(program) as listener:
        pause_and_resume(program)
        first, second = listener.next(), listener.next()

    assert listener.answer.headers["Content-Type"].startswith("text/event-stream")
    assert (first["event"], second["event"]) == ("paused", "resumed")
    assert json.loads(first["data"])["detail"]["why"] == "for the test"
    assert "hash" not in json.loads(first["data"])
    assert int(second["id"]) == int(first["id"]) + 1


def test_who_comes_back_is_told_what_it_missed_and_nothing_twice(program: Program) -> None:
    before = last_id(program)
    for _ in range(120):
        program.app.store.write(lambda tx: tx.record_act("test", "kim", 1.0))

    with listening(program, Last_Event_ID=str(before)) as listener:
        found = [int(listener.next()["id"]) for _ in range(120)]

    assert found == list(range(before + 1, before + 121))


def test_a_cursor_in_the_address_does_as_well(program: Program) -> None:
    pause_and_resume(program)

    with listening(program, f"/events?cursor={last_id(program) - 1}") as listener:
        assert listener.next()["event"] == "resumed"


@pytest.mark.parametrize("last", ["x", "-1", "", "1" * 40])
def test_what_is_no_id_is_refused(program: Program, last: str) -> None:
    answer = program.ask("GET", "/events", Accept="text/event-stream", Last_Event_ID=last)

    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


def test_without_asking_for_a_stream_a_page_is_given(program: Program) -> None:
    pause_and_resume(program)
    page = program.ask("GET", "/events?limit=1").json()
    onward = program.ask("GET", f"/events?limit=500&cursor={page['next']}").json()

    assert len(page["items"]) == 1
    assert int(onward["items"][0]["id"]) == int(page["items"][0]["id"]) + 1
    assert "hash" not in page["items"][0]


def test_many_listeners_take_no_thread_from_deliveries(program: Program) -> None:
    requests = program.app.server._server.requests
    with ExitStack() as stack:
        listeners = [stack.enter_context(listening(program)) for _ in range(streaming.MOST)]
        until(lambda: len(program.app._streams) == streaming.MOST)
        busy = [thread for thread in requests._threads if thread.conn is not None]

        assert busy == []
        program.alert("beside listeners")
        assert all("data" in listener.next() for listener in listeners)


def test_more_than_the_most_are_refused_and_a_place_is_given_back(program: Program) -> None:
    with ExitStack() as stack:
        for _ in range(streaming.MOST):
            stack.enter_context(listening(program))
        until(lambda: len(program.app._streams) == streaming.MOST)
        refused = program.ask("GET", "/events", Accept="text/event-stream")

        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    until(lambda: len(program.app._streams) == 0)
    with listening(program) as listener:
        pause_and_resume(program)
        assert listener.next()["event"] == "paused"


def test_the_thread_ends_with_the_last_listener(program: Program) -> None:
    with listening(program):
        until(lambda: len(program.app._streams) == 1)
    until(lambda: not program.app._streams._running)


class _Story:
    """Events without an end, as the store tells them."""

    def __enter__(self) -> _Story:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def audit_entries(self, after: int, limit: int) -> dict[str, Any]:
        return {"items": [{"id": str(after + n + 1), "kind": "k", "detail": "x" * 1000} for n in range(limit)]}


def test_a_listener_that_does_not_read_holds_a_bounded_amount_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STUCK", 0.5)
    streams = Streams(_Story)
    ours, theirs = socket.socketpair()
    with theirs:
        streams.promise(0)(ours, False)
        stream = streams._streams[0]
        most = 0

        def gone() -> bool:
            nonlocal most
            most = max(most, len(stream._waiting))
            return len(streams) == 0

        until(gone)

    assert 0 < most < streaming.WAITING + streaming.BATCH * 1200


def test_a_listener_that_is_sent_nothing_is_sent_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BEAT_EVERY", 0.05)

    class Silent(_Story):
        def audit_entries(self, after: int, limit: int) -> dict[str, Any]:
            return {"items": []}

    streams = Streams(Silent)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(10)
        streams.promise(0)(ours, False)
        text = b""
        while text.count(b": still here\n\n") < 2:
            text += theirs.recv(4096)
        streams.stop()
        until(lambda: len(streams) == 0)

    assert text.startswith(b"retry: 3000\n\n")
    with pytest.raises(TooMany):
        streams.promise(0)


def test_a_store_that_cannot_be_read_just_now_keeps_the_listener(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(_Story):
        times = 0

        def audit_entries(self, after: int, limit: int) -> dict[str, Any]:
            Broken.times += 1
            if Broken.times < 3:
                raise RuntimeError("not now")
            return {"items": [{"id": str(after + 1), "kind": "k"}]}

    streams = Streams(Broken)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(10)
        streams.promise(6)(ours, False)
        text = b""
        while b"id: 7\n" not in text:
            text += theirs.recv(4096)
        streams.stop()
        until(lambda: len(streams) == 0)

    assert "events not readable" in caplog.text


def test_a_listener_whose_key_is_taken_away_is_let_go(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "ASK_EVERY", 0.05)
    path = program.folder / "api.keys"
    before = path.read_text()
    leaver = add_key(path, "leaver", Role.VIEWER)
    with listening(program) as stays, listening(program, X_API_Key=leaver) as goes:
        # the answer's head is sent before its connection is handed over
        until(lambda: len(program.app._streams) == 2)
        path.write_text(before)
        until(lambda: len(program.app._streams) == 1)
        pause_and_resume(program)

        assert stays.next()["event"] == "paused"
        with pytest.raises(http.client.IncompleteRead) as ended:
            goes.answer.read()
        assert b"data:" not in ended.value.partial


def test_a_listener_that_cannot_be_judged_is_let_go() -> None:
    def broken() -> bool:
        raise RuntimeError("broken")

    streams = Streams(_Story)
    ours, theirs = socket.socketpair()
    with theirs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "ASK_EVERY", 0.0)
        streams.promise(0, broken)(ours, False)
        until(lambda: len(streams) == 0)


def test_a_descriptor_beyond_a_thousand_is_no_end_of_all_streams() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours, theirs = socket.socketpair()
    streams = Streams(_Story)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_200), hard))
        high = socket.socket(fileno=fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, 1_100))
        with ours, theirs:
            theirs.settimeout(10)
            # more than fits between the two, so that it must be waited for
            streams.promise(0)(high, False)
            read = 0
            while read < 4 * streaming.WAITING:
                part = theirs.recv(65_536)
                assert part, "the stream ended"
                read += len(part)
    finally:
        streams.stop()
        until(lambda: len(streams) == 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
