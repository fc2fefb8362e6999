"""A disk that is really full, in a mount namespace of its own: only what frees it is recorded, from the ballast.

All else waits: no effect begins that could not be recorded, and nothing is half written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.rig import until
from remediator import pause
from remediator.errors import ActionFailed, StoreUnavailable
from remediator.model import Pause
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

SIZE = 24
"""MiB of the disk."""


def fill(folder: Path) -> Path:
    """Fill the disk that `folder` is on, to the last byte."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        for chunk in (1 << 20, 4_096, 1):
            try:
                while True:
                    file.write(b"\0" * chunk)
            except OSError:
                continue
    return path


def heal_a_full_disk(disk: Path) -> None:
    """What runs inside: an alert on a full disk, first one that does not free it, then one that does."""
    clock = ManualClock()
    sources = Sources(clock)
    clean = Act("disk.sweep")
    bench = Bench(disk, sources, clock, clean, Act("test.act"))
    try:
        app = bench.start(
            playbook("{action: disk.sweep}").replace("{alert: Sick}", "{alert: Sick, match: ['item=\"disk\"']}"),
            playbook("{action: test.act}").replace("playbook: heal", "playbook: other"),
        )
        sources.firing = [alert("a"), alert("disk")]
        filling = fill(disk)
        clean.while_running = filling.unlink
        ballast = disk / "state" / "ballast"
        try:
            # the file of the log may have some room left in it
            for number in range(200):
                bench.deliver(alert(f"many{number}"), rest=False)
        except StoreUnavailable:
            pass
        else:
            raise AssertionError("the disk is not full")
        assert ballast.exists()

        bench.deliver(alert("disk"))

        assert len(clean.ran) == 1
        assert ("succeeded", "proof_not_asked") in bench.states()
        assert not filling.exists()
        assert app.metrics.registry.get_sample_value("selfheal_store_errors_total") >= 1
        bench.advance(61)
        bench.deliver(alert("later"))
        assert ballast.exists()
    finally:
        bench.stop()
        sources.close()


def wait_on_a_full_disk(disk: Path) -> None:
    """What runs inside: a result, a decision, a request to people and a verdict meet a full disk."""
    clock = ManualClock()
    sources = Sources(clock)
    act, waits, fails = Act("test.act"), Act("test.waits"), Act("test.fails")
    filling: list[Path] = []
    act.while_running = lambda: filling.append(fill_also_the_log(disk)) if not filling else None

    def broken() -> None:
        raise ActionFailed("it is broken")

    fails.while_running = broken
    bench = Bench(disk, sources, clock, act, waits, fails)
    path = disk / "state" / pause.NAME
    path.parent.mkdir(mode=0o700)
    pause.write(path, Pause("kim", "a test", None))
    sources.firing = [alert(each) for each in ("act", "waits", "fails", "asks")]
    try:
        app = bench.start(
            *(one(each, f"{{action: test.{each}}}") for each in ("act", "waits", "fails")),
            one("asks", "{action: test.waits}", "mode: approve\nverify: none\n"),
        )
        for each in sources.firing:
            bench.deliver(each)
        pause.clear(path)
        # their time comes one after the other, the first one's effect fills the disk
        app.store.write(lambda tx: tx.schedule("remediation", 1, clock.now()))
        until(lambda: filling and app.parts.unsaved, 20)
        for _ in range(4):
            clock.advance(6)
            app.engine.wake()
            until(lambda: not app.engine._running and not app.engine.queue_depth(), 20, 0.01)
        assert (len(act.ran), waits.ran, fails.ran) == (1, [], []), (act.ran, waits.ran, fails.ran)
        assert app.metrics.registry.get_sample_value("selfheal_store_errors_total") >= 1
        assert_whole(bench)
        assert bench.states() == [("held", "paused")] * 3 + [("running", "allowed")]

        filling[0].unlink()
        for _ in range(3):
            bench.advance(61)
        assert (len(act.ran), len(waits.ran), len(fails.ran)) == (1, 1, 1)
        assert [state for state, _ in bench.states()] == ["held", "failed", "succeeded", "succeeded"]
        assert_whole(bench)
        with app.store.read() as reader:
            kept = reader._connection.execute("SELECT failed FROM outcome").fetchall()
        assert [row[0] for row in kept] == [1]
        assert [each["state"] for each in app.approvals(10)["items"]] == ["open"]
    finally:
        bench.stop()
        sources.close()


def one(item: str, steps: str, rest: str = "mode: auto\nverify: none\n") -> str:
    """Return the playbook of one item."""
    text = playbook(steps, rest, "cooldown: 0s, rate: [1000/1h], lock: target, attempts: 1")
    chosen = f"{{alert: Sick, match: ['item=\"{item}\"']}}"
    return text.replace("{alert: Sick}", chosen).replace("playbook: heal", f"playbook: {item}")


def fill_also_the_log(disk: Path) -> Path:
    """Fill the disk, and the room that is left in the file of the log with it: a copy of it takes no room."""
    path = fill(disk)
    with sqlite3.connect(disk / "state" / "selfheal.db", isolation_level=None) as other:
        try:
            while True:
                other.execute(
                    "INSERT INTO delivery (at, receiver, alerts, truncated, version) VALUES (0, 'x', 0, 0, ?)",
                    ("x" * 4_000,),
                )
        except sqlite3.OperationalError:
            pass
    other.close()
    return path


def assert_whole(bench: Bench) -> None:
    """What is there fits together: the file, the chain, and each request and each end with its event."""
    assert bench.app is not None
    with bench.app.store.read() as reader:

        def count(query: str) -> int:
            return int(reader._connection.execute(query).fetchone()[0])

        assert reader._connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        found = reader.audit_verify()
        assert found.ok, found
        moved = "SELECT new FROM event AS e WHERE e.remediation_id = r.id AND e.kind = 'moved' ORDER BY id DESC LIMIT 1"
        assert count(f"SELECT COUNT(*) FROM remediation AS r WHERE r.state <> ({moved})") == 0
        assert count("SELECT COUNT(*) FROM approval") == count(
            "SELECT COUNT(*) FROM event WHERE kind = 'approval' AND new = 'open'"
        )
        judged = "SELECT COUNT(*) FROM remediation WHERE state IN ('failed', 'ineffective', 'undone')"
        assert count("SELECT COUNT(*) FROM outcome WHERE failed = 1") == count(judged)
        locked = "SELECT COUNT(*) FROM remediation AS r JOIN state AS s ON s.name = r.state WHERE s.locked = 1"
        assert count("SELECT COUNT(*) FROM lock") == count(locked)
        assert (
            count(
                "SELECT COUNT(*) FROM remediation AS r JOIN state AS s ON s.name = r.state WHERE s.ended = 0"
                " AND NOT EXISTS (SELECT 1 FROM work WHERE kind = 'remediation' AND id = r.id)"
            )
            == 0
        )


@pytest.mark.parametrize("what", [heal_a_full_disk, wait_on_a_full_disk], ids=["its repair", "all else"])
def test_on_a_full_disk_its_repair_is_recorded_and_all_else_waits(tmp_path: Path, what: Callable[[Path], None]) -> None:
    wrapped = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*wrapped, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a user namespace")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size={SIZE}m tmpfs {disk} && exec {sys.executable} -m {__name__} {what.__name__} {disk}"
    )

    # the lock of a namespace's own disk ends with it
    ended = subprocess.run(
        [*wrapped, "sh", "-c", script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert ended.returncode == 0, ended.stderr


if __name__ == "__main__":
    {each.__name__: each for each in (heal_a_full_disk, wait_on_a_full_disk)}[sys.argv[1]](Path(sys.argv[2]))
