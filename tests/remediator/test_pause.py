"""The pause files: whatever is wrong with one, it pauses, and never less than its name may mean."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator import address, pause
from remediator.model import Pause, Scope


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


HEAL, SHOP = "restart_service", "web-1/service:shop"
LONG = "sha256-" + hashlib.sha256(("web-1/disk:" + "한" * 80).encode()).hexdigest()


def mark(state: Path, name: str, content: bytes = b"") -> Path:
    path = state / pause.FOLDER / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (Scope(), "pause"),
        (Scope(HEAL), "pause.d/playbook=restart_service"),
        (Scope("", SHOP), "pause.d/target=web-1%2Fservice:shop"),
        (Scope(HEAL, SHOP), "pause.d/playbook=restart_service,target=web-1%2Fservice:shop"),
        (Scope("", "web-1/disk:/var/a,b=%"), "pause.d/target=web-1%2Fdisk:%2Fvar%2Fa%2Cb%3D%25"),
        (Scope(HEAL, "web-1/disk:" + "한" * 80), f"pause.d/playbook={HEAL},target={LONG}"),
    ],
)
def test_each_scope_has_a_file_of_its_own_that_brings_it_back(tmp_path: Path, scope: Scope, name: str) -> None:
    wanted = Pause("kim", "migration", 2_000.0, True, scope)

    assert pause.write(pause.path_of(tmp_path, scope), wanted) is True

    assert pause.read_all(tmp_path, 1_000.0) == {name: wanted}
    assert pause.read_all(tmp_path, 2_000.0) == {}


@given(st.text(min_size=1, max_size=300).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_a_target_of_any_name_is_paused_by_its_file_and_nothing_beside_it(name: str) -> None:
    scope = Scope("", f"h/item:{name}")
    path = pause.path_of(Path("state"), scope)
    holds = json.dumps({"target": scope.target}).encode()

    assert path.parent == Path("state") / pause.FOLDER
    assert len(path.name.encode()) <= 255
    assert not path.name.startswith(".")
    assert pause._parse(holds, pause._scope_of(path.name), path.name).scope == scope


@pytest.mark.parametrize(
    ("playbook", "target", "kept"),
    [
        (HEAL, SHOP, "playbook"),
        (HEAL, "web-1/service:mail", "playbook"),
        ("clean_directory", SHOP, "target"),
        ("clean_directory", "web-1/service:mail", None),
    ],
)
def test_only_what_a_pause_is_about_is_kept_back(tmp_path: Path, playbook: str, target: str, kept: str | None) -> None:
    for scope, who in ((Scope(HEAL), "playbook"), (Scope("", SHOP), "target")):
        until = 3_000.0 if scope.playbook else 2_000.0
        pause.write(pause.path_of(tmp_path, scope), Pause(who, "", until, scope=scope))

    found = pause.read_for(tmp_path, playbook, target, 1_000.0)

    assert (None if found is None else found.who) == kept


def test_of_several_a_hard_one_counts_and_then_the_longest(tmp_path: Path) -> None:
    pause.write(tmp_path / pause.NAME, Pause("long", "", None))
    pause.write(pause.path_of(tmp_path, Scope(HEAL)), Pause("hard", "", 2_000.0, True, Scope(HEAL)))
    pause.write(pause.path_of(tmp_path, Scope("", SHOP)), Pause("short", "", 3_000.0, scope=Scope("", SHOP)))

    found = [pause.read_for(tmp_path, HEAL, SHOP, now) for now in (1_000.0, 2_000.0)]

    assert [each.who for each in found if each] == ["hard", "long"]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("playbook=restart_service", Scope(HEAL)),
        ("target=web-1%2fservice:shop", Scope("", SHOP)),
        ("target=web-1%2Fservice:shop,playbook=restart_service", Scope(HEAL, SHOP)),
        ("playbook=restart_service~", Scope()),
        ("playbook=Restart", Scope()),
        ("playbook=", Scope()),
        ("playbook=a,playbook=b", Scope()),
        ("target=web-1", Scope()),
        ("target=web-1%2Fservice:shop,host=web-1", Scope()),
        ("restart_service", Scope()),
        ("target=sha256-00", Scope()),
        ("playbook=restart_service,target=sha256-00", Scope(HEAL)),
    ],
)
@pytest.mark.parametrize("content", [b"", b"{", b'{"target": "web-9/item:x", "playbook": "other"}'])
def test_a_mark_pauses_what_its_name_says_and_everything_when_that_says_nothing(
    tmp_path: Path, name: str, scope: Scope, content: bytes
) -> None:
    mark(tmp_path, name, content)

    assert [each.scope for each in pause.read_all(tmp_path, 0.0).values()] == [scope]
    assert pause.read_for(tmp_path, HEAL, SHOP, 0.0) is not None
    assert (pause.read_for(tmp_path, "another", "web-9/item:x", 0.0) is not None) is (scope == Scope())


def test_files_on_their_way_are_no_pauses(tmp_path: Path) -> None:
    mark(tmp_path, ".playbook=restart_service.7.7.new")
    pause.sign(tmp_path, pause.NAME, "kim")

    assert pause.read_all(tmp_path, 0.0) == {}
    assert pause.read_for(tmp_path, HEAL, SHOP, 0.0) is None


def test_a_folder_that_cannot_be_listed_pauses_everything(tmp_path: Path) -> None:
    (tmp_path / pause.FOLDER).write_text("")

    assert pause.read_all(tmp_path, 0.0) == {pause.FOLDER: pause.BROKEN}
    assert pause.read_for(tmp_path, "any", "any", 0.0) == pause.BROKEN


def test_who_ended_a_pause_is_told_once(tmp_path: Path) -> None:
    pause.sign(tmp_path, "pause", "kim")
    pause.sign(tmp_path, "pause.d/playbook=heal", "lee")
    with (tmp_path / pause.FOLDER / ".resumed").open("a") as file:
        file.write("{broken\n[]\n")

    assert pause.signed(tmp_path) == {"pause": "kim", "pause.d/playbook=heal": "lee"}
    assert pause.signed(tmp_path) == {}


def test_on_a_full_disk_a_scoped_mark_still_pauses_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pause, "write_atomic", full)
    scope = Scope(HEAL)

    assert pause.write(pause.path_of(tmp_path, scope), Pause("kim", "", 2_000.0, scope=scope)) is False
    assert [each.scope for each in pause.read_all(tmp_path, 9e12).values()] == [scope]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_belongs_to_the_owner_of_the_state(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)

    pause.write(pause.path_of(tmp_path, Scope(HEAL)), Pause("root", "", None, scope=Scope(HEAL)))
    pause.write(tmp_path / pause.NAME, Pause("root", "", None))

    written = [tmp_path / pause.NAME, tmp_path / pause.FOLDER, pause.path_of(tmp_path, Scope(HEAL))]
    assert [path.stat().st_uid for path in written] == [12_345] * 3
