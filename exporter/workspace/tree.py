"""What git says of a work tree: changed files, stashes, and how it stands to its upstream, merged in memory only."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, DiffOption

from exporter.workspace.model import Tree, Upstream
from exporter.workspace.repository import opened
from exporter.workspace.saved import unsaved

_FLAGS = DiffOption.INCLUDE_UNTRACKED | DiffOption.INCLUDE_TYPECHANGE


class TreeReader:
    """Reads one work tree again and again; what depends on two commits only is worked out once for each two."""

    def __init__(self, path: Path, upstream: str | None) -> None:
        self._path = path
        self._upstream = upstream
        self._compared: tuple[str, str] | None = None
        self._known = (0, 0, 0)

    def read(self) -> Tree:
        """Return how the tree stands. Raise ValueError if it cannot be read."""
        with opened(self._path) as repository:
            changed, untracked, unmerged = _files(repository)
            count, oldest = unsaved(repository, sorted(changed | unmerged | _each(repository, untracked)))
            return Tree(
                len(changed),
                len(untracked),
                len(unmerged),
                _oldest(repository.workdir, changed | untracked | unmerged),
                len(repository.listall_stashes()),
                self._compare(repository),
                count,
                oldest,
            )

    def _compare(self, repository: pygit2.Repository) -> Upstream | None:
        theirs = _upstream_of(repository, self._upstream)
        if theirs is None or repository.head_is_unborn:
            return None
        ours = repository.head.target
        if self._compared != (str(ours), str(theirs)):
            ahead, behind = repository.ahead_behind(ours, theirs)
            # only where both sides have gone on is there anything to merge
            conflicts = _conflicts(repository.merge_commits(ours, theirs)) if ahead and behind else 0
            self._known = (ahead, behind, conflicts)
            self._compared = (str(ours), str(theirs))
        return Upstream(*self._known, _fetched(repository))


def _files(repository: pygit2.Repository) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """Return changed, untracked and unmerged paths; an untracked folder counts once, as in `git status`."""
    changed: set[bytes] = set()
    untracked: set[bytes] = set()
    unmerged: set[bytes] = set()
    index = repository.index
    diffs = [index.diff_to_workdir(_FLAGS)]
    if repository.head_is_unborn:
        # nothing is committed: what the index holds is new
        changed.update(entry.path.encode("utf-8", "surrogateescape") for entry in index)
    else:
        diffs.append(index.diff_to_tree(repository.head.peel(pygit2.Tree), DiffOption.INCLUDE_TYPECHANGE))
    for diff in diffs:
        for delta in diff.deltas:
            path = delta.new_file.raw_path or delta.old_file.raw_path
            if delta.status is DeltaStatus.UNTRACKED:
                untracked.add(path)
            elif delta.status is DeltaStatus.CONFLICTED:
                unmerged.add(path)
            else:
                changed.add(path)
    return changed, untracked, unmerged


def _each(repository: pygit2.Repository, untracked: set[bytes]) -> set[bytes]:
    """Given untracked paths, return them with every file of a folder by itself; other repositories stay folders."""
    if not any(path.endswith(b"/") for path in untracked):
        return untracked
    diff = repository.index.diff_to_workdir(_FLAGS | DiffOption.RECURSE_UNTRACKED_DIRS)
    new = (delta.new_file.raw_path for delta in diff.deltas if delta.status is DeltaStatus.UNTRACKED)
    return {path for path in new if not path.endswith(b"/")}


def _oldest(workdir: str, paths: set[bytes]) -> float | None:
    root = os.fsencode(workdir)
    times = []
    for path in paths:
        try:
            times.append(os.lstat(root + path).st_mtime)
        except OSError:
            # deleted, which leaves no time behind
            continue
    return min(times, default=None)


def _upstream_of(repository: pygit2.Repository, wanted: str | None) -> pygit2.Oid | None:
    """Return the commit of the upstream branch, None if there is none to follow. Raise ValueError if it is missing."""
    if wanted is not None:
        name = f"refs/remotes/{wanted}"
        for reference in (name, f"refs/heads/{wanted}"):
            if reference in repository.references:
                return repository.references[reference].peel(pygit2.Commit).id
        raise ValueError(f"there is no branch {wanted}; fetch it, or name another as upstream")
    if repository.head_is_unborn or repository.head_is_detached:
        return None
    branch = repository.branches.local[repository.head.shorthand]
    try:
        upstream = branch.upstream
    except KeyError:
        # it follows one that was never fetched, or is gone
        return None
    return upstream.peel(pygit2.Commit).id if upstream is not None else None


def _conflicts(merged: pygit2.Index) -> int:
    paths: set[str] = set()
    for sides in merged.conflicts or ():
        paths.update(side.path for side in sides if side is not None)
    return len(paths)


def _fetched(repository: pygit2.Repository) -> float | None:
    # linked work trees share what is fetched
    for folder in (repository.path, repository.path.partition("/worktrees/")[0]):
        try:
            return (Path(folder) / "FETCH_HEAD").stat().st_mtime
        except OSError:
            continue
    return None
