"""A permitted work tree, open: git's plumbing over a scratch folder whose configuration is ours alone."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from remediator.errors import ActionFailed
from remediator.git.place import checked_out, place_problem, read_note, reference_problem
from remediator.model import Context
from remediator.policy import Door, Policy
from remediator.policy.owned import untrusted
from remediator.policy.work_trees import BRANCH_FOLDER, CHECKPOINTS, WorkTree, permitted_work_tree
from remediator.shell import keep_output

OURS = (f"refs/heads/{BRANCH_FOLDER}", f"refs/tags/{BRANCH_FOLDER}", CHECKPOINTS)
"""Below these only references are ever written."""
LARGEST_INDEX = 256 << 20
WRITE_SECONDS = 30.0
"""What writing references is given even when the time is over meanwhile."""
_COMMANDS = frozenset(
    {"cat-file", "check-attr", "commit-tree", "config", "for-each-ref", "ls-files", "merge-base", "mktag", "read-tree"}
    | {"rev-parse", "status", "update-index", "update-ref", "write-tree"}
)
_TAKEN_OVER = re.compile(
    r"core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|sharedrepository)|extensions\..+"
    r"|core\.(bare|worktree|repositoryformatversion)"
)
_PLAIN = re.compile(r"[A-Za-z0-9]{1,20}")
_CONFIG = """[core]
\tbare = false
\tlogAllRefUpdates = false
\thooksPath = /dev/null
\tfsmonitor = false
\tuntrackedCache = false
\tfsync = committed
\tfsyncMethod = batch
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "TZ": "UTC",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that is to be moved: its full name, what it should hold, and what it must hold now; None: nothing."""

    name: str
    new: str | None
    old: str | None


@dataclass(frozen=True, slots=True)
class OpenTree:
    """One work tree for as long as its block lasts."""

    rule: WorkTree
    top: int
    """The folder, open."""
    scratch: Path
    head: str | None
    """The commit that HEAD stands for; None before the first one."""
    zero: str
    """What git writes for no object; as long as a name of this repository's objects."""
    policy: Policy
    context: Context

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.rule.path)

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        index: str = "index",
        real: bool = False,
        mirror: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one of git's own commands and return its output.

        `real` writes objects into the repository (otherwise into the scratch folder), `mirror` takes what was put into
        the scratch folder for the work tree, `environment` adds to the environment. Raise ActionFailed if it fails.
        """
        where = {**self._where(index, real=real, mirror=mirror), **(environment or {})}
        code, output, errors = self._run(arguments, where, stdin)
        if code != 0:
            raise ActionFailed(f"git {arguments[0]} failed in {self.rule.path}: {errors[-300:]}")
        return output

    def ask(self, *arguments: str) -> tuple[int, bytes, str]:
        """Run one of git's commands as `git` does and return its code, output and errors, whatever they are."""
        return self._run(arguments, self._where("index", real=False, mirror=False), b"")

    def _where(self, index: str, *, real: bool, mirror: bool) -> dict[str, str]:
        """Return the environment that tells git where everything lies."""
        objects = f"{self.rule.path}/.git/objects"
        home = str(self.scratch / "home")
        where = {
            "GIT_DIR": str(self.scratch / "git"),
            "GIT_WORK_TREE": str(self.scratch / "mirror") if mirror else self.rule.path,
            "GIT_INDEX_FILE": str(self.scratch / index),
            "GIT_OBJECT_DIRECTORY": objects if real else str(self.scratch / "objects"),
            "HOME": home,
            "XDG_CONFIG_HOME": home,
        }
        if not real:
            where["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = objects
        return where

    def _run(self, arguments: Sequence[str], where: Mapping[str, str], stdin: bytes) -> tuple[int, bytes, str]:
        permitted_work_tree(self.policy, self.rule.path)
        if arguments[0] not in _COMMANDS:
            raise self.policy.refused(Door.SHELL, f"git {arguments[0]} is none of the commands that are ever run")
        now = self.context.monotonic()
        if now >= self.context.deadline:
            raise ActionFailed(f"no time is left for git {arguments[0]} in {self.rule.path}")
        # what is killed while it writes references would leave its locks to the people who work here
        least = WRITE_SECONDS if arguments[0] == "update-ref" else 0.0
        return keep_output(
            (self.policy.programs.git, "--no-pager", "-C", where["GIT_WORK_TREE"], *arguments),
            {**_ENVIRONMENT, **where},
            stdin,
            max(self.context.deadline, now + least),
            self.context.monotonic,
        )

    def resolve(self, name: str) -> str | None:
        """Given a reference or `COMMIT^{tree}`, return the object that it stands for, or None."""
        code, output, _ = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return output.decode("ascii").strip() if code == 0 else None

    def move(self, references: Sequence[Reference]) -> None:
        """Move references, all or none. Raise Refused if one is not ours to write, ActionFailed if one is not `old`."""
        here = checked_out(self.path / ".git")
        lines = []
        for each in references:
            problem = reference_problem(self.path / ".git", each.name)
            if not each.name.startswith(OURS):
                problem = f"{each.name} is no reference of ours"
            if each.name in here:
                problem = f"{each.name} is checked out; switch to another branch first"
            if problem is not None:
                raise self.policy.refused(Door.SHELL, problem)
            old = each.old or self.zero
            lines.append(f"delete {each.name}\0{old}" if each.new is None else f"update {each.name}\0{each.new}\0{old}")
        stdin = "".join(f"{line}\0" for line in lines).encode()
        # a reference that points to another one is replaced itself, and never followed
        self.git("update-ref", "--no-deref", "--stdin", "-z", stdin=stdin, real=True)


@contextmanager
def open_tree(path: str, context: Context) -> Iterator[OpenTree]:
    """Given the path of a permitted work tree, open it for as long as the block lasts.

    Raise Refused if the policy does not list it, or it is not ours, not in one piece, or of a kind that is not
    understood; ActionFailed if git cannot read it.
    """
    policy: Policy = context.policy
    rule = permitted_work_tree(policy, path)
    git = policy.programs.git
    # what is not there cannot be another's: starting it tells so
    problem = place_problem(Path(path)) or (untrusted(git) if Path(git).exists() else None)
    if problem is not None:
        raise policy.refused(Door.SHELL, problem)
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with TemporaryDirectory(prefix="selfheal-git-") as folder:
            scratch = Path(folder)
            for name in ("git/info", "objects", "home", "mirror"):
                (scratch / name).mkdir(parents=True)
            bare = OpenTree(rule, top, scratch, None, "0" * 40, policy, context)
            try:
                _prepare(bare, Path(path) / ".git")
            except OSError as error:
                raise policy.refused(Door.SHELL, f"git's data of {path} is not as it should be: {error}") from error
            longer = bare.git("rev-parse", "--show-object-format").strip() == b"sha256"
            zero = "0" * (64 if longer else 40)
            yield OpenTree(rule, top, scratch, bare.resolve("HEAD^{commit}"), zero, policy, context)
    except OSError as error:
        # of a reference nothing is known here: only git writes those, and tells it otherwise
        raise ActionFailed(f"no room, or no way, to look through {path}: {error.strerror}") from error
    finally:
        os.close(top)


def _prepare(tree: OpenTree, git: Path) -> None:
    """Fill the scratch folder: our own configuration, the references by links, copies of the rest."""
    ours = tree.scratch / "git"
    (ours / "config").write_text(_CONFIG)
    (ours / "HEAD").write_bytes(read_note(git / "HEAD") or b"")
    # git writes beside the file that such a link leads to, with its own locks
    (ours / "refs").symlink_to(git / "refs")
    if os.path.lexists(git / "packed-refs"):
        if not stat.S_ISREG((git / "packed-refs").lstat().st_mode):
            raise OSError(0, f"{git / 'packed-refs'} is no file")
        (ours / "packed-refs").symlink_to(git / "packed-refs")
    for name in ("info/exclude", "info/attributes"):
        note = read_note(git / name)
        if note is not None:
            (ours / name).write_bytes(note)
    (tree.scratch / "theirs").write_bytes(read_note(git / "config") or b"")
    told = tree.git("config", "-z", f"--file={tree.scratch / 'theirs'}", "--list").decode("utf-8", "surrogateescape")
    (ours / "config").write_text(_CONFIG + _taken_over(tree, told))
    index = git / "index"
    if os.path.lexists(index):
        _copy_index(index, tree.scratch / "index")


def _taken_over(tree: OpenTree, told: str) -> str:
    """Given what a repository's configuration holds, return the few lines of it that change how files are read.

    None of them can name a program. Raise Refused for a repository of a kind that is not understood.
    """
    core, extensions, version = [], [], "0"
    for entry in told.split("\0"):
        key, _, value = entry.partition("\n")
        if not _TAKEN_OVER.fullmatch(key):
            continue
        section, _, name = key.partition(".")
        if key == "core.worktree" or (key == "core.bare" and value not in ("false", "no", "0")):
            raise tree.policy.refused(Door.SHELL, f"{tree.rule.path} sets {key}; name a plain work tree")
        if key in ("core.bare", "core.repositoryformatversion", "extensions.worktreeconfig"):
            continue
        if not _PLAIN.fullmatch(value):
            raise tree.policy.refused(Door.SHELL, f"{tree.rule.path} sets {key} to what is not understood")
        if section == "core":
            core.append(f"\t{name} = {value}\n")
        elif name == "objectformat":
            extensions.append(f"\t{name} = {value}\n")
            version = "1"
        else:
            raise tree.policy.refused(Door.SHELL, f"{tree.rule.path} needs {key}, which is not understood here")
    found = "[core]\n" + f"\trepositoryformatversion = {version}\n" + "".join(core)
    return found + ("[extensions]\n" + "".join(extensions) if extensions else "")


def _copy_index(index: Path, to: Path) -> None:
    descriptor = os.open(index, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as source, to.open("wb") as copy:
        found = os.fstat(source.fileno())
        if found.st_size > LARGEST_INDEX:
            raise OSError(0, f"its index is larger than {LARGEST_INDEX} bytes")
        shutil.copyfileobj(source, copy)
    # git takes a file for unchanged only if it is older than the index
    os.utime(to, ns=(found.st_mtime_ns, found.st_mtime_ns))
