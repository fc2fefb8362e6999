"""What may be committed of a work tree: each change is judged by its path, by its name, and by what it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from remediator.actions._git_objects import lines_of
from remediator.actions._secrets import is_archive, secret_content, secret_name
from remediator.git import Change, Content, OpenTree, Unfit, read_content
from remediator.git.content import is_plain
from remediator.policy.protected import overlap
from remediator.policy.work_trees import matching

_ENCODING = "working-tree-encoding"
_CHANGING = ("filter", _ENCODING)
_SEEN_THROUGH = re.compile(r"(?i)utf-?(?:8|16|32)")
_MARKS = (b"<<<<<<< ", b"=======", b">>>>>>> ")
_MODULES = re.compile(r"(?i)(?:\.gitmodules|gitmod~[1-4]|gi7eba~[1-9])[ .]*")


def filtered_paths(tree: OpenTree, paths: Sequence[str]) -> frozenset[str]:
    """Return those that a program or an encoding of the repository would change before they are committed.

    In another encoding than those that we see through, a secret would look like none, and be one once it is stored.
    """
    plain = [path for path in paths if is_plain(path)]
    if not plain:
        return frozenset()
    told = tree.git("check-attr", "-z", "--stdin", *_CHANGING, stdin=lines_of(plain)).decode("utf-8").split("\0")
    values = ((told[i], told[i + 1], told[i + 2]) for i in range(0, len(told) - 2, 3))
    return frozenset(
        path
        for path, attribute, value in values
        if value not in ("unspecified", "unset") and not (attribute == _ENCODING and _SEEN_THROUGH.match(value))
    )


def judge(tree: OpenTree, change: Change, filtered: bool, *, everything: bool) -> Unfit | tuple[Content | None, str]:
    """Return why a change is left out, or its content (None: it is gone) and the rule that lets it in."""
    path, rule = change.path, tree.rule
    if not is_plain(path):
        return Unfit("unreadable", "has a name that is not UTF-8, or is git's own")
    if change.is_repository:
        return Unfit("repository", "is a submodule or another repository")
    if change.unmerged and not everything:
        return Unfit("conflict", "is not merged")
    never = matching(path, rule.never, fold=True)
    if never is not None:
        return Unfit("never", f"fits {never} of never in the policy")
    name = secret_name(path)
    if name is not None:
        return Unfit("secret", f"has a name that secrets have ({name})")
    holds = secret_content(path.encode())
    if holds is not None:
        return Unfit("secret", f"has a name that seems to hold {holds}")
    if overlap(tree.path / path, tree.policy.protected) is not None:
        return Unfit("secret", "is a file of Selfheal's own, which the configuration protects")
    if filtered:
        return Unfit("filtered", "would be changed by a program or an encoding of the repository")
    fits = "**" if everything else matching(path, rule.safe)
    if fits is None:
        return Unfit("other", "fits no pattern of safe in the policy")
    content = read_content(tree.top, path, rule.largest_file)
    if isinstance(content, Unfit):
        return (None, fits) if content.class_ == "gone" else content
    return _unfit_content(path, content, everything=everything) or (content, fits)


def _unfit_content(path: str, content: Content, *, everything: bool) -> Unfit | None:
    seen = secret_content(content.data)
    if seen is not None:
        return Unfit("secret", f"seems to hold {seen}")
    if content.is_link and _MODULES.fullmatch(path.rpartition("/")[2]):
        return Unfit("repository", "is a link that git refuses: it would lead to other repositories")
    if everything:
        return None
    if is_archive(content.data):
        return Unfit("packed", "cannot be looked through: it is packed, or a database")
    if path.rpartition("/")[2] == ".gitmodules":
        return Unfit("repository", "leads to other repositories")
    lines = content.data.splitlines()
    if all(any(line.startswith(mark) for line in lines) for mark in _MARKS):
        return Unfit("conflict", "holds the marks of a conflict")
    return None
