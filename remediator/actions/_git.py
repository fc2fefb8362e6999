"""What the actions on work trees share: looking through the changes, and commits that come out the same each time.

The same content gives the same commit, to the letter: its time is that of the newest file in it. So a plan can name the
commit before it exists, a person can say yes to it, and what was begun before a crash is known when it is met again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remediator.actions._git_judging import filtered_paths, judge
from remediator.actions._git_objects import ADD, lines_of
from remediator.actions._secrets import secret_content
from remediator.errors import ActionFailed, Refused
from remediator.git import Change, Content, OpenTree, Unfit, changes_of, read_content
from remediator.git.changes import STATUS
from remediator.git.content import is_plain
from remediator.model import Json

MOST_FILES = 2000
"""New files of one commit; the rest is told as a number, and follows with the next."""
MOST_BYTES = 128 << 20
"""Bytes of one commit's new files."""
SHOWN = 50
"""Files left out that are told in full."""
_LOOKED, _KEPT = "looked", "kept-before"
"""The scratch indexes of what was looked through, and of what was kept before."""
_AT_ONCE = 200
"""Paths that git is asked about at once."""
_BYTES_AT_ONCE = 16 << 20


@dataclass(slots=True)
class Survey:
    """What a look at a work tree found."""

    items: list[Json] = field(default_factory=list)
    """What would be committed: kind `blob`, path, change, class, rule, mode and blob."""
    carried: list[Json] = field(default_factory=list)
    """Of the same shape: what was kept before as it lies there now, and stays in the commit."""
    left_out: list[Json] = field(default_factory=list)
    """Path, class and why of what is left out, as far as it is shown."""
    classes: Counter[str] = field(default_factory=Counter)
    """How many are left out, by class."""
    beyond: int = 0
    size: int = 0
    newest: int = 0
    """When the newest of the items was last written, in seconds since the epoch."""

    def leave_out(self, path: str, why: Unfit) -> None:
        """Note that something is left out; a name that holds a secret itself is not told."""
        self.classes[why.class_] += 1
        if len(self.left_out) < SHOWN:
            text = path.encode("utf-8", "backslashreplace")
            shown = "<secret>" if secret_content(text) else text.decode()[:512]
            self.left_out.append({"path": shown, "class": why.class_, "why": why.why})

    def detail(self) -> Json:
        """Say what is left out, as a plan's detail does."""
        told: Json = {}
        if self.classes:
            told["left_out"] = {"files": self.left_out, "classes": dict(sorted(self.classes.items()))}
        if self.carried:
            told["kept_before"] = len(self.carried)
        if self.beyond:
            told["beyond_limit"] = self.beyond
        return told


@dataclass(frozen=True, slots=True)
class _Taken:
    """A change that may be committed; what it holds lies in the scratch folder."""

    path: str
    rule: str
    size: int
    modified: int
    gone: bool


def survey(tree: OpenTree, kept: str | None, *, everything: bool) -> Survey:
    """Given an open work tree, look at its changes: what is safe to commit, and what stays, each with its class.

    `kept` is the commit that holds what was kept before: what has not changed since counts to no limit. With
    `everything` all is taken but what never is; conflicts too, for then nothing should be lost. Raise ActionFailed if
    the time is over.
    """
    found = Survey()
    changes = _changes(tree)
    filtered = filtered_paths(tree, [change.path for change in changes])
    for commit, index in ((tree.head, _LOOKED), (kept, _KEPT)):
        if commit is not None:
            tree.git("read-tree", commit, index=index)
    batch: list[_Taken] = []
    for number, change in enumerate(changes, 1):
        _check_time(tree)
        verdict = judge(tree, change, change.path in filtered, everything=everything)
        if isinstance(verdict, Unfit):
            found.leave_out(change.path, verdict)
        else:
            batch.append(_take(tree, change.path, *verdict))
        is_last = number == len(changes)
        if is_last or len(batch) == _AT_ONCE or sum(each.size for each in batch) > _BYTES_AT_ONCE:
            _sort(tree, batch, found)
            batch = []
        if found.beyond:
            # no look at what could not be taken any more
            found.beyond += len(changes) - number
            break
    return found


def _check_time(tree: OpenTree) -> None:
    if tree.context.monotonic() >= tree.context.deadline:
        raise ActionFailed(f"{tree.rule.path} could not be looked through in time")


def _take(tree: OpenTree, path: str, content: Content | None, rule: str) -> _Taken:
    if content is None:
        return _Taken(path, rule, 0, 0, gone=True)
    _put(tree, path, content)
    return _Taken(path, rule, len(content.data), content.modified, gone=False)


def _sort(tree: OpenTree, batch: Sequence[_Taken], found: Survey) -> None:
    """Say of each whether it is new, was kept before, or is beyond what one commit holds."""
    blobs = _blobs(tree, batch)
    before = _staged(tree, (each.path for each in batch), _KEPT)
    for taken in batch:
        if taken.path not in blobs:
            # what is only staged, and lies in the folder as it was committed, is no change
            continue
        mode, blob = blobs[taken.path]
        change = "remove" if taken.gone else "write"
        item = {"kind": "blob", "path": taken.path, "class": "safe", "rule": taken.rule}
        item |= {"change": change, "mode": mode, "blob": blob}
        if before.get(taken.path) == (None if taken.gone else (mode, blob)) and (tree.scratch / _KEPT).exists():
            found.carried.append(item)
        elif found.beyond or len(found.items) == MOST_FILES or found.size + taken.size > MOST_BYTES:
            found.beyond += 1
        else:
            found.items.append(item)
            found.size += taken.size
            found.newest = max(found.newest, taken.modified)
            continue
        # the room is for what is new; attributes stay in force for it
        if not taken.gone and not taken.path.endswith(".gitattributes"):
            (tree.scratch / "mirror" / taken.path).unlink()


def _blobs(tree: OpenTree, batch: Sequence[_Taken]) -> dict[str, tuple[str, str]]:
    """Return the mode and blob that git makes of each that differs from the last commit.

    They are made of what was read and looked through: git never goes to the work tree for them. It ends lines and marks
    modes as the repository's attributes say.
    """
    before = _staged(tree, (each.path for each in batch), _LOOKED)
    written = [each.path for each in batch if not each.gone]
    gone = [each.path for each in batch if each.gone]
    if gone:
        tree.git("update-index", "-z", "--force-remove", "--stdin", stdin=lines_of(gone), index=_LOOKED, mirror=True)
    _put_attributes(tree, written)
    if written:
        tree.git(*ADD, stdin=lines_of(written), index=_LOOKED, mirror=True)
    after = _staged(tree, written, _LOOKED)
    missing = next((path for path in written if path not in after), None)
    if missing is not None:
        raise ActionFailed(f"git made no blob of {missing!r:.200}")
    found = {path: entry for path, entry in after.items() if before.get(path) != entry}
    return found | {path: ("0", tree.zero) for path in gone if path in before}


def _staged(tree: OpenTree, paths: Iterable[str], index: str) -> dict[str, tuple[str, str]]:
    """Return mode and blob of each path that a scratch index holds."""
    found, listed = {}, list(paths)
    if listed and (tree.scratch / index).exists():
        told = tree.git("ls-files", "--stage", "-z", "--", *listed, index=index, mirror=True)
        for line in told.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, blob, _stage = facts.split(" ")
            found[path] = (mode, blob)
    return found


def read_items(items: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Given the items of a stored plan, return those that are blobs. Raise Refused if one is none of ours."""
    found = []
    for item in items:
        if item.get("kind") == "reference":
            continue
        texts = [item.get(key) for key in ("path", "change", "mode", "blob", "rule")]
        if item.get("kind") != "blob" or not all(isinstance(text, str) for text in texts) or not is_plain(item["path"]):
            raise Refused(f"the stored plan names no file of a work tree: {item!r:.200}")
        found.append(dict(item))
    return found


def check_unchanged(tree: OpenTree, planned: Sequence[Json], kept: str | None, *, everything: bool) -> list[Json]:
    """Look at the work tree again and return what is carried on. Raise Refused if one file is another than planned."""
    found = survey(tree, kept, everything=everything)
    fresh = {item["path"]: item for item in found.items}
    for item in planned:
        if fresh.get(item["path"]) != item:
            raise Refused(f"{item['path']!r:.200} is not what it was when this was planned")
    return found.carried


def _changes(tree: OpenTree) -> list[Change]:
    """Return the changes in the order of their paths, so that a plan comes out the same each time."""
    try:
        found = changes_of(tree.git(*STATUS))
    except (ValueError, IndexError) as error:
        raise ActionFailed(f"git status of {tree.rule.path} cannot be read: {error}") from error
    return sorted(found, key=lambda change: change.path)


def _put(tree: OpenTree, path: str, content: Content) -> None:
    mirror = (tree.scratch / "mirror").resolve()
    place = mirror / path
    try:
        if next(folder for folder in place.parents if folder.exists()).resolve() not in place.parents:
            raise FileExistsError
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.parent.resolve() != place.parent:
            raise FileExistsError
        place.unlink(missing_ok=True)
        if content.is_link:
            place.symlink_to(content.data.decode("utf-8", "surrogateescape"))
            return
        place.write_bytes(content.data)
        place.chmod(0o755 if content.executable else 0o644)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ActionFailed(f"{path!r:.200} changed while it was looked at") from error


def _put_attributes(tree: OpenTree, paths: Iterable[str]) -> None:
    """Lay the attributes that are in force for these paths beside them; they are not committed by that."""
    parts = [path.split("/") for path in paths]
    folders = {"".join(f"{part}/" for part in path[:depth]) for path in parts for depth in range(len(path))}
    for folder in sorted(folders):
        path = f"{folder}.gitattributes"
        if (tree.scratch / "mirror" / path).exists():
            continue
        found = read_content(tree.top, path, tree.rule.largest_file)
        if isinstance(found, Content) and not found.is_link:
            _put(tree, path, found)
