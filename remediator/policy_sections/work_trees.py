"""The shape of `work_trees:` in a policy file."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from remediator.policy.work_trees import AUTHOR, BRANCH, BRANCH_FOLDER, LARGEST_FILE, WorkTree
from remediator.policy_sections.amounts import Amount
from selfheal.common.documents import Section, told

MOST_CHECKPOINTS = 1000
_LARGEST = 64 << 20
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_AUTHOR = re.compile(r"[^<>\x00-\x1f\x7f]{1,100} <[^<>\s]{1,100}>")


def _path(value: str) -> str:
    if not value.startswith("/") or os.path.normpath(value) != value or value == "/":
        told(
            f"{value!r} is not a plain absolute path", "write it from / on, without . and .. and without a / at the end"
        )
    if any(sign in value for sign in ':"\0\n'):
        told(f"{value!r} holds : or a quote", "git could not be told such a path; rename the folder")
    return value


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        told("must be a list of patterns", "write for example [docs/**, tests/**, '*.md']")
    for pattern in value:
        if any(sign in pattern for sign in "?[]!\\") or pattern.startswith("/") or pattern.endswith("/"):
            remedy = "write it from the top of the tree on, with * and ** only, as docs/**"
            told(f"{pattern[:80]!r} is no pattern of paths", remedy)
    return tuple(value)


def _safe(value: Any) -> tuple[str, ...]:
    patterns = _patterns(value)
    for pattern in patterns:
        if not pattern.replace("*", "").strip("/"):
            told(f"{pattern!r} fits every file", "name what is safe: a folder, or how the files' names end")
    return patterns


def _size(value: int) -> int:
    if not 0 < value <= _LARGEST:
        told("must be more than 0 and at most 64MiB", "every byte that is committed is looked through for secrets")
    return value


def _branch(value: str) -> str:
    if not value.startswith(BRANCH_FOLDER) or not _BRANCH.fullmatch(value) or len(value) > 100:
        told(f"{value[:80]!r} is no branch of ours", f"write {BRANCH_FOLDER} and a plain name, as {BRANCH}")
    return value


def _author(value: str) -> str:
    if not _AUTHOR.fullmatch(value):
        told(f"{value[:80]!r} is no author", f"write a name and an address, as {AUTHOR}")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        told(f"{value[:80]!r} is no name of a work tree", "write what the exporter calls it, as in its workspaces:")
    return value


class _WorkTreeRule(Section):
    name: Annotated[str, AfterValidator(_name)] | None = None
    safe: Annotated[Any, AfterValidator(_safe)] = ()
    never: Annotated[Any, AfterValidator(_patterns)] = ()
    largest_file: Annotated[Amount, AfterValidator(_size)] = LARGEST_FILE
    branch: Annotated[str, AfterValidator(_branch)] = BRANCH
    author: Annotated[str, AfterValidator(_author)] = AUTHOR
    checkpoints: Annotated[int, Field(ge=0, le=MOST_CHECKPOINTS)] = 0

    @model_validator(mode="after")
    def _permits_something(self) -> _WorkTreeRule:
        if not self.safe and not self.checkpoints:
            told("permits nothing", "list patterns under safe, or say how many checkpoints are kept, or both")
        return self


def _named_once(trees: dict[str, _WorkTreeRule]) -> dict[str, _WorkTreeRule]:
    names = [rule.name for rule in trees.values() if rule.name is not None]
    for name in names:
        if names.count(name) > 1:
            told(f"the name {name} stands here twice", "give each work tree its own")
    return trees


WrittenWorkTrees = Annotated[dict[Annotated[str, AfterValidator(_path)], _WorkTreeRule], AfterValidator(_named_once)]


def read_work_trees(written: dict[str, _WorkTreeRule]) -> tuple[WorkTree, ...]:
    """Given the section as it was read, return its values."""
    return tuple(
        WorkTree(path, rule.name, rule.safe, rule.never, rule.largest_file, rule.branch, rule.author, rule.checkpoints)
        for path, rule in written.items()
    )
