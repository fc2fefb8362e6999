"""git.commit_safe on real repositories: what is safe goes to a side branch, and nothing of a person's is touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import ActionFailed, Refused
from remediator.model import Plan
from tests.actions.git_trees import Repository, make_repository


def plan(host: Any, repository: Repository) -> Plan:
    return host.plan("git.commit_safe", work_tree=str(repository.path))  # type: ignore[no-any-return]


def classes(found: Plan) -> dict[str, str]:
    """Return the class of each path, what is committed and what is left out alike."""
    left_out = found.detail.get("left_out", {}).get("files", [])
    return {item["path"]: item["class"] for item in [*found.items, *left_out]}


def test_what_is_safe_is_committed_on_the_side_branch_and_nothing_else_is_touched(
    host: Any, repository: Repository
) -> None:
    repository.write("docs/guide.md", "a better guide\n")
    repository.write("tests/new/test_it.py", "assert True\n")
    repository.write("src/app.py", "print(2)\n")
    repository.git("add", "src/app.py")
    before = repository.state()

    planned = plan(host, repository)

    assert classes(planned) == {"docs/guide.md": "safe", "tests/new/test_it.py": "safe", "src/app.py": "other"}
    assert repository.state() == before
    assert repository.git("for-each-ref", "refs/heads/selfheal", "refs/tags") == ""
    assert {item["path"]: item["blob"] for item in planned.items} == {
        path: repository.git("hash-object", path) for path in ("docs/guide.md", "tests/new/test_it.py")
    }

    outcome = host.run("git.commit_safe", planned)

    assert outcome.ok
    assert repository.state() == before
    commit = repository.git("rev-parse", "selfheal/safe")
    assert commit == planned.detail["commit"] == outcome.detail["commit"]
    assert repository.listed(commit) == {
        "README.md": "# It",
        "docs/guide.md": "a better guide",
        "src/app.py": "print(1)",
        "tests/new/test_it.py": "assert True",
    }
    assert repository.git("rev-parse", f"{commit}^@") == repository.git("rev-parse", "main")
    tag = planned.detail["tag"]
    assert repository.git("cat-file", "-t", tag) == "tag"
    assert repository.git("rev-parse", f"{tag}^{{commit}}") == commit
    assert host.points == ["effect_begun", "effect_done"]
    assert repository.git("fsck", "--strict") == ""


def test_a_work_tree_can_be_named_as_the_exporter_names_it(host: Any, repository: Repository) -> None:
    repository.write("notes.md")

    planned = host.plan("git.commit_safe", work_tree="shop")

    assert planned.detail["work_tree"] == str(repository.path)
    assert [item["path"] for item in planned.items] == ["notes.md"]


def test_nothing_to_do_is_an_empty_plan(host: Any, repository: Repository) -> None:
    assert plan(host, repository).items == ()

    repository.write("src/app.py", "print(2)\n")

    assert plan(host, repository).items == ()


def test_the_same_work_is_not_committed_twice(host: Any, repository: Repository) -> None:
    repository.write("notes.md")
    host.run("git.commit_safe", plan(host, repository))

    again = plan(host, repository)

    assert again.items == ()
    assert again.detail["why"] == "it is committed already"


def test_later_work_follows_on_the_side_branch_and_knows_the_newer_head(host: Any, repository: Repository) -> None:
    repository.write("notes.md", "one\n")
    first = host.run("git.commit_safe", plan(host, repository)).detail["commit"]
    repository.write("src/more.py", "print(3)\n")
    repository.git("add", "src/more.py")
    repository.git("commit", "--quiet", "--message", "more")
    repository.write("notes.md", "two\n")

    second = host.run("git.commit_safe", plan(host, repository)).detail["commit"]

    parents = repository.git("rev-parse", f"{second}^@").split()
    assert parents == [first, repository.git("rev-parse", "main")]
    assert repository.listed(second)["src/more.py"] == "print(3)"
    assert repository.listed(second)["notes.md"] == "two"


def test_removals_modes_and_links_are_kept(host: Any, repository: Repository) -> None:
    (repository.path / "docs/guide.md").unlink()
    repository.write("tests/run.sh", "#!/bin/sh\n").chmod(0o755)
    (repository.path / "docs/link").symlink_to("../README.md")

    planned = plan(host, repository)
    host.run("git.commit_safe", planned)

    assert {(item["path"], item["change"], item["mode"]) for item in planned.items} == {
        ("docs/guide.md", "remove", "0"),
        ("tests/run.sh", "write", "100755"),
        ("docs/link", "write", "120000"),
    }
    assert sorted(repository.listed("selfheal/safe")) == ["README.md", "docs/link", "src/app.py", "tests/run.sh"]


def test_a_file_that_took_a_folders_place_and_the_reverse(host: Any, repository: Repository) -> None:
    repository.write("docs/a/b.md")
    repository.write("docs/c", "file\n")
    repository.commit()
    (repository.path / "docs/a/b.md").unlink()
    (repository.path / "docs/a").rmdir()
    repository.write("docs/a", "now a file\n")
    (repository.path / "docs/c").unlink()
    repository.write("docs/c/d.md", "now a folder\n")

    host.run("git.commit_safe", plan(host, repository))

    found = repository.listed("selfheal/safe")
    assert found["docs/a"] == "now a file"
    assert found["docs/c/d.md"] == "now a folder"
    assert "docs/a/b.md" not in found


def test_what_is_only_staged_and_lies_there_as_committed_is_no_change(host: Any, repository: Repository) -> None:
    repository.write("docs/guide.md", "staged\n")
    repository.git("add", "docs/guide.md")
    repository.write("docs/guide.md", "a guide\n")
    repository.write("docs/gone.md", "staged and gone\n")
    repository.git("add", "docs/gone.md")
    (repository.path / "docs/gone.md").unlink()

    assert plan(host, repository).items == ()


def test_before_the_first_commit_the_side_branch_is_the_first(host: Any, tmp_path: Path) -> None:
    path = tmp_path.resolve() / "fresh"
    path.mkdir()
    fresh = Repository(path)
    fresh.git("init", "--quiet", "--initial-branch=main")
    fresh.write("README.md", "hello\n")
    host.permit(work_trees=(fresh.rule(),))

    planned = plan(host, fresh)
    outcome = host.run("git.commit_safe", planned)

    assert fresh.listed("selfheal/safe") == {"README.md": "hello"}
    host.dispatch().undo("web-1", "git.commit_safe", planned, outcome, 20.0)
    assert fresh.listed("selfheal/safe") == {}
    assert fresh.git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_repository_with_the_longer_names_of_objects(host: Any, tmp_path: Path) -> None:
    found = make_repository(tmp_path.resolve() / "sha256", "--object-format=sha256")
    found.write("notes.md", "n\n")
    host.permit(work_trees=(found.rule(),))

    planned = plan(host, found)
    host.run("git.commit_safe", planned)

    assert len(planned.detail["commit"]) == 64
    assert found.listed("selfheal/safe")["notes.md"] == "n"


def test_lines_end_as_the_repositorys_attributes_say(host: Any, repository: Repository) -> None:
    repository.write(".gitattributes", "*.md text\n")
    repository.commit()
    repository.write("notes.md", b"one\r\ntwo\r\n")

    host.run("git.commit_safe", plan(host, repository))

    assert repository.git("cat-file", "-s", "selfheal/safe:notes.md") == "8"


CLASSES: list[tuple[str, str | bytes, str]] = [
    ("docs/.env", "A=1\n", "secret"),
    ("docs/site.PEM", "x\n", "secret"),
    ("tests/id_rsa", "x\n", "secret"),
    ("docs/key.md", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "secret"),
    ("docs/wide.md", "-----BEGIN PRIVATE KEY-----\n".encode("utf-16"), "secret"),
    ("docs/aws.md", "id AKIA" + "ABCDEFGHIJKLMNOP" + "\n", "secret"),
    ("docs/hub.md", "gh" + "p_" + "a1B2" * 9 + "\n", "secret"),
    ("docs/url.md", "postgres://shop:" + "hunter22@db/shop\n", "secret"),
    ("tests/conf.py", "DB_PASSWORD = " + '"x8Kq02LmPz7Wd"\n', "secret"),
    ("docs/random.md", "value: " + "q9Zx7LbT2mVw4RkYp1HsN8dJc6FgUe3A" + "\n", "secret"),
    ("docs/marks.md", "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n", "conflict"),
    ("docs/large.md", "x" * 5000, "too_large"),
    ("docs/old.zip", b"PK\x03\x04....", "packed"),
    ("docs/private/a.md", "a\n", "never"),
    ("docs/PRIVATE/b.md", "b\n", "never"),
    ("src/more.py", "print(2)\n", "other"),
    ("docs/plain.md", "A password is asked for here.\n", "safe"),
    ("tests/code.py", "token = os.environ.get_token\npassword: str\n", "safe"),
    ("docs/sums.md", "sum: " + "0123456789abcdef" * 4 + "\n", "safe"),
    ("docs/picture.png", b"\x89PNG\r\n\x1a\n\0\0", "safe"),
    ("lib/made_pb2.py", "made = 1\n", "safe"),
]


@pytest.mark.parametrize(("path", "content", "expected"), CLASSES, ids=[path for path, _, _ in CLASSES])
def test_each_change_has_its_class(
    host: Any, repository: Repository, path: str, content: str | bytes, expected: str
) -> None:
    host.permit(work_trees=(repository.rule(never=("docs/private/**",), largest_file=4096),))
    repository.write(path, content)

    planned = plan(host, repository)

    assert classes(planned) == {path: expected}
    assert (len(planned.items) == 1) is (expected == "safe")


def test_what_a_plan_tells_of_a_secret_does_not_hold_it(host: Any, repository: Repository) -> None:
    secret = "x8Kq02LmPz7Wd"
    repository.write("docs/a.md", f'password = "{secret}"\n')

    planned = plan(host, repository)

    assert secret not in repr(planned)
    assert planned.detail["left_out"]["classes"] == {"secret": 1}


@pytest.mark.parametrize("change", ["content", "mode", "gone", "another_kind"])
def test_a_file_that_changed_since_the_plan_stops_it(host: Any, repository: Repository, change: str) -> None:
    place = repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    if change == "content":
        place.write_text("two\n")
    elif change == "mode":
        place.chmod(0o755)
    else:
        place.unlink()
    if change == "another_kind":
        place.symlink_to("guide.md")

    with pytest.raises(Refused, match=r"'docs/new\.md' is not what it was when this was planned"):
        host.run("git.commit_safe", planned)

    assert repository.git("for-each-ref", "refs/heads/selfheal", "refs/tags") == ""
    assert host.points == []


def test_other_work_since_the_plan_does_not_stop_it_and_is_not_committed(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    repository.write("docs/later.md", "later\n")

    host.run("git.commit_safe", planned)

    assert "docs/later.md" not in repository.listed("selfheal/safe")


def test_a_commit_of_the_person_since_the_plan_stops_it(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    repository.commit()

    with pytest.raises(Refused, match="HEAD or the side branch stands elsewhere"):
        host.run("git.commit_safe", planned)


def test_it_can_be_begun_again_after_a_crash_before_or_after_the_references(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    first = host.run("git.commit_safe", planned)
    repository.git("tag", "--delete", planned.detail["tag"])

    again = host.run("git.commit_safe", planned)

    assert again.detail == first.detail
    assert repository.git("rev-parse", f"{planned.detail['tag']}^{{commit}}") == planned.detail["commit"]
    assert host.run("git.commit_safe", planned).ok
    assert repository.git("rev-list", "--count", "main..selfheal/safe") == "1"


def test_undo_reverts_on_the_side_branch_and_the_work_is_still_to_be_found(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    outcome = host.run("git.commit_safe", planned)
    before = repository.state()

    for _ in range(2):
        undone = host.dispatch().undo("web-1", "git.commit_safe", planned, outcome, 20.0)

        assert undone.ok
        assert repository.state() == before
        assert "docs/new.md" not in repository.listed("selfheal/safe")
        assert repository.git("rev-list", "--count", "main..selfheal/safe") == "2"
        assert repository.listed(planned.detail["tag"])["docs/new.md"] == "one"


def test_undo_leaves_a_branch_that_has_moved_on_alone(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    outcome = host.run("git.commit_safe", planned)
    repository.write("docs/new.md", "two\n")
    later = host.run("git.commit_safe", plan(host, repository)).detail["commit"]

    with pytest.raises(Refused, match="has moved since; revert"):
        host.dispatch().undo("web-1", "git.commit_safe", planned, outcome, 20.0)

    assert repository.git("rev-parse", "selfheal/safe") == later


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("MERGE_HEAD", "a merge"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("rebase-merge/", "a rebase"),
        ("BISECT_LOG", "a bisect"),
        ("index.lock", "another program that writes the index"),
    ],
)
def test_while_something_is_under_way_nothing_is_committed(
    host: Any, repository: Repository, name: str, what: str
) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    place = repository.path / ".git" / name
    if name.endswith("/"):
        place.mkdir()
    else:
        place.write_text("")

    with pytest.raises(Refused, match=f"{what} is under way"):
        plan(host, repository)
    with pytest.raises(Refused, match=f"{what} is under way"):
        host.run("git.commit_safe", planned)
    assert repository.git("for-each-ref", "refs/heads/selfheal") == ""


def test_a_conflict_that_a_stash_left_is_not_committed(host: Any, repository: Repository) -> None:
    repository.write("docs/guide.md", "stashed\n")
    repository.git("stash")
    repository.write("docs/guide.md", "committed\n")
    repository.commit()
    repository.git("stash", "pop", check=False)

    assert classes(plan(host, repository)) == {"docs/guide.md": "conflict"}


def test_the_branch_that_is_checked_out_is_never_moved(host: Any, repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "selfheal/safe")
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    before = repository.state()

    with pytest.raises(Refused, match="refs/heads/selfheal/safe is checked out"):
        host.run("git.commit_safe", planned)

    assert repository.state() == before


def test_a_tag_of_that_name_that_is_anothers_leaves_everything_as_it_was(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    planned = plan(host, repository)
    repository.git("tag", planned.detail["tag"], "main")

    with pytest.raises(ActionFailed, match="git update-ref failed"):
        host.run("git.commit_safe", planned)

    assert repository.git("for-each-ref", "refs/heads/selfheal") == ""


def test_references_that_are_packed_are_found(host: Any, repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    host.run("git.commit_safe", plan(host, repository))
    repository.git("pack-refs", "--all")

    assert plan(host, repository).detail["why"] == "it is committed already"
    repository.write("docs/new.md", "two\n")
    host.run("git.commit_safe", plan(host, repository))
    assert repository.listed("selfheal/safe")["docs/new.md"] == "two"


def test_of_very_many_files_the_rest_follows_with_the_next(
    host: Any, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.actions._git.MOST_FILES", 3)
    for number in range(5):
        repository.write(f"docs/{number}.md", f"{number}\n")

    planned = plan(host, repository)
    host.run("git.commit_safe", planned)

    assert [item["path"] for item in planned.items] == ["docs/0.md", "docs/1.md", "docs/2.md"]
    assert planned.detail["beyond_limit"] == 2

    following = plan(host, repository)
    host.run("git.commit_safe", following)

    assert [item["path"] for item in following.items] == ["docs/3.md", "docs/4.md"]
    assert following.detail["kept_before"] == 3
    kept = repository.listed("selfheal/safe")
    assert [kept[f"docs/{number}.md"] for number in range(5)] == ["0", "1", "2", "3", "4"]
    assert plan(host, repository).items == ()


def test_a_policy_that_says_nothing_is_safe_commits_nothing(host: Any, repository: Repository) -> None:
    host.permit(work_trees=(repository.rule(safe=()),))
    repository.write("docs/new.md", "one\n")

    assert plan(host, repository).items == ()


def test_two_plans_of_the_same_work_are_the_same(host: Any, repository: Repository) -> None:
    place = repository.write("docs/new.md", "one\n")
    os.utime(place, (1_800_000_000, 1_800_000_000))

    first, second = plan(host, repository), plan(host, repository)

    assert first == second
    assert first.detail["at"] == 1_800_000_000
