"""The healing benchmark for real: namespaced hosts, faults, decoys, and nothing left behind. Needs root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from benchmarks.healing.outer import UNSHARE, why_not
from benchmarks.rig import until
from tests.tools import binary, do_without

PATIENCE = 200.0


@pytest.fixture
def namespaces() -> None:
    reason = why_not()
    if reason is not None:
        do_without(reason)


def _start(folder: Path, *arguments: str, to: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.healing", *arguments],
        env={**os.environ, "TMPDIR": str(folder)}, stdout=to, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _left(folder: Path) -> list[str]:
    """Return the command lines of everything that still runs on files in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found += [line] if str(folder) in line else []
    return found


def _links() -> str:
    return subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("namespaces")
def test_one_fault_is_healed_and_one_handed_over_and_nobody_else_is_touched(tmp_path: Path) -> None:
    binary("prometheus")

    with _start(tmp_path, "--seeds", "1", "--hosts", "2", "--quick", "--kinds", "leak-jump,ledger") as process:
        output = process.communicate(timeout=PATIENCE)[0]

    figures = json.loads(output.splitlines()[-1])
    assert process.returncode == 0, output
    assert figures.pop("median_seconds") > 0
    assert figures == {
        "kinds": 2, "faults": 2, "healed": 1, "handed_over": 1, "bystanders": 0, "false_actions": 0,
        "median_slope_seconds": None, "monit": None,
    }  # fmt: skip
    # two of the worker; of each host a link and two files; and how the configuration differs is computed and told
    assert "8 decoys" in output
    assert "remediator.yml: highest_mode is auto, shipped observe" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
@pytest.mark.usefixtures("namespaces")
def test_nothing_stays_behind_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    binary("prometheus")
    before, told, scratch = _links(), tmp_path / "told", tmp_path / "scratch"
    scratch.mkdir()

    # a file, for a broken pipe would end it too; and so many seeds that it does not end by itself
    with told.open("w") as output:
        process = _start(scratch, "--seeds", "99", "--hosts", "2", "--quick", "--kinds", "leak-jump,ledger", to=output)
    until(lambda: "are there" in told.read_text("utf-8") or process.poll() is not None, PATIENCE)
    running = _left(scratch)
    process.send_signal(number)
    process.wait(PATIENCE)

    assert running, told.read_text("utf-8")
    until(lambda: not _left(scratch), 60.0)
    assert before == _links()
    # who is killed cannot tidy up; everything else was
    assert number == signal.SIGKILL or not list(scratch.iterdir())


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("namespaces")
def test_hosts_are_apart_and_a_hurt_decoy_is_seen(tmp_path: Path) -> None:
    argv = [*UNSHARE, sys.executable, "-m", "tests.healing.machinery", str(tmp_path)]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "names": ["host-1", "host-2"],
        "well at first": [True, True],
        # two processes; two files, a fresh one and a link
        "decoys": [6, 6],
        "the other is well": True,
        "unhurt": [[], []],
        "seen from the other": True,
        # its first life and the one after it
        "ended and kept": 2,
        "owned": [True, False],
        "hurt": [["leak-jump-neighbour"], ["/srv/precious/old-0000"]],
    }


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.healing.__main__ import main

    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert main(["--seeds", "1"]) == 2
    assert "need root: run it with sudo" in capsys.readouterr().err


def test_where_namespaces_are_forbidden_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from benchmarks.healing.__main__ import main

    for name in ("unshare", "ip", "mount"):
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
        fake.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert main(["--seeds", "1"]) == 2
    assert "does not allow namespaces with a bridge, veth and tmpfs (unshare failed" in capsys.readouterr().err
