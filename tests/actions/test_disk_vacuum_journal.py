"""disk.vacuum_journal with the real journalctl on a journal that a real journald wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import disk_vacuum_journal
from remediator.errors import ActionFailed, Refused
from remediator.journals import look
from remediator.policy.journal import Journal
from remediator.policy.values import Programs
from selfheal.common.clock import SystemClock
from selfheal.common.problems import ConfigError, Problem
from tests.actions.journals import ROUNDS, write_journal
from tests.tools import do_without

DAY = 86_400.0
NAME = "disk.vacuum_journal"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of one machine's real journal."""
    return write_journal(tmp_path_factory.mktemp("journald") / "out")


class Books:
    """A copy of the real journal, whose archived files were last written 8, 6, 4 and 2 days ago."""

    def __init__(self, host: Any, written: Path) -> None:
        self.host = host
        self.top = host.folder / "journal"
        self.folder = self.top / written.name
        shutil.copytree(written, self.folder)
        for age, file in zip((8, 6, 4, 2), self.archived(), strict=True):
            stamp = SystemClock().now() - age * DAY
            os.utime(file, (stamp, stamp))
        self.permit(floor=0, keep=0.0)

    def permit(self, floor: int, keep: float) -> None:
        """Let the journal be vacuumed."""
        self.host.permit(journal=Journal(floor, keep, str(self.top)))

    def archived(self) -> list[Path]:
        """Return the archived files, the oldest first."""
        return sorted(self.folder.glob("*@*.journal"))

    def names(self) -> list[str]:
        """Return the names of the archived files."""
        return [file.name for file in self.archived()]

    def bytes(self) -> int:
        """Return what all files take on the disk."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.iterdir())

    def plan(self, **arguments: object) -> Any:
        """Plan a vacuum."""
        return self.host.plan(NAME, **arguments)

    def run(self, plan: Any) -> Any:
        """Run it."""
        return self.host.run(NAME, plan)


@pytest.fixture
def books(host: Any, written: Path) -> Books:
    """Return a journal of this test's own."""
    return Books(host, written)


def planned(plan: Any) -> list[str]:
    """Return the names of the planned files, in order."""
    return [Path(item["path"]).name for item in plan.items]


@pytest.mark.parametrize(("days", "count"), [(9, 0), (7, 1), (5, 2), (3, 3), (1, 4)])
def test_by_age_the_planned_ones_go_and_no_others(books: Books, days: int, count: int) -> None:
    before = books.names()
    assert len(before) == ROUNDS

    plan = books.plan(older_than=f"{days}d")

    assert planned(plan) == before[:count]
    assert books.names() == before
    if count:
        outcome = books.run(plan)
        assert outcome.ok
        assert [Path(effect["path"]).name for effect in outcome.effects] == before[:count]
        assert books.names() == before[count:]
        assert (books.folder / "system.journal").exists()


@pytest.mark.parametrize("leave", [0, 1, 2, 3, 4])
def test_down_to_removes_the_oldest_until_it_is_small_enough(books: Books, leave: int) -> None:
    before = books.names()
    keep = sum(file.stat().st_blocks * 512 for file in books.archived()[ROUNDS - leave :])
    active = (books.folder / "system.journal").stat().st_blocks * 512

    plan = books.plan(down_to=active + keep)
    outcome = books.run(plan) if plan.items else None

    assert planned(plan) == before[: ROUNDS - leave]
    assert books.names() == before[ROUNDS - leave :]
    if outcome is not None:
        assert outcome.detail["bytes_removed"] == sum(item["size"] for item in plan.items)
        assert "beyond_plan" not in outcome.detail


def test_the_plan_tells_what_journalctl_says_of_each_folder(books: Books) -> None:
    plan = books.plan(older_than="5d")

    (told,) = plan.detail["directories"]
    assert told["directory"] == str(books.folder)
    assert told["bytes"] == books.bytes()
    assert told["disk_usage"].startswith("Archived and active journals take up ")
    assert plan.detail["bytes_planned"] == sum(item["size"] for item in plan.items)


def test_the_floor_is_always_left(books: Books) -> None:
    sizes = [file.stat().st_blocks * 512 for file in books.archived()]
    books.permit(floor=books.bytes() - sizes[0] - 1, keep=0.0)

    assert planned(books.plan(down_to=0)) == books.names()[:1]
    books.permit(floor=books.bytes() - sizes[0] + 1, keep=0.0)
    assert planned(books.plan(down_to=0)) == []


def test_what_the_policy_keeps_is_kept_whatever_the_playbook_says(books: Books) -> None:
    books.permit(floor=0, keep=5 * DAY)

    for arguments in ({"down_to": 0}, {"older_than": "1s"}, {"down_to": 0, "older_than": "0s"}):
        assert planned(books.plan(**arguments)) == books.names()[:2]
    assert planned(books.plan(older_than="7d")) == books.names()[:1]


@pytest.mark.parametrize("stricter", [{"floor": 1 << 40, "keep": 0.0}, {"floor": 0, "keep": 30 * DAY}])
def test_a_policy_made_stricter_since_the_plan_holds(books: Books, stricter: Any) -> None:
    plan = books.plan(older_than="5d")
    before = books.names()
    books.permit(**stricter)

    with pytest.raises(Refused):
        books.run(plan)
    assert books.names() == before


def test_a_redo_after_a_crash_removes_only_what_was_planned(books: Books) -> None:
    plan = books.plan(older_than="5d")
    rest = books.names()[2:]
    books.archived()[0].unlink()

    outcome = books.run(plan)

    assert len(outcome.effects) == 1
    assert books.names() == rest
    again = books.run(plan)
    assert (again.ok, again.effects) == (True, ())
    assert books.names() == rest


def test_an_active_file_that_grows_at_the_last_moment_takes_no_further_file_along(books: Books) -> None:
    before = books.names()
    plan = books.plan(older_than="7d")
    program = books.host.folder / "journalctl"
    grow = f"head -c 1000000 /dev/urandom >> {books.folder}/system.journal"
    program.write_text(f'#!/bin/sh\n{grow}\nexec {shutil.which("journalctl")} "$@"\n')
    program.chmod(0o755)
    books.host.permit(programs=Programs(journalctl=str(program)))

    outcome = books.run(plan)

    assert outcome.ok
    assert books.names() == before[1:]


def test_another_oldest_file_since_the_plan_is_refused(books: Books) -> None:
    plan = books.plan(older_than="7d")
    oldest = books.archived()[0]
    other = oldest.with_name(oldest.name.replace("-00000000000000", "-00000000000000", 1).replace("system@", "user@"))
    shutil.copy2(oldest, other)
    stamp = SystemClock().now() - 20 * DAY
    os.utime(other, (stamp, stamp))
    head, _, tail = other.name.partition("@")
    sequence = tail.split("-")
    earlier = f"{head}@{sequence[0]}-{0:016x}-{1:016x}.journal"
    other.rename(other.with_name(earlier))

    with pytest.raises(Refused, match="other files than the planned ones are the oldest"):
        books.run(plan)
    assert oldest.exists()


def test_a_folder_that_is_another_one_now_is_refused(books: Books) -> None:
    plan = books.plan(older_than="5d")
    books.folder.rename(books.top / "moved")
    shutil.copytree(books.top / "moved", books.folder)

    with pytest.raises(Refused, match="is another folder than the one that was planned"):
        books.run(plan)
    assert len(books.names()) == ROUNDS


def test_only_folders_of_journals_are_looked_at(books: Books) -> None:
    shutil.copytree(books.folder, books.top / "backup")
    (books.top / ("0" * 32)).symlink_to(books.top / "backup")

    plan = books.plan(down_to=0)

    assert {str(Path(item["path"]).parent) for item in plan.items} == {str(books.folder)}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda policy: replace(policy, journal=None), id="not listed"),
        pytest.param(lambda policy: replace(policy, problem=Problem("policy.yml", "", "is another's")), id="broken"),
        pytest.param(lambda policy: replace(policy, journal=Journal(0, 0.0, "/somewhere")), id="elsewhere"),
    ],
)
def test_what_the_policy_does_not_permit_is_refused(books: Books, change: Callable[[Any], Any]) -> None:
    plan = books.plan(older_than="5d")
    books.host.policy = change(books.host.policy)

    with pytest.raises(Refused):
        books.run(plan)
    assert len(books.names()) == ROUNDS


def test_a_stored_path_outside_the_journal_is_refused(books: Books) -> None:
    plan = books.plan(older_than="7d")
    outside = books.host.folder / "outside"
    shutil.copytree(books.folder, outside)
    forged = json.loads(
        json.dumps({"items": plan.items, "detail": plan.detail}).replace(str(books.folder), str(outside))
    )

    with pytest.raises(Refused, match="is no folder of the journal"):
        books.run(replace(plan, items=tuple(forged["items"]), detail=forged["detail"]))
    assert len(list(outside.glob("*@*"))) == ROUNDS


def test_a_journalctl_that_fails_is_a_failure_and_one_that_others_may_write_is_not_run(books: Books) -> None:
    program = books.host.folder / "journalctl"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    books.host.permit(programs=Programs(journalctl=str(program)))

    with pytest.raises(ActionFailed, match="broken"):
        books.plan(older_than="5d")
    program.chmod(0o777)
    with pytest.raises(Refused, match="journalctl"):
        books.plan(older_than="5d")


def second_folder(books: Books) -> Path:
    """Add a further machine's folder, which comes after the first, and return it."""
    found = books.top / f"{'f' * 32}.test"
    shutil.copytree(books.folder, found)
    return found


def have_journalctl_do(books: Books, folder: Path, code: str) -> None:
    """Let `code` be run instead of the real journalctl when that folder is vacuumed."""
    program = books.host.folder / "journalctl"
    case = f'case "$*" in *{folder}*--vacuum-size=*) {code};; esac'
    program.write_text(f'#!/bin/sh\n{case}\nexec {shutil.which("journalctl")} "$@"\n')
    program.chmod(0o755)
    books.host.permit(programs=Programs(journalctl=str(program)))


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("echo broken >&2; exit 1", "broken"),
        ("exec sleep 300", "it took too long"),
        ("kill -9 $$", "killed by SIGKILL"),
    ],
    ids=["fails", "hangs", "is killed"],
)
def test_what_went_before_journalctl_failed_is_told_with_the_failure(books: Books, end: str, why: str) -> None:
    plan = books.plan(older_than="5d")
    size = books.archived()[0].stat().st_blocks * 512
    have_journalctl_do(books, books.folder, f"rm {books.archived()[0]}; {end}")

    outcome = books.host.run(NAME, plan, timeout=5.0)

    assert not outcome.ok
    assert outcome.effects == ({"kind": "file", "path": plan.items[0]["path"], "size": size},)
    assert why in outcome.detail["failed"][0]["why"]
    assert [each["path"] for each in outcome.detail["left_alone"]] == [plan.items[1]["path"]]
    assert "in_doubt" not in outcome.detail


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("echo broken >&2; exit 1", "broken"),
        ("rm -r {second}; exit 1", "what is left cannot be seen"),
        ("exec sleep 300", "it took too long"),
    ],
    ids=["nothing gone", "folder gone", "time over"],
)
def test_what_the_first_folder_lost_is_told_when_the_second_one_fails(books: Books, code: str, why: str) -> None:
    second = second_folder(books)
    plan = books.plan(older_than="5d")
    first = {item["path"] for item in plan.items if item["path"].startswith(f"{books.folder}/")}
    have_journalctl_do(books, second, code.format(second=second))

    outcome = books.host.run(NAME, plan, timeout=5.0)

    assert not outcome.ok
    assert {effect["path"] for effect in outcome.effects} == first
    assert [each["directory"] for each in outcome.detail["failed"]] == [str(second)]
    assert why in outcome.detail["failed"][0]["why"]
    assert outcome.detail.get("in_doubt", False) is (not second.exists())


def test_a_program_that_others_may_write_by_the_second_folder_hides_nothing_of_the_first(books: Books) -> None:
    second = second_folder(books)
    plan = books.plan(older_than="5d")
    have_journalctl_do(books, books.folder, f"chmod 777 {books.host.folder}/journalctl; rm {books.archived()[0]}; exit")

    outcome = books.run(plan)

    assert not outcome.ok
    assert len(outcome.effects) == 1
    assert [each["directory"] for each in outcome.detail["failed"]] == [str(second)]
    assert "journalctl" in outcome.detail["failed"][0]["why"]


def test_nothing_of_the_second_folder_is_begun_once_the_time_is_over(books: Books) -> None:
    second = second_folder(books)
    plan = books.plan(older_than="5d")
    have_journalctl_do(books, books.folder, f"rm {books.archived()[0]}; exec sleep 300")

    outcome = books.host.run(NAME, plan, timeout=5.0)

    assert outcome.detail["failed"][1] == {"directory": str(second), "why": "the time was over"}
    assert len(list(second.glob("*@*.journal"))) == ROUNDS


def test_a_journalctl_that_fails_with_nothing_gone_is_a_known_failure(books: Books) -> None:
    plan = books.plan(older_than="5d")
    have_journalctl_do(books, books.folder, "echo broken >&2; exit 1")

    with pytest.raises(ActionFailed, match="broken"):
        books.run(plan)
    assert len(books.names()) == ROUNDS


def test_without_a_journal_there_is_nothing_to_do(host: Any) -> None:
    host.permit(journal=Journal(0, 0.0, str(host.folder / "none")))

    assert host.plan(NAME, down_to=0).items == ()


def test_one_of_the_two_must_be_said(books: Books) -> None:
    with pytest.raises(ConfigError, match="says neither how far nor how old"):
        books.plan()


def test_a_plan_lists_only_so_many_files_and_says_how_many_more(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_vacuum_journal, "MOST_FILES", 3)

    plan = books.plan(down_to=0)

    assert len(plan.items) == 3
    assert plan.detail["beyond_limit"] == 1


def test_the_order_is_that_of_journalctl_itself(books: Books) -> None:
    # what was not closed well has no number, only its time
    broken = books.folder / f"system@{1:016x}-{2:016x}.journal~"
    shutil.copy2(books.archived()[2], broken)
    ours = [file.name for file in look(str(books.folder), books.host.policy).archived]
    theirs = []
    while len(theirs) < len(ours):
        command = ["journalctl", f"--directory={books.folder}", f"--vacuum-size={books.bytes() - 1}"]
        before = {file.name for file in books.folder.iterdir()}
        subprocess.run(command, capture_output=True, timeout=30, check=True)
        (gone,) = before - {file.name for file in books.folder.iterdir()}
        theirs.append(gone)

    assert ours == theirs


def test_the_top_is_never_vacuumed_together_with_the_machines_below_it(books: Books) -> None:
    """Of a folder with folders of machines below it journalctl vacuums those too, by the one size."""
    plain = books.top / books.folder.name[:32]
    books.folder.rename(plain)
    books.folder = plain
    stray = books.top / books.names()[0]
    shutil.copy2(books.archived()[0], stray)
    before = books.names()

    plan = books.plan(older_than="7d")
    books.run(plan)

    assert {Path(item["path"]).parent for item in plan.items} == {books.folder}
    assert books.names() == before[1:]
    assert stray.exists()


def test_a_machines_folder_with_another_ones_below_it_is_left_alone(books: Books) -> None:
    plan = books.plan(older_than="7d")
    below = books.folder / ("0" * 32)
    shutil.copytree(books.folder, below)

    with pytest.raises(Refused, match="would vacuum the folders below it too"):
        books.run(plan)
    assert books.plan(older_than="7d").items == ()
    assert len(books.names()) == len(list(below.glob("*@*.journal"))) == ROUNDS


def test_a_file_that_was_created_before_all_others_goes_before_them(books: Books) -> None:
    """Of a quiet user's file the first entry, and so the name, can be much younger than the file."""
    quiet = books.folder / f"user-1000@{(1 << 60):016x}-{1:016x}.journal~"
    shutil.copy2(books.archived()[3], quiet)
    try:
        os.setxattr(quiet, "user.crtime_usec", (10**15).to_bytes(8, "little"))
    except OSError:
        do_without("this file system keeps no attributes of users")
    before = books.names()

    plan = books.plan(down_to=books.bytes() - 1)
    outcome = books.run(plan)

    assert planned(plan) == [quiet.name]
    assert "beyond_plan" not in outcome.detail
    assert not quiet.exists()
    assert books.names() == before


@pytest.mark.parametrize(("age", "count"), [(0, 0), (9, 2)])
def test_a_file_without_entries_goes_first_and_only_if_it_is_old_enough(books: Books, age: int, count: int) -> None:
    """journalctl takes such a file along whatever it is asked for."""
    empty = books.folder / f"system@{(1 << 60):016x}-{1:016x}.journal~"
    empty.write_bytes(b"\0" * 100_000)
    stamp = SystemClock().now() - age * DAY
    os.utime(empty, (stamp, stamp))
    books.permit(floor=0, keep=DAY)
    before = books.names()

    plan = books.plan(older_than="7d")

    assert planned(plan) == [empty.name, *before][:count]
    if count:
        assert books.run(plan).ok
        assert books.names() == before[1:]


def test_not_all_of_the_files_without_entries_are_planned_so_none_goes(books: Books) -> None:
    for number in (1, 2):
        empty = books.folder / f"system@{number:016x}-{number:016x}.journal~"
        empty.write_bytes(b"\0" * 100_000)
        stamp = SystemClock().now() - 9 * DAY
        os.utime(empty, (stamp, stamp))
    plan = books.plan(down_to=books.bytes() - 1)
    assert len(plan.items) == 1

    with pytest.raises(Refused, match="without entries"):
        books.run(plan)
    assert len(list(books.folder.glob("*~"))) == 2
