"""What the measuring of kills counts: a second effect by whichever remediation, and what is left without work."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import crash, ledger, peers
from tests.pipeline.sources import Bench, alert, playbook


@pytest.mark.parametrize(
    ("lines", "doubled"),
    [
        pytest.param([], 0, id="none"),
        pytest.param(["a 1.0 item i1", "b 1.1 item i11"], 0, id="one each"),
        pytest.param(["a 1.0 item i1", "a 1.1 item i1"], 1, id="one step's twice"),
        pytest.param(["a 1.0 item i1", "b 1.1 item i2", "c 1.2 item i1"], 1, id="another remediation's"),
        pytest.param(["a 1.0 item i1", "b 1.1 item i1", "c 1.2 item i1"], 2, id="thrice"),
    ],
)
def test_an_effect_too_many_is_counted_whichever_remediation_had_it(
    tmp_path: Path, lines: list[str], doubled: int
) -> None:
    path = tmp_path / "ledger"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    assert ledger.doubled(path) == doubled


def test_a_remediation_that_nothing_would_take_on_is_lost(bench: Bench) -> None:
    bench.start(playbook("{action: test.act}", "mode: approve\nverify: none\n"))
    bench.sources.firing = [alert()]
    bench.deliver(alert())
    bench.stop()
    state = bench.folder / "state"
    waiting = crash.stranded(state)
    with closing(sqlite3.connect(state / "selfheal.db")) as connection, connection:
        connection.execute("DELETE FROM work WHERE kind = 'remediation'")

    assert waiting == []
    assert crash.stranded(state) == ["remediation 1 is held"]


def test_a_doubt_about_one_that_ran_does_not_hide_another_that_is_lost() -> None:
    assert peers.lost({"i1", "i2", "i3"}, {"i1"}, {"i1", "i2"}) == {"i3"}
