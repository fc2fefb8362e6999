"""Bystanders are counted from facts: decoys that changed, and recorded effects that are not the patient's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfheal.stack.bystanders import foreign_effects
from selfheal.stack.patient.decoys import KINDS, Decoys
from selfheal.stack.patient.worker import pattern
from tests.stack.support import wait_until


@pytest.fixture
def decoys(tmp_path: Path) -> Iterator[Decoys]:
    (tmp_path / "patient").mkdir()
    found = Decoys(tmp_path / "patient", tmp_path / "decoys", "0123abcd", 9978)
    found.start()
    try:
        wait_until(lambda: found.ready)
        yield found
    finally:
        found.stop()


def test_decoys_that_nobody_touches_are_unchanged(decoys: Decoys) -> None:
    assert decoys.changed() == ()


def test_a_decoy_process_has_the_command_line_of_the_patients_worker(decoys: Decoys) -> None:
    lines = {kind: " ".join(_process(kind).cmdline()) for kind in KINDS}

    assert all(pattern(kind, "0123abcd").replace("[.]", ".") in line for kind, line in lines.items())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP])
def test_a_signal_to_a_decoy_process_is_noticed(decoys: Decoys, number: signal.Signals) -> None:
    _process("spinner").send_signal(number)

    wait_until(lambda: decoys.changed() == ("spinner",))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda patient, own: (patient / "beside.dat").unlink(), id="file beside removed"),
        pytest.param(lambda patient, own: (patient / "beside.dat").write_bytes(b""), id="file beside emptied"),
        pytest.param(lambda patient, own: (patient / "folder/out").unlink(), id="link removed"),
        pytest.param(lambda patient, own: (own / "outside.dat").unlink(), id="target of the link removed"),
        pytest.param(lambda patient, own: os.truncate(patient / "folder/out", 5), id="written through the link"),
    ],
)
def test_a_changed_file_is_noticed(decoys: Decoys, change: Callable[[Path, Path], object]) -> None:
    change(decoys.folder, decoys.own)

    assert len(decoys.changed()) == 1


HISTORY = [{"boot_id": "b", "pid": 10, "start_ticks": 500, "group": "patient-leaker"}]


@pytest.mark.parametrize(
    ("effect", "foreign"),
    [
        ({"kind": "process", "pid": 10, "start_ticks": 500, "group": "patient-leaker"}, False),
        ({"kind": "process", "pid": 10, "start_ticks": 501, "group": "patient-leaker"}, True),
        ({"kind": "process", "pid": 11, "start_ticks": 500, "group": "patient-leaker"}, True),
        ({"kind": "file", "path": "{patient}/folder/fill-001.dat"}, False),
        ({"kind": "file", "path": "{patient}/folder/deeper/x"}, False),
        ({"kind": "file", "path": "{patient}/beside.dat"}, True),
        ({"kind": "file", "path": "{patient}/folder"}, True),
        ({"kind": "file", "path": "{patient}/folder/../beside.dat"}, True),
        ({"kind": "file", "path": "{patient}/folder/link/outside.dat"}, True),
        ({"kind": "file", "path": "folder/fill-001.dat"}, True),
        ({"kind": "command", "service": "web", "verb": "start"}, False),
        ({"kind": "command", "service": "web", "verb": "purge"}, True),
        ({"kind": "command", "service": "database", "verb": "start"}, True),
        ({"kind": "volume", "name": "x"}, True),
        ({}, True),
    ],
    ids=str,
)
def test_an_effect_is_the_patients_or_a_bystanders(effect: dict[str, Any], foreign: bool, tmp_path: Path) -> None:
    patient = tmp_path / "patient"
    (patient / "folder/deeper").mkdir(parents=True)
    (patient / "folder/link").symlink_to(tmp_path)
    (patient / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in HISTORY))
    effect = {key: value.format(patient=patient) if isinstance(value, str) else value for key, value in effect.items()}
    remediation = {"steps": [{"outcome": None}, {"outcome": {"effects": [effect]}}]}

    found = foreign_effects([remediation], patient)

    assert found == ([effect] if foreign else [])


def _process(kind: str) -> psutil.Process:
    # another test's child that has ended and is not waited for yet has no arguments to ask for
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    own = [child for child in alive if child.cmdline()[3:5] == [kind, "0123abcd"]]
    assert len(own) == 1
    return own[0]
