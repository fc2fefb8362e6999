"""git.checkpoint on real repositories: all the work but secrets is kept where no branch sees it."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.errors import Refused
from remediator.model import Plan
from tests.actions.git_trees import Repository

KEPT = "refs/selfheal/checkpoints/"


def plan(host: Any, repository: Repository) -> Plan:
    return host.plan("git.checkpoint", work_tree=str(repository.path))  # type: ignore[no-any-return]


def kept(repository: Repository) -> list[str]:
    """Return the references of the checkpoints."""
    return repository.git("for-each-ref", "--format=%(refname)", KEPT).split()


def checkpoint(host: Any, repository: Repository, content: str) -> Plan:
    repository.write("src/new.py", content)
    planned = plan(host, repository)
    assert host.run("git.checkpoint", planned).ok
    return planned


def test_the_whole_work_is_kept_but_secrets_and_what_is_ignored(host: Any, repository: Repository) -> None:
    repository.write(".gitignore", "build/\n")
    repository.write("build/out", "o\n")
    repository.write("src/app.py", "print(2)\n")
    repository.git("add", "src/app.py")
    repository.write("src/new.py", "print(3)\n")
    repository.write("data.zip", b"PK\x03\x04")
    repository.write(".env", "A=1\n")
    (repository.path / "docs/guide.md").unlink()
    before = repository.state()

    planned = plan(host, repository)

    assert repository.state() == before
    assert kept(repository) == []

    outcome = host.run("git.checkpoint", planned)

    assert outcome.ok
    assert repository.state() == before
    (reference,) = kept(repository)
    assert reference == planned.detail["reference"]
    assert sorted(repository.listed(reference)) == [".gitignore", "README.md", "data.zip", "src/app.py", "src/new.py"]
    assert repository.listed(reference)["src/app.py"] == "print(2)"
    assert repository.git("rev-parse", f"{reference}^@") == repository.git("rev-parse", "main")
    assert planned.detail["left_out"]["classes"] == {"secret": 1}
    assert repository.git("branch", "--all", "--list") == "* main"
    assert repository.git("tag") == ""


def test_the_same_work_is_kept_once(host: Any, repository: Repository) -> None:
    assert plan(host, repository).items == ()
    checkpoint(host, repository, "one\n")

    again = plan(host, repository)

    assert (again.items, again.detail["why"]) == ((), "the newest checkpoint holds it already")


def test_attributes_that_were_kept_before_are_still_in_force(host: Any, repository: Repository) -> None:
    repository.write(".gitattributes", "*.md text\n")
    repository.write("docs/one.md", b"1\r\n")
    host.run("git.checkpoint", plan(host, repository))
    repository.write("docs/two.md", b"2\r\n")

    following = plan(host, repository)
    outcome = host.run("git.checkpoint", following)

    assert [item["path"] for item in following.items] == ["docs/two.md"]
    blob = repository.git("rev-parse", f"{outcome.detail['commit']}:docs/two.md")
    assert repository.git("cat-file", "-s", blob) == "2"
    assert repository.listed(outcome.detail["commit"])["docs/one.md"] == "1"


def test_attributes_that_are_gone_are_not_in_force(host: Any, repository: Repository) -> None:
    repository.write(".gitattributes", "*.md text\n").chmod(0o644)
    repository.commit()
    (repository.path / ".gitattributes").unlink()
    for name in ("one", "two"):
        # the second time that it is gone is kept already
        repository.write(f"docs/{name}.md", f"{name}\r\n")

        outcome = host.run("git.checkpoint", plan(host, repository))

        blob = repository.git("rev-parse", f"{outcome.detail['commit']}:docs/{name}.md")
        assert repository.git("cat-file", "-s", blob) == "5"
        assert ".gitattributes" not in repository.listed(outcome.detail["commit"])


def test_only_the_newest_stay_and_the_plan_lists_what_goes(host: Any, repository: Repository) -> None:
    plans = [checkpoint(host, repository, f"{number}\n") for number in range(4)]

    assert kept(repository) == [planned.detail["reference"] for planned in plans[1:]]
    assert [item for item in plans[3].items if item["kind"] == "reference"] == [
        {"kind": "reference", "name": plans[0].detail["reference"], "object": plans[0].detail["commit"]}
    ]


def test_a_reference_that_somebody_else_put_there_is_not_dropped(host: Any, repository: Repository) -> None:
    repository.git("update-ref", f"{KEPT}mine", "main")

    for number in range(4):
        checkpoint(host, repository, f"{number}\n")

    assert len(kept(repository)) == 4
    assert f"{KEPT}mine" in kept(repository)


def test_undo_brings_back_what_was_there_before(host: Any, repository: Repository) -> None:
    for number in range(3):
        checkpoint(host, repository, f"{number}\n")
    before = kept(repository)
    repository.write("src/new.py", "last\n")
    planned = plan(host, repository)
    outcome = host.run("git.checkpoint", planned)
    assert kept(repository) != before

    for _ in range(2):
        assert host.dispatch().undo("web-1", "git.checkpoint", planned, outcome, 20.0).ok
        assert kept(repository) == before


def test_it_can_be_begun_again_after_a_crash(host: Any, repository: Repository) -> None:
    planned = checkpoint(host, repository, "one\n")
    repository.write("src/new.py", "two\n")

    assert host.run("git.checkpoint", planned).ok
    assert kept(repository) == [planned.detail["reference"]]


def test_what_changed_since_the_plan_stops_it(host: Any, repository: Repository) -> None:
    repository.write("src/new.py", "one\n")
    planned = plan(host, repository)
    repository.write("src/new.py", "two\n")

    with pytest.raises(Refused, match="is not what it was when this was planned"):
        host.run("git.checkpoint", planned)
    assert kept(repository) == []


def test_a_conflict_is_kept_as_it_lies_there(host: Any, repository: Repository) -> None:
    repository.write("docs/guide.md", "stashed\n")
    repository.git("stash")
    repository.write("docs/guide.md", "committed\n")
    repository.commit()
    repository.git("stash", "pop", check=False)
    before = repository.state()

    planned = plan(host, repository)
    host.run("git.checkpoint", planned)

    assert "<<<<<<<" in repository.listed(planned.detail["reference"])["docs/guide.md"]
    assert repository.state() == before


def test_without_a_number_in_the_policy_none_is_permitted(host: Any, repository: Repository) -> None:
    repository.write("src/new.py", "one\n")
    planned = plan(host, repository)
    host.permit(work_trees=(repository.rule(checkpoints=0),))

    with pytest.raises(Refused, match=r"no checkpoint of .* is permitted; say how many are kept under checkpoints"):
        plan(host, repository)
    with pytest.raises(Refused, match="no checkpoint of"):
        host.run("git.checkpoint", planned)


def test_a_stored_plan_lets_go_of_checkpoints_only(host: Any, repository: Repository) -> None:
    repository.write("src/new.py", "one\n")
    planned = plan(host, repository)
    main = {"kind": "reference", "name": "refs/heads/main", "object": repository.git("rev-parse", "main")}

    with pytest.raises(Refused, match="which is no checkpoint"):
        host.run("git.checkpoint", Plan((*planned.items, main), planned.detail))
    assert kept(repository) == []
