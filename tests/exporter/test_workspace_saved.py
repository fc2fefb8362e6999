"""Which uncommitted work is kept nowhere, on real repositories whose side branches and checkpoints git itself made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.workspace.tree import TreeReader
from tests.actions.git_trees import Repository, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with a commit."""
    return make_repository(tmp_path / "shop")


def keep(repository: Repository, reference: str, *paths: str) -> None:
    """Make a commit of these paths as they lie there, where no branch of a person sees it."""
    index = repository.path / ".git/index"
    before = index.read_bytes()
    repository.git("add", "--force", "--all", "--", *paths)
    tree = repository.git("write-tree")
    index.write_bytes(before)
    repository.git("update-ref", reference, repository.git("commit-tree", "-m", "kept", "-p", "HEAD", tree))


def unsaved(repository: Repository) -> int:
    return TreeReader(repository.path, None).read().unsaved


def test_every_file_counts_by_itself_until_it_is_kept(repository: Repository) -> None:
    assert unsaved(repository) == 0

    repository.write("docs/guide.md", "changed\n")
    repository.write("new/one", "1\n")
    repository.write("new/deep/two", "2\n")
    (repository.path / "src/app.py").unlink()
    (repository.path / "link").symlink_to("docs")
    os.utime(repository.path / "new/one", (1_000_000, 1_000_000))
    found = TreeReader(repository.path, None).read()

    assert (found.untracked, found.unsaved, found.oldest_unsaved) == (2, 5, 1_000_000)

    keep(repository, "refs/selfheal/checkpoints/000001-abc", "docs/guide.md", "new", "src", "link")
    found = TreeReader(repository.path, None).read()

    assert (found.changed, found.unsaved, found.oldest_unsaved) == (2, 0, None)


def test_what_changed_again_is_not_kept_any_more(repository: Repository) -> None:
    repository.write("a", "1\n")
    repository.write("b", "1\n")
    keep(repository, "refs/heads/selfheal/safe", "a", "b")
    repository.write("a", "2\n")

    assert unsaved(repository) == 1


def test_of_the_checkpoints_only_the_newest_counts_and_every_side_branch(repository: Repository) -> None:
    repository.write("a", "1\n")
    keep(repository, "refs/selfheal/checkpoints/000001-a", "a")
    repository.write("b", "1\n")
    keep(repository, "refs/selfheal/checkpoints/000002-b", "b")
    assert unsaved(repository) == 1

    keep(repository, "refs/heads/selfheal/safe", "a")
    assert unsaved(repository) == 0


def test_branches_of_a_person_do_not_count(repository: Repository) -> None:
    repository.write("a", "1\n")
    keep(repository, "refs/heads/backup", "a")

    assert unsaved(repository) == 1


def test_lines_that_the_repository_ends_otherwise_are_kept(repository: Repository) -> None:
    repository.write(".gitattributes", "*.md text\n")
    repository.commit()
    repository.write("notes.md", b"one\r\ntwo\r\n")
    keep(repository, "refs/heads/selfheal/safe", "notes.md")

    assert unsaved(repository) == 0


def test_what_is_no_file_and_what_is_very_long_is_not_read(repository: Repository) -> None:
    repository.write("a", "1\n")
    with (repository.path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    keep(repository, "refs/heads/selfheal/safe", "a")
    (repository.path / "a").unlink()
    os.mkfifo(repository.path / "a")

    assert unsaved(repository) >= 1


def test_references_that_somebody_else_put_among_ours_hide_nothing(repository: Repository) -> None:
    repository.write("a", "1\n")
    for number in ("999999", "1000000"):
        keep(repository, f"refs/selfheal/checkpoints/{number}-abc", "a" if number == "1000000" else "README.md")
    repository.git("update-ref", "refs/selfheal/checkpoints/zzz", "HEAD")
    repository.git("update-ref", "refs/heads/selfheal/odd", "HEAD")
    (repository.path / ".git/refs/heads/selfheal/odd").write_text("1" * 40 + "\n")

    assert unsaved(repository) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read a file")
def test_a_file_that_may_not_be_read_counts_as_kept_nowhere() -> None:
    code = (
        "import os, pygit2, sys; from exporter.workspace.saved import unsaved;"
        "repository = pygit2.Repository(sys.argv[1]); os.seteuid(65534);"
        "print(unsaved(repository, [b'a', b'b'])[0])"
    )
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        repository = make_repository(Path(folder) / "shop")
        repository.write("a", "1\n").chmod(0)
        repository.write("b", "1\n")
        keep(repository, "refs/selfheal/checkpoints/000001-abc", "a", "b")
        argv = [sys.executable, "-c", code, str(repository.path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout.strip(), done.stderr) == ("1", "")
