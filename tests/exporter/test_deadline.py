"""Calls in bounded time."""

from __future__ import annotations

import threading

import pytest

from exporter.deadline import BoundedCaller, LateError
from tests.exporter.trees import wait_until


def test_an_answer_in_time_is_returned() -> None:
    assert BoundedCaller[int]("test").call(lambda: 7, 10) == 7


def test_an_error_reaches_the_caller() -> None:
    def fail() -> int:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        BoundedCaller[int]("test").call(fail, 10)


def test_a_late_call_is_given_up_and_no_other_begins_until_it_has_ended() -> None:
    let_go, calls = threading.Event(), []
    caller: BoundedCaller[int] = BoundedCaller("test")

    def slow() -> int:
        calls.append("slow")
        let_go.wait(30)
        return 1

    try:
        with pytest.raises(LateError, match=r"no answer in 0\.01 s"):
            caller.call(slow, 0.01)
        with pytest.raises(LateError, match="has not answered yet"):
            caller.call(slow, 0.01)
        assert calls == ["slow"]
    finally:
        let_go.set()

    wait_until(lambda: not caller.is_stuck())
    assert caller.call(lambda: 2, 10) == 2


def test_when_the_system_gives_no_thread_the_next_call_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    caller: BoundedCaller[int] = BoundedCaller("test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            caller.call(lambda: 1, 10)

    assert caller.call(lambda: 1, 10) == 1


def test_the_thread_ends_with_its_caller() -> None:
    caller: BoundedCaller[str] = BoundedCaller("ends-with-its-caller")
    assert caller.call(lambda: threading.current_thread().name, 10) == "ends-with-its-caller"
    del caller

    wait_until(lambda: "ends-with-its-caller" not in [thread.name for thread in threading.enumerate()])
