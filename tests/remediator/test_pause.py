"""The pause file: whatever is wrong with it, it pauses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from remediator import address, pause
from remediator.model import Pause


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / pause.NAME


@pytest.mark.parametrize("wanted", [Pause("kim", "migration", 2_000.0, True), Pause("", "", None)], ids=["all", "bare"])
def test_what_is_written_is_read(file: Path, wanted: Pause) -> None:
    assert pause.write(file, wanted) is True

    assert pause.read(file, 1_000.0) == wanted
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_file_is_no_pause(file: Path) -> None:
    assert pause.read(file, 0.0) is None
    assert pause.read(file.parent / "no folder" / pause.NAME, 0.0) is None
    assert pause.clear(file) is False


@pytest.mark.parametrize(("now", "paused"), [(1_999.9, True), (2_000.0, False), (2_000.1, False)])
def test_a_pause_ends_by_itself(file: Path, now: float, paused: bool) -> None:
    pause.write(file, Pause("kim", "", 2_000.0))

    assert (pause.read(file, now) is not None) is paused


def test_clearing_ends_it(file: Path) -> None:
    pause.write(file, Pause("kim", "", None))

    assert pause.clear(file) is True
    assert pause.read(file, 0.0) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"true",
        b'{"who": 5}',
        b'{"why": null}',
        b'{"hard": "no"}',
        b'{"until": "2026-01-01T00:00:00Z"}',
        b'{"until": true}',
        b'{"until": NaN}',
        b'{"until": Infinity}',
        b"[" * 100_000,
        b'{"until": 1, "who": "' + b"x" * 100_000,
    ],
)
def test_a_broken_file_pauses_without_an_end(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert pause.read(file, 9e12) == pause.BROKEN


def test_a_file_that_cannot_be_read_pauses(file: Path) -> None:
    file.mkdir()

    assert pause.read(file, 0.0) == pause.BROKEN


def test_unknown_fields_are_left_alone(file: Path) -> None:
    file.write_text(json.dumps({"who": "kim", "ticket": 7}))

    assert pause.read(file, 0.0) == Pause("kim", "", None)


def test_on_a_full_disk_the_bare_mark_still_pauses(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_size:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)

    assert pause.write(file, Pause("kim", "migration", 2_000.0)) is False
    assert pause.read(file, 9e12) == pause.BROKEN
    assert [path.name for path in file.parent.iterdir()] == [pause.NAME]


def test_a_link_in_place_of_the_file_is_not_followed_by_writing(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    file.symlink_to(target)

    pause.write(file, Pause("kim", "", None))

    assert target.read_text() == "kept"
    assert not file.is_symlink()


def test_the_address_is_remembered_until_it_is_cleared(tmp_path: Path) -> None:
    assert address.read(tmp_path) is None
    address.write(tmp_path, "http://127.0.0.1:9977")
    assert address.read(tmp_path) == "http://127.0.0.1:9977"
    address.clear(tmp_path)
    address.clear(tmp_path)
    assert address.read(tmp_path) is None
