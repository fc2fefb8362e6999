"""The chained history over the API: verified whatever lies beside it, exported without holding up the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from remediator.store import Reader, Store
from remediator.store.audit import HEAD
from remediator.web.access import Caller
from remediator.web.api.audit import export
from remediator.web.api.call import Call
from selfheal.common.clock import ManualClock
from selfheal.common.keys import Role
from tests.web.program import running


def test_a_head_that_cannot_be_read_is_found_and_no_error(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        program.ask("PUT", "/pause", {"why": "for the test"})
        (tmp_path / "state" / HEAD).write_text("{")
        answer = program.ask("GET", "/audit/verify")

    assert (answer.status, answer.json()["ok"], answer.json()["problem"]) == (200, False, "truncated")


def test_an_export_that_is_read_slowly_keeps_no_snapshot_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.web.api.audit.AT_ONCE", 2)
    clock = ManualClock()
    store = Store.open(tmp_path / "state", clock)
    open_ones: list[int] = []

    @contextmanager
    def reader() -> Iterator[Reader]:
        with store.read() as found:
            open_ones.append(1)
            yield found
            open_ones.pop()

    store.write(lambda tx: [tx.record_act("test", "kim", 1.0) for _ in range(9)])
    call = Call(SimpleNamespace(reader=reader), Caller("kim", Role.ADMIN), None, None, clock)  # type: ignore[arg-type]
    lines: list[bytes] = []
    for piece in export(call).iter_encoded():
        lines += piece.splitlines()
        # an open snapshot keeps the log from being tidied up: it would grow until the client is through
        assert open_ones == []
        store.write(lambda tx: tx.record_act("test", "kim", 1.0))
    store.close()

    # what is appended meanwhile is not followed for ever
    assert [json.loads(line)["id"] for line in lines][:9] == list(range(1, 10))
    assert len(lines) <= 10
