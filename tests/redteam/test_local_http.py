"""The red team against the door to programs of this machine: who listens there, and what they answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from remediator.errors import ActionFailed, OutcomeUnknown
from remediator.local_http import LARGEST_ANSWER, Answer, Call, Place, exchange
from tests.redteam.policies import give_away


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder whose name is short enough for a socket."""
    with TemporaryDirectory(prefix="selfheal-lh-") as name:
        yield Path(name).resolve()


@contextmanager
def listening(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Listen at a socket; take one request, give one answer and hang up. Give what was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                asked.append(line.recv(65_536))
                try:
                    line.sendall(answer)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(path: Path, *, changes: bool = False) -> Answer:
    return exchange(Place(str(path)), Call("POST", "/x", changes=changes), time.monotonic() + 20, time.monotonic)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n\n\n",
        b"HTTP/1.1",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LARGEST_ANSWER + 10),
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n",
    ],
    ids=range(12),
)
@pytest.mark.parametrize("changes", [False, True])
def test_half_an_answer_is_none_and_what_was_told_may_have_happened(folder: Path, answer: bytes, changes: bool) -> None:
    with listening(folder / "s", answer), pytest.raises(OutcomeUnknown if changes else ActionFailed):
        ask(folder / "s", changes=changes)


def test_a_redirect_is_not_followed(folder: Path) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with listening(folder / "s", answer) as asked:
        assert ask(folder / "s").status == 302

    assert len(asked) == 1


def test_what_cannot_be_reached_has_not_happened(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))

        with pytest.raises(ActionFailed, match="cannot be reached"):
            ask(folder / "s", changes=True)
    with pytest.raises(ActionFailed, match="cannot be reached"):
        ask(folder / "none", changes=True)


def test_anothers_socket_is_not_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(folder / "s", b"") as asked:
        give_away(folder / "s", monkeypatch)

        with pytest.raises(ActionFailed, match="who could have put it there"):
            ask(folder / "s")

    assert asked == []


def test_a_link_to_a_socket_is_followed_to_where_it_is_and_judged_there(folder: Path) -> None:
    (folder / "open").mkdir()
    with listening(folder / "open/s", b"HTTP/1.1 204 No Content\r\n\r\n"):
        (folder / "link").symlink_to(folder / "open/s")
        (folder / "open").chmod(0o777)

        with pytest.raises(ActionFailed, match="could be replaced"):
            ask(folder / "link")
        (folder / "open").chmod(0o755)
        assert ask(folder / "link").status == 204


def test_without_time_nothing_is_sent(folder: Path) -> None:
    with listening(folder / "s", b"") as asked, pytest.raises(ActionFailed, match="no time is left"):
        exchange(Place(str(folder / "s")), Call("POST", "/x", changes=True), time.monotonic() - 1, time.monotonic)

    assert asked == []
    assert os.path.lexists(folder / "s")
