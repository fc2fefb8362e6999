"""Real repositories for the tests of git's actions."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from remediator.policy.work_trees import WorkTree

SAFE = ("docs/**", "tests/**", "*.md", "**/*_pb2.py")
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


@dataclass
class Repository:
    """A repository with a work tree, and what a person does in it."""

    path: Path

    def git(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """Run git as a person would and return what it says."""
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            env=ENVIRONMENT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes = "content\n") -> Path:
        """Write a file, with its folders."""
        place = self.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def commit(self) -> str:
        """Commit everything that lies there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "work")
        return self.git("rev-parse", "HEAD")

    def rule(self, **more: object) -> WorkTree:
        """Return the entry of a policy about this work tree."""
        return WorkTree(str(self.path), **{"safe": SAFE, "checkpoints": 3, **more})  # type: ignore[arg-type]

    def listed(self, commit: str) -> dict[str, str]:
        """Return the paths of a commit, and the content of each."""
        paths = self.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
        return {path: self.git("show", f"{commit}:{path}") for path in paths if path}

    def state(self) -> tuple[object, ...]:
        """Return all that is a person's own: HEAD, index, branches of theirs, and every file with its content."""
        files = {
            str(place.relative_to(self.path)): place.read_bytes() if place.is_file() else place.readlink()
            for place in sorted(self.path.rglob("*"))
            if ".git" not in place.relative_to(self.path).parts and (place.is_symlink() or place.is_file())
        }
        git = self.path / ".git"
        index = (git / "index").read_bytes() if (git / "index").exists() else b""
        branches = self.git("for-each-ref", "--format=%(refname) %(objectname)")
        theirs = tuple(line for line in branches.splitlines() if "selfheal" not in line)
        return (git / "HEAD").read_text(), index, (git / "config").read_text(), theirs, files


def make_repository(path: Path, *arguments: str) -> Repository:
    """Make a repository with one commit."""
    path.mkdir(parents=True)
    repository = Repository(path)
    repository.git("init", "--quiet", "--initial-branch=main", *arguments)
    repository.write("README.md", "# It\n")
    repository.write("src/app.py", "print(1)\n")
    repository.write("docs/guide.md", "a guide\n")
    repository.commit()
    return repository
