"""The workspace collector on real repositories, made and changed by git itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest

from exporter.collectors import workspace
from exporter.config import make_parser
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from exporter.workspace.lines import LineCounter
from exporter.workspace.model import Lines, LongFiles, Tree, Upstream
from exporter.workspace.tree import TreeReader
from selfheal.common.clock import ManualClock, SystemClock
from tests.exporter.trees import values


def git(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Run git without any configuration of this machine."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout.strip()


def commit(folder: Path, **files: str) -> None:
    """Write files and commit them; `a__b` is `a/b`."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, one="1\n", two="2\n", three="3\n", sub__four="4\n")
    return folder


@pytest.fixture
def clone(origin: Path) -> Path:
    folder = origin.parent / "clone"
    git(origin.parent, "clone", "--quiet", str(origin), str(folder))
    return folder


def read(folder: Path, upstream: str | None = None) -> Tree:
    return TreeReader(folder, upstream).read()


CLEAN = Tree(0, 0, 0, None, 0, Upstream(0, 0, 0, None))


def test_a_fresh_clone_has_nothing_to_tell(clone: Path) -> None:
    assert read(clone) == CLEAN


def test_changed_untracked_ignored_and_deleted_files(clone: Path) -> None:
    (clone / ".git/info/exclude").write_text("*.log\n")
    (clone / "one").write_text("changed\n")
    (clone / "two").write_text("staged\n")
    git(clone, "add", "two")
    (clone / "three").unlink()
    (clone / "new").write_text("new\n")
    (clone / "folder").mkdir()
    for name in ("a", "b"):
        (clone / "folder" / name).write_text("new\n")
    (clone / "x.log").write_text("ignored\n")
    os.utime(clone / "one", (2000.0, 2000.0))
    os.utime(clone / "two", (1000.5, 1000.5))
    os.utime(clone / "x.log", (5.0, 5.0))

    tree = read(clone)

    # as git status counts: the untracked folder once, the ignored file not
    assert len(git(clone, "status", "--porcelain").splitlines()) == 5
    assert (tree.changed, tree.untracked, tree.unmerged) == (3, 2, 0)
    assert tree.oldest_change == 1000.5


def test_a_name_that_is_no_text_is_counted_too(clone: Path) -> None:
    name = os.fsencode(str(clone)) + b"/\xff\xfe"
    with open(name, "wb") as file:
        file.write(b"new")
    untracked = read(clone)
    git(clone, "add", "--all")
    staged = read(clone)
    git(clone, "commit", "--quiet", "--message", "odd")

    assert (untracked.untracked, staged.changed) == (1, 1)
    assert read(clone).changed == 0


def test_stashes_are_counted(clone: Path) -> None:
    for text in ("a", "b"):
        (clone / "one").write_text(text)
        git(clone, "stash")

    assert read(clone).stashes == 2


def test_ahead_and_behind_without_conflict(origin: Path, clone: Path) -> None:
    commit(clone, two="mine\n")
    commit(origin, one="theirs\n")
    commit(origin, three="theirs\n")
    git(clone, "fetch", "--quiet")
    os.utime(clone / ".git/FETCH_HEAD", (3000.0, 3000.0))

    assert read(clone).upstream == Upstream(1, 2, 0, 3000.0)


def test_conflicts_of_a_merge_are_found_and_nothing_is_touched(origin: Path, clone: Path) -> None:
    commit(clone, one="mine\n", two="mine\n", sub__four="mine\n")
    commit(origin, one="theirs\n", two="theirs\n", three="theirs\n")
    git(clone, "fetch", "--quiet")
    before = {path: path.stat().st_mtime_ns for path in sorted(clone.rglob("*"))}

    tree = read(clone)

    assert tree.upstream is not None
    assert tree.upstream[:3] == (1, 1, 2)
    assert (tree.changed, tree.untracked, tree.unmerged) == (0, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in sorted(clone.rglob("*"))} == before


def test_a_reader_notices_new_commits_on_both_sides(origin: Path, clone: Path) -> None:
    reader = TreeReader(clone, None)
    first = reader.read()
    commit(origin, one="theirs\n")
    git(clone, "fetch", "--quiet")
    second = reader.read()
    commit(clone, one="mine\n")
    third = reader.read()

    found = [tree.upstream[:3] if tree.upstream else None for tree in (first, second, third)]
    assert found == [(0, 0, 0), (0, 1, 0), (1, 1, 1)]


def test_a_merge_under_way_has_unmerged_files_of_every_kind(origin: Path, clone: Path) -> None:
    commit(clone, one="mine\n", new="mine\n", sub__four="mine\n")
    git(clone, "rm", "--quiet", "three")
    git(clone, "commit", "--quiet", "--message", "without three")
    commit(origin, three="theirs\n", new="theirs\n", sub__four="theirs\n", two="theirs\n")
    git(origin, "rm", "--quiet", "one")
    git(origin, "commit", "--quiet", "--message", "without one")
    git(clone, "fetch", "--quiet")
    foreseen = read(clone).upstream
    git(clone, "merge", "--quiet", "origin/main", fails=True)

    tree = read(clone)

    found = {line[:2] for line in git(clone, "status", "--porcelain").splitlines()}
    assert found == {"AA", "UD", "DU", "UU", "M "}
    assert (tree.changed, tree.unmerged) == (1, 4)
    assert foreseen is not None
    assert foreseen.conflicts == 4


def test_another_branch_can_be_named_as_upstream(clone: Path) -> None:
    git(clone, "branch", "release")
    commit(clone, one="mine\n")

    assert read(clone, "release").upstream == Upstream(1, 0, 0, None)
    assert read(clone, "origin/main").upstream == Upstream(1, 0, 0, None)
    with pytest.raises(ValueError, match=r"^there is no branch origin/gone; fetch it, or name another as upstream$"):
        read(clone, "origin/gone")


def test_trees_without_an_upstream(origin: Path, clone: Path) -> None:
    assert read(origin).upstream is None
    git(clone, "checkout", "--quiet", "--detach")
    assert read(clone).upstream is None
    # followed, but never fetched
    git(clone, "checkout", "--quiet", "main")
    git(clone, "config", "branch.main.merge", "refs/heads/gone")
    assert read(clone).upstream is None


def test_a_tree_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "staged").write_text("x")
    git(tmp_path, "add", "staged")
    (tmp_path / "new").write_text("x")

    tree = read(tmp_path)

    assert (tree.changed, tree.untracked, tree.upstream) == (1, 1, None)


def test_a_linked_work_tree_and_its_fetches(origin: Path, clone: Path) -> None:
    git(clone, "fetch", "--quiet")
    os.utime(clone / ".git/FETCH_HEAD", (3000.0, 3000.0))
    linked = clone.parent / "linked"
    git(clone, "worktree", "add", "--quiet", "-b", "topic", str(linked), "origin/main")
    git(linked, "branch", "--set-upstream-to", "origin/main")
    (linked / "one").write_text("changed")

    tree = read(linked)

    assert tree.changed == 1
    assert tree.upstream == Upstream(0, 0, 0, 3000.0)


def test_what_is_no_work_tree_is_told_with_its_reason(tmp_path: Path, clone: Path) -> None:
    bare = tmp_path / "bare"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    (tmp_path / "plain").mkdir()

    with pytest.raises(ValueError, match=f"^{bare} is a bare repository; name a work tree$"):
        read(bare)
    with pytest.raises(ValueError, match=f"^{tmp_path}/gone is no folder$"):
        read(tmp_path / "gone")
    with pytest.raises(ValueError, match=f"^{tmp_path}/plain is no work tree of git$"):
        read(tmp_path / "plain")
    # the folder inside a tree is none, although git would look above it
    with pytest.raises(ValueError, match=f"^{clone}/sub is no work tree of git$"):
        read(clone / "sub")


@pytest.mark.parametrize("damage", ["index", "HEAD", "objects", "config", "pack"])
def test_damaged_data_of_git_is_told_and_never_ends_the_program(clone: Path, damage: str) -> None:
    if damage == "objects":
        shutil.rmtree(clone / ".git/objects")
        (clone / ".git/objects").mkdir()
    elif damage == "pack":
        git(clone, "repack", "-q", "-a", "-d")
        (pack,) = (clone / ".git/objects/pack").glob("*.pack")
        shutil.rmtree(clone / ".git/logs")
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40] + b"\xff" * 200)
    else:
        (clone / ".git" / damage).write_bytes(b"[nonsense\n" * 40)

    with pytest.raises(ValueError) as caught:
        read(clone)

    told = str(caught.value)
    assert told == f"{clone} is no work tree of git" or re.fullmatch(
        f"git's data of {clone} cannot be read \\(.+\\)", told
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_tree_of_another_user_is_refused_with_the_remedy(clone: Path) -> None:
    os.chown(clone, 12345, 12345)
    os.chown(clone / ".git", 12345, 12345)

    with pytest.raises(ValueError) as caught:
        read(clone)

    assert str(caught.value) == (
        f"{clone} belongs to another user, and git reads no such work tree unless told so; "
        f"run git config --global --add safe.directory {clone} as the user of the exporter"
    )


def test_a_large_tree_does_not_hold_up_other_threads(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for number in range(60):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        for name in range(100):
            (folder / f"f{name}").write_text("x\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "much")
    for path in tmp_path.glob("folder*/f*"):
        # another time, the same contents: all of it must be read again
        os.utime(path, (1000.0, 1000.0))
    clock = SystemClock()
    took: list[float] = []

    def look() -> None:
        begun = clock.monotonic()
        assert read(tmp_path).changed == 0
        took.append(clock.monotonic() - begun)

    thread = threading.Thread(target=look)
    longest = 0.0
    last = clock.monotonic()
    thread.start()
    while thread.is_alive():
        now = clock.monotonic()
        longest, last = max(longest, now - last), now
        os.sched_yield()
    thread.join()

    # a call that keeps the interpreter would hold this loop for all of it
    assert longest < took[0] / 2


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "workspace.yml"
    path.write_text(text)
    return path


def collector(config: Path, rootfs: Path = Path("/")) -> workspace.WorkspaceCollector:
    flags = make_parser().parse_args(["--collector.workspace.config", str(config)])
    return workspace.create(Settings(Paths(rootfs=rootfs), SystemClock(), flags, once=True))


def test_everything_of_a_tree_is_on_the_first_page(tmp_path: Path, origin: Path, clone: Path) -> None:
    commit(clone, one="mine\n", long="x\n" * 101, sub__vendor="x\n" * 999, image="\0\n" * 999)
    commit(origin, one="theirs\n")
    git(clone, "fetch", "--quiet")
    os.utime(clone / ".git/FETCH_HEAD", (3000.0, 3000.0))
    (clone / "coverage.xml").write_text('<coverage lines-valid="200" lines-covered="150"/>')
    os.utime(clone / "coverage.xml", (4000.0, 4000.0))
    config = write(
        tmp_path,
        """
workspaces:
  shop:
    path: /clone
    long_files: {lines: 100, exclude: [sub/*]}
    coverage: coverage.xml
""",
    )

    with closing(collector(config, tmp_path)) as collect:
        page = values(collect())

    own = {
        series.removeprefix("selfheal_workspace_").replace('{workspace="shop"}', ""): value
        for series, value in page.items()
        if series.startswith("selfheal_workspace_")
    }
    age = float(own.pop("unsaved_age_seconds"))
    assert age == pytest.approx(SystemClock().now() - 4000.0, rel=1e-3)
    assert own == {
        "changed_files": "0",
        "untracked_files": "1",
        "unmerged_files": "0",
        "oldest_change_timestamp_seconds": "4000.0",
        "unsaved_files": "1",
        "stash_entries": "0",
        "has_upstream": "1",
        "ahead_commits": "1",
        "behind_commits": "1",
        "merge_conflict_files": "1",
        "fetch_timestamp_seconds": "3000.0",
        "measured_files": "4",
        "long_files": "1",
        "longest_file_lines": "101",
        "long_file_limit_lines": "100",
        "coverage_lines": "200",
        "coverage_covered_lines": "150",
        "coverage_branches": "0",
        "coverage_covered_branches": "0",
        "coverage_timestamp_seconds": "4000.0",
    }
    stamps = {series for series in page if series.startswith("selfheal_collector_refresh_timestamp_seconds")}
    assert stamps == {
        f'selfheal_collector_refresh_timestamp_seconds{{collector="workspace",source="{source}"}}'
        for source in ("shop", "shop/long_files", "shop/coverage")
    }


def test_one_tree_that_fails_costs_the_others_nothing(tmp_path: Path, clone: Path) -> None:
    config = write(
        tmp_path,
        f"workspaces: {{good: {{path: {clone}, coverage: none.xml}}, bad: {{path: {tmp_path}/gone}}}}",
    )

    with closing(collector(config)) as collect, pytest.raises(IncompleteError) as caught:
        collect()

    assert str(caught.value) == (
        f"good/coverage: [Errno 2] No such file or directory: '{clone}/none.xml'; bad: {tmp_path}/gone is no folder"
    )
    page = values(caught.value.families)
    assert page['selfheal_workspace_changed_files{workspace="good"}'] == "0"
    assert 'selfheal_workspace_changed_files{workspace="bad"}' not in page


def counter(folder: Path, wanted: LongFiles, clock: ManualClock | None = None) -> LineCounter:
    return LineCounter(folder, wanted, 10.0, clock or ManualClock())


def test_lines_are_those_of_tracked_text_files(clone: Path) -> None:
    commit(clone, empty="", open_end="a\nb", binary="\0" + "\n" * 99)
    (clone / "untracked").write_text("\n" * 99)
    (clone / "link").symlink_to("one")
    git(clone, "add", "link")
    (clone / "two").unlink()

    # one, three, sub/four: 1 line each; empty: 0; open_end: 2
    assert counter(clone, LongFiles(1)).count() == Lines(files=5, long=1, longest=2)
    assert counter(clone, LongFiles(1, ("sub/*",))).count() == Lines(files=1, long=0, longest=1)


def test_only_files_that_changed_are_read_again(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.open

    def recording(path: str | Path, *arguments: int, **options: int) -> int:
        opened.append(Path(path).name)
        return real(path, *arguments, **options)

    lines = counter(clone, LongFiles(1))
    first = lines.count()
    (clone / "one").write_text("1\n2\n3\n")
    monkeypatch.setattr(os, "open", recording)

    second = lines.count()

    assert (first.longest, second.longest) == (1, 3)
    assert opened == ["one"]


def test_counting_that_takes_too_long_is_given_up_and_goes_on_next_time(clone: Path) -> None:
    class Slow(ManualClock):
        def monotonic(self) -> float:
            self.advance(6.0)
            return super().monotonic()

    commit(clone, **{f"file{number}": "x\n" for number in range(100)})

    with pytest.raises(ValueError, match=r"^not counted to the end in 10 s$"):
        counter(clone, LongFiles(1), Slow()).count()
