"""Makes blobs, trees, commits and tags of what was looked through: the same content gives the same, to the letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from remediator.errors import ActionFailed
from remediator.git import OpenTree
from remediator.model import Json

_COMMITTED = re.compile(r"(?m)^committer .* ([0-9]{1,15}) [+-][0-9]+$")
ADD = ("update-index", "--add", "--replace", "-z", "--stdin")


def keep_blobs(tree: OpenTree, planned: Sequence[Json], carried: Sequence[Json]) -> None:
    """Store the blobs of what was looked through a moment ago in the repository itself, but what is carried on."""
    written = [item["path"] for item in planned if item["change"] == "write"]
    if tree.head is not None:
        tree.git("read-tree", tree.head, index="kept")
    # attributes that are gone must not be in force any more
    _remove(tree, [*carried, *planned], "kept")
    if written:
        tree.git(*ADD, stdin=lines_of(written), index="kept", mirror=True, real=True)


def make_tree(tree: OpenTree, items: Sequence[Json], *, real: bool) -> str:
    """Given what to change, return the tree of the present commit with those changes."""
    index = "tree-real" if real else "tree"
    if tree.head is not None:
        tree.git("read-tree", tree.head, index=index, real=real)
    _remove(tree, items, index)
    lines = [f"{item['mode']} {item['blob']}\t{item['path']}" for item in items if item["change"] == "write"]
    if lines:
        tree.git("update-index", "-z", "--index-info", stdin=lines_of(lines), index=index, mirror=True, real=real)
    return tree.git("write-tree", index=index, real=real).decode("ascii").strip()


def _remove(tree: OpenTree, items: Sequence[Json], index: str) -> None:
    removed = [item["path"] for item in items if item["change"] == "remove"]
    if removed:
        tree.git("update-index", "-z", "--force-remove", "--stdin", stdin=lines_of(removed), index=index, mirror=True)


def make_commit(tree: OpenTree, content: str, parents: Sequence[str], text: tuple[str, int], *, real: bool) -> str:
    """Given a tree, its parents, and the message with its time, return the commit."""
    message, at = text
    arguments = [argument for parent in parents for argument in ("-p", parent)]
    command = ("commit-tree", "--no-gpg-sign", *arguments, content)
    written = tree.git(*command, stdin=message.encode(), real=real, environment=_who(tree, at))
    return written.decode("ascii").strip()


def make_tag(tree: OpenTree, commit: str, name: str, text: tuple[str, int], *, real: bool) -> str:
    """Given a commit and the tag's name, message and time, return the annotated tag."""
    message, at = text
    body = f"object {commit}\ntype commit\ntag {name}\ntagger {tree.rule.author} {at} +0000\n\n{message}"
    return tree.git("mktag", stdin=body.encode(), real=real).decode("ascii").strip()


def time_of(tree: OpenTree, newest: int) -> int:
    """Return the time that a commit gets: that of its newest file, but none before its parent's. Raise ActionFailed."""
    if tree.head is None:
        return max(newest, 0)
    raw = tree.git("cat-file", "commit", tree.head).decode("utf-8", "replace")
    found = _COMMITTED.search(raw.partition("\n\n")[0])
    if found is None:
        raise ActionFailed(f"commit {tree.head} of {tree.rule.path} says not when it was made")
    return max(newest, int(found[1]), 0)


def _who(tree: OpenTree, at: int) -> dict[str, str]:
    name, _, address = tree.rule.author.removesuffix(">").rpartition(" <")
    found = {"NAME": name, "EMAIL": address, "DATE": f"@{at} +0000"}
    return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in found.items()}


def lines_of(paths: Iterable[str]) -> bytes:
    """Return paths as git reads them from its input."""
    return b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
