"""A disk that is really full, in a mount namespace of its own: only what frees it is recorded, from the ballast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from remediator.errors import StoreUnavailable
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


def test_the_repair_of_a_full_disk_is_recorded_from_the_ballast(tmp_path: Path) -> None:
    wrapped = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*wrapped, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a user namespace")
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o size={SIZE}m tmpfs {disk} && exec {sys.executable} -m {__name__} {disk}"

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
    heal_a_full_disk(Path(sys.argv[1]))
