"""The red team against git's actions: repositories that want something run, read, or written where it should not be."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.actions import git_checkpoint, git_commit_safe
from remediator.errors import ActionFailed, Refused
from remediator.git import open_tree
from remediator.git.content import Unfit, is_plain, read_content
from remediator.git.opened import Reference
from remediator.model import Context, Plan
from remediator.policy import Policy
from remediator.policy.values import Programs
from remediator.policy.work_trees import WorkTree
from tests.actions.git_trees import Repository, make_repository
from tests.redteam.policies import give_away, program


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository."""
    return make_repository(tmp_path.resolve() / "shop")


def context(*trees: WorkTree, **more: object) -> Context:
    """Return what an action is given under a policy with these work trees."""
    policy = Policy(work_trees=trees, source="policy.yml")
    policy = replace(policy, **more)  # type: ignore[arg-type]
    return Context(policy, Path("/proc"), time.monotonic() + 60, time.monotonic, lambda _: None, lambda _: None)


def stored(plan: Plan) -> Plan:
    """Return a plan as it comes back from the store."""
    found = json.loads(json.dumps({"items": plan.items, "detail": plan.detail}))
    return Plan(tuple(found["items"]), found["detail"])


def both(repository: Repository, between: Callable[[], object] = lambda: None) -> None:
    """Plan, run and take back both actions on a repository."""
    given = context(repository.rule())
    for action in (git_commit_safe, git_checkpoint):
        plan = stored(action.plan({"work_tree": str(repository.path)}, given))
        between()
        if plan.items:
            action.undo(plan, action.run(plan, given), given)


def committed(repository: Repository) -> dict[str, str]:
    """Commit what is safe, and return what then lies on the side branch."""
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    if not plan.items:
        return {}
    git_commit_safe.run(plan, given)
    return repository.listed("refs/heads/selfheal/safe")


def test_nothing_that_a_repository_names_is_run(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    evil = program(tmp_path / "evil", f"import sys; open({str(ran)!r}, 'a').write(sys.argv[0])\n")
    repository.write(".gitattributes", "*.md filter=evil diff=evil merge=evil\n*.txt text\n")
    repository.commit()
    hooks = repository.path / ".git/hooks"
    for name in ("pre-commit", "post-commit", "post-index-change", "reference-transaction", "pre-auto-gc"):
        program(hooks / name, f"open({str(ran)!r}, 'a').write({name!r})\n")
    program(hooks / "fsmonitor-watchman", f"open({str(ran)!r}, 'a').write('monitor')\n")
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {evil}\n")
    with (repository.path / ".git/config").open("a") as config:
        config.write(f"""[core]
    fsmonitor = {evil}
    hooksPath = {hooks}
    pager = {evil}
    editor = {evil}
    sshCommand = {evil}
    alternateRefsCommand = {evil}
[filter "evil"]
    clean = {evil}
    smudge = {evil}
    process = {evil}
    required = true
[diff]
    external = {evil}
[diff "evil"]
    textconv = {evil}
    command = {evil}
[alias]
    status = !{evil}
    write-tree = !{evil}
[gpg]
    program = {evil}
[commit]
    gpgSign = true
[tag]
    gpgSign = true
    forceSignAnnotated = true
[pager]
    status = {evil}
[credential]
    helper = {evil}
[hook "mine"]
    command = {evil}
    event = reference-transaction
[include]
    path = {tmp_path / "included"}
""")
    repository.write("docs/new.txt", "one\n")
    repository.write("docs/guide.md", "for the filter\n")

    both(repository)

    assert not ran.exists()
    # a person's git would run it all
    (repository.path / ".git/config").write_text("[core]\n\thooksPath = /dev/null\n")
    assert "docs/new.txt" in repository.listed("selfheal/safe^")
    assert repository.listed("selfheal/safe^")["docs/guide.md"] == "a guide"


def test_the_trap_of_the_test_before_springs_where_git_runs_plainly(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program(tmp_path / "evil", f"open({str(ran)!r}, 'a').write('x')\n")
    repository.git("config", "core.fsmonitor", str(tmp_path / "evil"))

    repository.git("status")

    assert ran.exists()


def test_our_own_environment_does_not_reach_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    code = f"import os, sys; open({str(seen)!r}, 'a').write(repr(sorted(os.environ)))\n"
    wrapper = program(tmp_path / "git", code + "os.execv('/usr/bin/git', sys.argv)\n")
    for name in ("GIT_CONFIG_COUNT", "GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_EXEC_PATH", "LD_PRELOAD_OF_SOMEBODY"):
        monkeypatch.setenv(name, "x")
    repository.write("docs/new.md", "one\n")

    plan = git_commit_safe.plan(
        {"work_tree": str(repository.path)}, context(repository.rule(), programs=Programs(git=str(wrapper)))
    )

    assert plan.items
    for name in ("COUNT", "EXTERNAL", "SSH", "EXEC_PATH", "SOMEBODY"):
        assert name not in seen.read_text()


def refusal(repository: Repository, path: Path | None = None) -> str:
    """Plan and return why it is refused."""
    place = str(path or repository.path)
    rule = replace(repository.rule(), path=place)
    with pytest.raises(Refused) as told:
        git_commit_safe.plan({"work_tree": place}, context(rule))
    return told.value.detail


def test_a_work_tree_that_is_not_listed_is_refused_in_every_spelling(repository: Repository) -> None:
    given = context(repository.rule())
    for path in ("/", str(repository.path.parent), f"{repository.path}/", f"{repository.path}/docs", "shop", ""):
        with pytest.raises(Refused, match="is not permitted; list it under work_trees"):
            git_commit_safe.plan({"work_tree": path}, given)


def test_a_git_directory_that_is_a_link_or_a_pointer_is_refused(repository: Repository, tmp_path: Path) -> None:
    victim = make_repository(tmp_path.resolve() / "victim")
    linked, pointed, bare = (tmp_path.resolve() / name for name in ("linked", "pointed", "bare"))
    for folder in (linked, pointed, bare):
        folder.mkdir()
    (linked / ".git").symlink_to(victim.path / ".git")
    (pointed / ".git").write_text(f"gitdir: {victim.path / '.git'}\n")
    whole = tmp_path.resolve() / "whole"
    whole.symlink_to(victim.path)
    before = victim.state()

    assert "is no folder; links are never followed" in refusal(repository, linked)
    assert "is a file that points elsewhere" in refusal(repository, pointed)
    assert "cannot be looked at" in refusal(repository, bare)
    assert "a link stands on its way" in refusal(repository, whole)
    assert victim.state() == before


@pytest.mark.parametrize("name", ["refs", "objects"])
def test_objects_and_references_that_lie_elsewhere_are_refused(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    moved = tmp_path / f"moved-{name}"
    (repository.path / ".git" / name).rename(moved)
    (repository.path / ".git" / name).symlink_to(moved)

    assert "is no folder; links are never followed" in refusal(repository)


def test_a_folder_of_references_that_leads_elsewhere_is_never_written_through(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repository.path / ".git/refs/heads/selfheal").symlink_to(tmp_path / "elsewhere")
    repository.write("docs/new.md", "one\n")
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))

    with pytest.raises(Refused, match="is a link or no file; references are never written through one"):
        git_commit_safe.run(plan, given)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_side_branch_that_points_to_a_branch_of_a_person_does_not_move_that(repository: Repository) -> None:
    repository.git("branch", "theirs")
    repository.git("symbolic-ref", "refs/heads/selfheal/safe", "refs/heads/theirs")
    repository.write("docs/new.md", "one\n")
    before = repository.git("rev-parse", "theirs")

    assert "docs/new.md" in committed(repository)
    assert repository.git("rev-parse", "theirs") == before


def test_only_references_of_ours_are_ever_written(repository: Repository) -> None:
    given = context(repository.rule())
    head = repository.git("rev-parse", "main")
    with open_tree(str(repository.path), given) as tree:
        for name in ("refs/heads/main", "refs/heads/selfheal", "refs/remotes/x", "HEAD", "refs/heads/selfheal/../main"):
            with pytest.raises((Refused, ActionFailed)):
                tree.move([Reference(name, head, None)])
        with pytest.raises(Refused, match="none of the commands that are ever run"):
            tree.git("push", "origin")
    assert repository.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("[core]\n\tworktree = /etc\n", "sets core.worktree"),
        ("[core]\n\tbare = true\n", "sets core.bare"),
        ("[extensions]\n\tpartialClone = origin\n", "needs extensions.partialclone"),
        ("[core]\n\tautocrlf = $(id)\n", "sets core.autocrlf to what is not understood"),
    ],
)
def test_a_repository_of_a_kind_that_is_not_understood_is_refused(repository: Repository, lines: str, why: str) -> None:
    with (repository.path / ".git/config").open("a") as config:
        config.write(lines)

    assert why in refusal(repository)


def test_anothers_repository_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(repository.path / ".git", monkeypatch)

    assert "only work trees of uid" in refusal(repository)


def test_a_work_tree_that_others_may_write_or_replace_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.path.chmod(0o777)

    assert "can be written by everybody" in refusal(repository)

    repository.path.chmod(0o755)
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    moved = repository.path.rename(tmp_path.resolve() / "open/shop")

    assert "could be replaced: everybody may write in" in refusal(repository, moved)


def test_names_that_want_to_be_something_else_are_only_names(repository: Repository) -> None:
    names = ["docs/-rf", "docs/--exec=id", "docs/a\nb.md", "docs/\t tab", 'docs/"quoted"', "docs/\\n", "docs/:(top)x"]
    names += [
        "docs/*",
        "docs/\N{RIGHT-TO-LEFT OVERRIDE}x",
        "-.md",
        "--help.md",
        "docs/HEAD",
        "docs/한국어.md",
        "docs/a b",
    ]
    for number, name in enumerate(names):
        repository.write(name, f"{number}\n")

    found = committed(repository)

    assert {name: found.get(name) for name in names} == {name: str(number) for number, name in enumerate(names)}


def test_a_name_that_is_no_text_is_left_out(repository: Repository) -> None:
    place = os.fsencode(repository.path / "docs") + b"/caf\xe9.md"
    Path(os.fsdecode(place)).write_text("x\n")
    repository.write("docs/new.md", "one\n")

    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, context(repository.rule())))

    assert [item["path"] for item in plan.items] == ["docs/new.md"]
    assert plan.detail["left_out"]["files"][0]["class"] == "unreadable"


@pytest.mark.parametrize(
    "path", ["../x", "a/../b", "/etc/x", "a//b", ".git/config", "a/.GIT/x", ".git./x", "GIT~1/x", "", "a/", "a\0b"]
)
def test_a_stored_plan_names_only_what_lies_below_the_tree(repository: Repository, path: str) -> None:
    given = context(repository.rule())
    repository.write("docs/new.md", "one\n")
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    evil = {**plan.items[0], "path": path}

    assert not is_plain(path)
    with pytest.raises(Refused, match="names no file of a work tree"):
        git_commit_safe.run(Plan((evil,), plan.detail), given)


@pytest.mark.parametrize(
    ("target", "kept"),
    [("../README.md", True), ("/etc/passwd", False), ("../../x", False), ("../.git/config", False), ("..", True)],
)
def test_a_link_is_kept_as_a_link_and_only_if_it_stays_below_the_tree(
    repository: Repository, target: str, kept: bool
) -> None:
    (repository.path / "docs/link").symlink_to(target)

    assert ("docs/link" in committed(repository)) is kept


def test_what_lies_behind_a_link_is_never_read(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/guide.md").write_text("from outside\n")
    (repository.path / "docs/guide.md").unlink()
    (repository.path / "docs").rmdir()
    (repository.path / "docs").symlink_to(tmp_path / "outside")

    assert "from outside" not in committed(repository).values()
    both(repository)
    assert "outside" not in repository.git("log", "--all", "--patch", "--format=")


def test_a_file_that_became_a_link_since_the_plan_is_not_followed(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:x\n")
    place = repository.write("docs/new.md", "one\n")
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    place.unlink()
    place.symlink_to(tmp_path / "shadow")

    with pytest.raises(Refused, match="is not what it was when this was planned"):
        git_commit_safe.run(plan, given)


def test_other_repositories_inside_stay_out_and_their_configuration_is_not_read(
    repository: Repository, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    evil = program(tmp_path / "evil", f"open({str(ran)!r}, 'w')\n")
    inner, module = make_repository(repository.path / "docs/inner"), make_repository(tmp_path / "module")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(module.path), "tests/module")
    repository.git("commit", "--quiet", "--message", "a submodule")
    for each in (inner, Repository(repository.path / "tests/module")):
        each.git("config", "core.fsmonitor", str(evil))
        each.write("docs/guide.md", "changed\n")
    ran.unlink(missing_ok=True)
    repository.write("docs/new.md", "one\n")

    found = committed(repository)

    both(repository)
    assert "docs/new.md" in found
    assert not any(path.startswith(("docs/inner", "tests/module/")) for path in found)
    assert not ran.exists()


def test_a_file_that_is_swapped_while_it_is_opened_is_not_followed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shadow").write_text("root:x\n")
    place = repository.write("docs/new.md", "one\n")
    look = os.stat

    def swap(path: str, **more: object) -> os.stat_result:
        found = look(path, **more)  # type: ignore[call-overload]
        if path == "new.md" and not place.is_symlink():
            place.unlink()
            place.symlink_to(tmp_path / "shadow")
        return found  # type: ignore[no-any-return]

    top = os.open(repository.path, os.O_RDONLY)
    monkeypatch.setattr("remediator.git.content.os.stat", swap)
    found = read_content(top, "docs/new.md", 4096)
    os.close(top)

    assert isinstance(found, Unfit)
    assert found.class_ == "outside"


def test_a_file_that_took_a_submodules_place_is_not_committed(repository: Repository, tmp_path: Path) -> None:
    module = make_repository(tmp_path / "module")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(module.path), "docs/module")
    repository.git("commit", "--quiet", "--message", "a submodule")
    shutil.rmtree(repository.path / "docs/module")
    repository.write("docs/module", "now a file\n")

    assert committed(repository) == {}


def test_pipes_and_sockets_keep_nobody_waiting(repository: Repository) -> None:
    repository.write("docs/pipe", "x\n")
    repository.commit()
    (repository.path / "docs/pipe").unlink()
    os.mkfifo(repository.path / "docs/pipe")
    repository.write("docs/new.md", "one\n")

    assert committed(repository)["docs/pipe"] == "x"


def test_a_very_large_file_is_not_read(repository: Repository) -> None:
    with (repository.path / "docs/huge.md").open("wb") as file:
        file.truncate(1 << 40)

    plan = git_commit_safe.plan({"work_tree": str(repository.path)}, context(repository.rule()))

    assert plan.items == ()
    assert plan.detail["left_out"]["classes"] == {"too_large": 1}


def test_a_file_of_the_remediators_own_is_never_committed(repository: Repository) -> None:
    place = repository.write("docs/policy.md", "process_groups: []\n")

    plan = git_checkpoint.plan({"work_tree": str(repository.path)}, context(repository.rule(), protected=(place,)))

    assert plan.items == ()


def test_another_users_file_is_not_committed(repository: Repository) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.lchown(repository.write("docs/theirs.md", "one\n"), 65_534, 65_534)

    assert committed(repository) == {}


def test_a_policy_that_changed_while_it_ran_stops_it(repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    for changed in (
        context(),
        context(repository.rule(safe=("tests/**",))),
        context(repository.rule(branch="selfheal/other")),
        context(repository.rule(author="Eve <eve@example.org>")),
    ):
        with pytest.raises(Refused):
            git_commit_safe.run(plan, changed)
    assert repository.git("for-each-ref", "refs/heads/selfheal", "refs/tags") == ""


def test_a_program_that_everybody_may_write_is_not_taken_for_git(repository: Repository, tmp_path: Path) -> None:
    open_to_all = program(tmp_path / "git", "print('hi')\n", 0o777)
    given = context(repository.rule(), programs=Programs(git=str(open_to_all)))

    with pytest.raises(Refused, match="can be written by others"):
        git_commit_safe.plan({"work_tree": str(repository.path)}, given)


def test_an_index_that_is_broken_is_a_known_failure(repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    (repository.path / ".git/index").write_bytes(b"DIRC" + b"\xff" * 100)

    with pytest.raises(ActionFailed, match="git status failed"):
        git_commit_safe.plan({"work_tree": str(repository.path)}, context(repository.rule()))


def test_a_lock_that_somebody_holds_leaves_everything_as_it_was(repository: Repository) -> None:
    repository.write("docs/new.md", "one\n")
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    (repository.path / ".git/refs/heads/selfheal").mkdir()
    (repository.path / ".git/refs/heads/selfheal/safe.lock").touch()

    with pytest.raises(ActionFailed, match="git update-ref failed"):
        git_commit_safe.run(plan, given)
    assert repository.git("for-each-ref", "refs/heads/selfheal", "refs/tags") == ""


def test_what_has_begun_to_write_references_is_not_killed_over_its_locks(repository: Repository) -> None:
    given = context(repository.rule())
    head = repository.git("rev-parse", "HEAD")
    times = iter([given.deadline - 0.001])

    with open_tree(str(repository.path), given) as tree:
        late = replace(given, monotonic=lambda: next(times, given.deadline + 1))
        replace(tree, context=late).move([Reference("refs/selfheal/checkpoints/000001-a", head, None)])

        with pytest.raises(ActionFailed, match="no time is left for git update-ref"):
            replace(tree, context=late).move([Reference("refs/selfheal/checkpoints/000002-a", head, None)])
    assert (
        repository.git("for-each-ref", "--format=%(refname)", "refs/selfheal") == "refs/selfheal/checkpoints/000001-a"
    )


def test_one_name_that_git_never_takes_does_not_keep_the_rest_from_being_kept(repository: Repository) -> None:
    for name in (".git:x", ".git \\x", "GIT~1..", ".git .:y"):
        repository.write(f"docs/{name}", "x\n")
    (repository.path / ".gitmodules").symlink_to("README.md")
    repository.write("docs/kept.md", "one\n")

    assert "docs/kept.md" in committed(repository)
    both(repository)


def test_a_secret_in_a_name_is_neither_kept_nor_told(repository: Repository) -> None:
    token = "gh" + "p_" + "a1B2" * 9
    repository.write(f"docs/{token}.md", "x\n")
    (repository.path / "docs/link.md").symlink_to(token)
    repository.write("docs/kept.md", "one\n")
    given = context(repository.rule())

    for action in (git_commit_safe, git_checkpoint):
        plan = action.plan({"work_tree": str(repository.path)}, given)

        assert [item["path"] for item in plan.items] == ["docs/kept.md"]
        assert plan.detail["left_out"]["classes"] == {"secret": 2}
        assert token not in str(plan)


def test_what_lies_in_a_protected_folder_is_never_kept(repository: Repository) -> None:
    repository.write("state/deep/store.md", "x\n")
    given = context(repository.rule(), protected=(repository.path / "state",))

    for action in (git_commit_safe, git_checkpoint):
        plan = action.plan({"work_tree": str(repository.path)}, given)

        assert plan.items == ()
        assert plan.detail["left_out"]["files"][0]["why"].startswith("is a file of Selfheal's own")


def test_an_encoding_that_hides_a_secret_until_it_is_stored_is_not_gone_through(repository: Repository) -> None:
    secret = "-----BEGIN RSA PRIVATE " + "KEY-----\n"
    repository.write(
        ".gitattributes", "docs/*.md text working-tree-encoding=IBM037\ndocs/wide.txt working-tree-encoding=UTF-16\n"
    )
    repository.write("docs/hidden.md", secret.encode("cp037"))
    repository.write("docs/wide.txt", "wide\n".encode("utf-16"))

    kept = committed(repository)

    assert "docs/hidden.md" not in kept
    assert kept["docs/wide.txt"] == "wide"


def test_looking_ends_when_one_commit_is_full(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.actions._git.MOST_FILES", 2)
    monkeypatch.setattr("remediator.actions._git._AT_ONCE", 3)
    read: list[str] = []
    real = read_content
    monkeypatch.setattr(
        "remediator.actions._git_judging.read_content",
        lambda top, path, most: (read.append(path), real(top, path, most))[1],
    )
    for number in range(20):
        repository.write(f"docs/{number:02d}.md", f"{number}\n")

    plan = git_checkpoint.plan({"work_tree": str(repository.path)}, context(repository.rule()))

    assert len(plan.items) == 2
    assert plan.detail["beyond_limit"] == 18
    assert len(read) == 3


def test_looking_ends_when_the_time_is_over(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = read_content
    monkeypatch.setattr(
        "remediator.actions._git_judging.read_content",
        lambda top, path, most: (read.append(path), real(top, path, most))[1],
    )
    repository.write("docs/a.md", "one\n")
    repository.write("docs/b.md", "two\n")
    given = context(repository.rule())

    with pytest.raises(ActionFailed, match="could not be looked through in time"):
        git_checkpoint.plan(
            {"work_tree": str(repository.path)},
            replace(given, monotonic=lambda: given.deadline + 1 if read else given.deadline - 60),
        )
    assert read == ["docs/a.md"]


def test_a_commit_whose_author_pretends_to_be_its_time_is_read_right(repository: Repository) -> None:
    raw = repository.git("cat-file", "commit", "HEAD").replace(
        "author Ann", "author Ann\u2028committer x <y> 99 +0000\u2028", 1
    )
    forged = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw + "\n")
    repository.git("update-ref", "refs/heads/main", forged)
    place = repository.write("docs/new.md", "one\n")
    os.utime(place, (5, 5))

    plan = git_commit_safe.plan({"work_tree": str(repository.path)}, context(repository.rule()))

    assert plan.detail["at"] == 1_700_000_000


def test_a_commit_that_says_not_when_it_was_made_is_a_known_failure(repository: Repository) -> None:
    raw = repository.git("cat-file", "commit", "HEAD").replace("committer Ann", "odd Ann", 1)
    forged = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw + "\n")
    repository.git("update-ref", "refs/heads/main", forged)
    repository.write("docs/new.md", "one\n")

    with pytest.raises(ActionFailed, match="says not when it was made"):
        git_commit_safe.plan({"work_tree": str(repository.path)}, context(repository.rule()))


@pytest.mark.parametrize("modified", [0, 5, 99_999_999, 15_000_000_000])
def test_a_file_of_any_time_can_be_kept(tmp_path: Path, modified: int) -> None:
    path = tmp_path.resolve() / "new"
    path.mkdir()
    repository = Repository(path)
    repository.git("init", "--quiet")
    os.utime(repository.write("docs/new.md", "one\n"), (modified, modified))

    assert list(committed(repository)) == ["docs/new.md"]
    assert repository.git("log", "-1", "--format=%at", "selfheal/safe") == str(modified)


def test_no_room_for_what_is_looked_through_is_a_known_failure(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("docs/new.md", "one\n" * 10)
    given = context(repository.rule())
    plan = stored(git_commit_safe.plan({"work_tree": str(repository.path)}, given))
    before = repository.git("for-each-ref")
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")

    with pytest.raises(ActionFailed, match=r"no room|Not a directory"):
        git_commit_safe.run(plan, given)
    assert repository.git("for-each-ref") == before
