"""disk.clean on real folders: the oldest first, no further than asked, and only what was planned."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import disk_clean
from remediator.errors import Refused
from remediator.model import Plan
from remediator.policy import Root
from selfheal.common.clock import SystemClock


@pytest.fixture
def root(host: Any) -> Path:
    """Return a permitted root with five files of 1000 bytes, f1 (10 s old) to f5 (50 s old), in different folders."""
    path = host.folder / "root"
    for number in range(1, 6):
        put(path / ("sub" if number % 2 else ".") / f"f{number}", number * 10.0)
    host.permit_root(path)
    return path


def put(path: Path, age: float, size: int = 1000) -> Path:
    """Write a file that was last written `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    written = SystemClock().now() - age
    os.utime(path, (written, written))
    return path


def names(plan: Plan) -> list[str]:
    """Return the names of the planned files, in order."""
    return [Path(item["path"]).name for item in plan.items]


def left(root: Path) -> set[str]:
    """Return the names of the files that are still there."""
    return {path.name for path in root.rglob("*") if path.is_file()}


def clean(host: Any, root: Path, **arguments: object) -> Plan:
    """Plan a cleaning of the root."""
    return host.plan("disk.clean", root=str(root), **arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"down_to": 5000}, []),
        ({"down_to": 4999}, ["f5"]),
        ({"down_to": "2kB"}, ["f5", "f4", "f3"]),
        ({"down_to": 0}, ["f5", "f4", "f3", "f2", "f1"]),
        ({"older_than": "35s"}, ["f5", "f4"]),
        ({"older_than": "1h"}, []),
        ({"down_to": 1000, "older_than": "35s"}, ["f5", "f4"]),
        ({"down_to": 4000, "older_than": "15s"}, ["f5"]),
    ],
)
def test_the_oldest_are_chosen_first_and_no_more_than_needed(
    host: Any, root: Path, arguments: dict[str, object], expected: list[str]
) -> None:
    assert names(clean(host, root, **arguments)) == expected


def test_the_policys_age_holds_whatever_the_playbook_says(host: Any, root: Path) -> None:
    host.permit(roots=())
    host.permit_root(root, older_than=35.0)

    assert names(clean(host, root, down_to=0)) == ["f5", "f4"]
    assert names(clean(host, root, older_than="0s")) == ["f5", "f4"]
    assert names(clean(host, root, older_than="45s")) == ["f5"]


def test_the_newest_that_the_policy_keeps_are_kept(host: Any, root: Path) -> None:
    host.permit(roots=())
    host.permit_root(root, keep=3)

    assert names(clean(host, root, down_to=0)) == ["f5", "f4"]


def test_the_plan_says_what_it_is_made_of(host: Any, root: Path) -> None:
    (root / "link").symlink_to("f2")

    plan = clean(host, root, down_to=3500)

    found = (root / "sub/f5").stat()
    assert plan.items[0] == {
        "kind": "file",
        "path": f"{root}/sub/f5",
        "size": 1000,
        "modified_ns": found.st_mtime_ns,
        "inode": found.st_ino,
    }
    assert plan.detail["bytes_before"] == 5000
    assert plan.detail["files_before"] == 5
    assert plan.detail["bytes_planned"] == 2000
    assert plan.detail["left_out"] == {"not a regular file": 1}


def test_exactly_the_planned_files_are_removed(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=3500)
    put(root / "older", 1000.0)

    outcome = host.run("disk.clean", plan)

    assert outcome.ok
    assert outcome.effects == (
        {"kind": "file", "path": f"{root}/sub/f5", "size": 1000},
        {"kind": "file", "path": f"{root}/f4", "size": 1000},
    )
    assert outcome.detail["bytes_removed"] == 2000
    assert left(root) == {"f1", "f2", "f3", "older"}
    assert (root / "sub").is_dir()
    assert host.points == ["effect_begun", "effect_done"]


def test_nothing_outside_the_root_is_touched(host: Any, root: Path) -> None:
    outside = put(host.folder / "outside/file", 1000.0)
    (root / "link").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)

    host.run("disk.clean", clean(host, root, down_to=0))

    assert outside.exists()
    assert (root / "link").is_symlink()
    assert left(root / "sub") == set()


def test_a_redo_removes_nothing_that_came_since(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=3500)
    host.run("disk.clean", plan)
    # the same name again, as old as the one before
    put(root / "f4", 40.0)

    outcome = host.run("disk.clean", plan)

    assert outcome.ok
    assert outcome.effects == ()
    assert "f4" in left(root)


def test_a_redo_after_everything_is_gone_is_done(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=3500)
    host.run("disk.clean", plan)

    outcome = host.run("disk.clean", plan)

    assert (outcome.ok, outcome.effects, outcome.detail["bytes_removed"]) == (True, (), 0)


def test_a_root_that_is_gone_is_nothing_to_do(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)
    shutil.rmtree(root)

    outcome = host.run("disk.clean", plan)

    assert (outcome.ok, outcome.effects) == (True, ())
    assert clean(host, root, down_to=0).items == ()


def test_a_root_swapped_for_a_link_between_plan_and_run_is_refused(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)
    root.rename(host.folder / "moved")
    root.symlink_to(host.folder / "moved")

    with pytest.raises(Refused, match="'root' on the way is a link"):
        host.run("disk.clean", plan)
    with pytest.raises(Refused, match="'root' on the way is a link"):
        clean(host, root, down_to=0)

    assert left(host.folder / "moved") == {"f1", "f2", "f3", "f4", "f5"}


def test_a_root_swapped_for_another_folder_between_plan_and_run_is_refused(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)
    root.rename(host.folder / "moved")
    shutil.copytree(host.folder / "moved", root)

    with pytest.raises(Refused, match="is another folder than the one that was planned"):
        host.run("disk.clean", plan)

    assert left(root) == {"f1", "f2", "f3", "f4", "f5"}
    assert host.points == []


def test_a_folder_swapped_for_a_link_between_plan_and_run_is_refused_and_the_rest_is_done(
    host: Any, root: Path
) -> None:
    plan = clean(host, root, down_to=0)
    (root / "sub").rename(host.folder / "moved")
    (root / "sub").symlink_to(host.folder / "moved")

    outcome = host.run("disk.clean", plan)

    assert outcome.ok
    assert outcome.detail["refused_count"] == 3
    assert left(host.folder / "moved") == {"f1", "f3", "f5"}
    assert not (root / "f2").exists()


def test_when_nothing_of_the_plan_may_be_removed_it_is_refused(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=4000)
    (root / "sub").rename(host.folder / "moved")
    (root / "sub").symlink_to(host.folder / "moved")

    with pytest.raises(
        Refused, match="nothing of 1 files may be removed any more; the first: 'sub' on the way is a link"
    ):
        host.run("disk.clean", plan)


@pytest.mark.parametrize("path", ["ROOT/../outside", "/etc/passwd", "ROOT", "ROOTx/f"])
def test_a_stored_plan_that_leaves_its_root_is_refused(host: Any, root: Path, path: str) -> None:
    outside = put(host.folder / "outside", 100.0)
    plan = clean(host, root, down_to=4000)
    stored = replace(plan, items=({**plan.items[0], "path": path.replace("ROOT", str(root))},))

    with pytest.raises(Refused, match=r"not below|plain path below"):
        host.run("disk.clean", stored)

    assert outside.exists()


@pytest.mark.parametrize("protected", [".", "root", "root/sub", "root/f2", "root/not/there"])
def test_a_root_that_overlaps_something_protected_is_refused(host: Any, root: Path, protected: str) -> None:
    plan = clean(host, root, down_to=0)
    host.permit(protected=(host.folder / protected,))

    with pytest.raises(Refused, match="protected"):
        clean(host, root, down_to=0)
    with pytest.raises(Refused, match="protected"):
        host.run("disk.clean", plan)

    assert len(left(root)) == 5


def test_a_root_that_is_not_permitted_any_more_is_refused(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)
    host.permit(roots=())

    with pytest.raises(Refused, match="is not permitted"):
        host.run("disk.clean", plan)

    assert len(left(root)) == 5


def test_a_plan_of_thousands_is_bounded_and_says_what_it_leaves_out(
    host: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_clean, "MOST_FILES", 3)

    plan = clean(host, root, down_to=0)

    assert names(plan) == ["f5", "f4", "f3"]
    assert plan.detail["beyond_limit"] == {"files": 2, "bytes": 2000}
    assert plan.detail["bytes_planned"] == 3000


def test_thousands_of_files_are_planned_and_removed_in_time(host: Any) -> None:
    root = host.folder / "many"
    root.mkdir()
    for number in range(disk_clean.MOST_FILES + 500):
        (root / f"{number}").touch()
    host.permit_root(root)

    plan = clean(host, root, older_than="0s")
    outcome = host.run("disk.clean", plan)

    assert len(plan.items) == len(outcome.effects) == disk_clean.MOST_FILES
    assert plan.detail["beyond_limit"] == {"files": 500, "bytes": 0}
    assert len(left(root)) == 500


def test_when_the_time_is_over_the_rest_is_left_and_told(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)

    outcome = host.run("disk.clean", plan, timeout=0.0)

    assert not outcome.ok
    assert outcome.detail["failed"] == [{"why": "the time was over", "files": 5}]
    assert len(left(root)) == 5


def test_a_file_with_two_names_counts_once(host: Any, root: Path) -> None:
    (root / "again").hardlink_to(root / "f4")

    assert clean(host, root, down_to=4999).detail["bytes_before"] == 5000


def test_hostile_names_are_removed_like_any_other(host: Any) -> None:
    root = host.folder / "hostile"
    hostile = ["$(reboot)", "; rm -rf x", "a\nb", "-rf", "*", "~", "한국어", "{{ x }}", "'\"", "..."]
    for name in hostile:
        put(root / name, 100.0)
    bystander = put(host.folder / "bystander", 100.0)
    host.permit_root(root)

    outcome = host.run("disk.clean", clean(host, root, down_to=0))

    assert {Path(effect["path"]).name for effect in outcome.effects} == set(hostile)
    assert left(root) == set()
    assert bystander.exists()


@pytest.mark.parametrize(
    ("floor", "arguments", "expected", "kept"),
    [
        (0, {"down_to": 0}, ["f5", "f4", "f3", "f2", "f1"], None),
        (2000, {"down_to": 0}, ["f5", "f4", "f3"], 2),
        (2001, {"down_to": 0}, ["f5", "f4"], 3),
        (2000, {"older_than": "35s"}, ["f5", "f4"], None),
        (4000, {"older_than": "35s"}, ["f5"], 1),
        (2000, {"down_to": 3500}, ["f5", "f4"], None),
        # the file that would end below the floor is the last that is needed
        (4500, {"down_to": 4500}, [], 1),
        (9000, {"down_to": 0}, [], 5),
    ],
)
def test_the_floor_is_always_left(
    host: Any, root: Path, floor: int, arguments: dict[str, object], expected: list[str], kept: int | None
) -> None:
    host.permit(roots=(Root(str(root), 0.0, 0, floor),))

    plan = clean(host, root, **arguments)

    assert names(plan) == expected
    assert plan.detail.get("kept_by_floor") == kept


def test_a_floor_raised_or_reached_since_the_plan_holds_at_the_moment_of_removal(host: Any, root: Path) -> None:
    plan = clean(host, root, down_to=0)
    host.permit(roots=(Root(str(root), 0.0, 0, 3000),))
    # somebody else has removed one meanwhile
    (root / "sub/f1").unlink()

    outcome = host.run("disk.clean", plan)

    assert outcome.ok
    assert left(root) == {"f2", "f3", "f4"}
    assert outcome.detail["left_alone_count"] == 3
    assert outcome.detail["left_alone"][0]["why"] == "the floor of 3000 bytes would not be left"
    assert outcome.detail["gone_already"] == 1


def test_the_outcome_names_every_file_that_was_removed(host: Any, root: Path) -> None:
    for number in range(60):
        put(root / f"many/n{number}", 100.0)

    outcome = host.run("disk.clean", clean(host, root, down_to=0))

    assert len(outcome.effects) == outcome.detail["files_removed"] == 65
    assert {Path(effect["path"]).name for effect in outcome.effects} == {
        *(f"f{number}" for number in range(1, 6)),
        *(f"n{number}" for number in range(60)),
    }


def test_a_plan_holds_only_so_many_bytes_of_paths_and_tells_the_rest_as_a_number(
    host: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # sub/f5, f4 and sub/f3 are 14 bytes
    monkeypatch.setattr(disk_clean, "MOST_PATHS", 14)

    plan = clean(host, root, down_to=0)

    assert names(plan) == ["f5", "f4", "f3"]
    assert plan.detail["beyond_limit"] == {"files": 2, "bytes": 2000}


def test_a_hole_in_a_file_is_nothing_that_is_left(host: Any, root: Path) -> None:
    """Whoever may write there could otherwise lift the floor by a file that is long and holds nothing."""
    with (root / "hole").open("wb") as file:
        file.truncate(1 << 30)
    host.permit(roots=(Root(str(root), 0.0, 0, 0),))
    everything = clean(host, root, older_than="10s")
    host.permit(roots=(Root(str(root), 0.0, 0, 2000),))

    plan = clean(host, root, older_than="10s")
    outcome = host.run("disk.clean", everything)

    assert names(plan) == ["f5", "f4", "f3"]
    assert outcome.detail["files_removed"] == 3
    assert left(root) == {"f2", "f1", "hole"}


def test_a_root_below_a_root_is_kept_by_its_own_rule_alone(host: Any, root: Path) -> None:
    host.permit(roots=(Root(str(root), 0.0),))
    stored = clean(host, root, down_to=0)
    host.permit(roots=(Root(str(root), 0.0), Root(str(root / "sub"), 3600.0, 0, 1 << 30)))

    plan = clean(host, root, down_to=0)
    outcome = host.run("disk.clean", stored)

    assert names(plan) == ["f4", "f2"]
    assert plan.detail["left_out"] == {"protected": 1}
    assert left(root) == {"f5", "f3", "f1"}
    assert outcome.detail["refused_count"] == 3
