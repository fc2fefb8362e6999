"""Keeps a whole work tree, untracked files and all but secrets, as a commit that no branch sees; the newest stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.actions._git import check_unchanged, read_items, survey
from remediator.actions._git_objects import keep_blobs, make_commit, make_tree, time_of
from remediator.errors import Refused
from remediator.git import OpenTree, Reference, open_tree
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Door
from remediator.policy.work_trees import CHECKPOINTS, WorkTree, permitted_work_tree

name = "git.checkpoint"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {"work_tree": Argument(ArgumentType.WORK_TREE, required=True)}

_MESSAGE = "A checkpoint of {} uncommitted changes\n"


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a work tree, list each file that would be kept with its blob, and the old checkpoints that would go.

    Raise Refused if the policy permits no checkpoints of it or it is not ours, ActionFailed if git cannot read it.
    """
    path = _permitted(context, arguments["work_tree"]).path
    with open_tree(path, context) as tree:
        kept = _kept(tree)
        newest = _newest(kept)
        found = survey(tree, newest, everything=True)
        detail: Json = {"work_tree": path, **found.detail()}
        if not found.items and found.carried:
            return Plan((), {**detail, "why": "the newest checkpoint holds it already", "commit": newest})
        if not found.items:
            return Plan((), {**detail, "why": "there is nothing that is not committed and may be kept"})
        content = make_tree(tree, [*found.carried, *found.items], real=False)
        at = time_of(tree, found.newest)
        commit = _commit(tree, content, (len(found.items), at), real=False)
        number = 1 + max((_number(reference) for reference, _ in kept), default=0)
        reference = f"{CHECKPOINTS}{number:06d}-{commit[:12]}"
        dropped = kept[: max(0, len(kept) + 1 - tree.rule.checkpoints)]
        items = [*found.items, *({"kind": "reference", "name": each, "object": old} for each, old in dropped)]
        detail |= {"head": tree.head, "tree": content, "at": at, "commit": commit, "reference": reference}
        return Plan(tuple(items), detail)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, make exactly its commit and reference and let go of the old ones it lists.

    Raise Refused if a file or HEAD is not what it was, ActionFailed if git fails: then no reference has moved.
    """
    items, detail = read_items(plan.items), plan.detail
    path = str(detail.get("work_tree", ""))
    _permitted(context, path)
    with open_tree(path, context) as tree:
        done = tree.resolve(str(detail["reference"])) == detail["commit"]
        if not done:
            if tree.head != detail.get("head"):
                raise Refused("HEAD stands elsewhere than when this was planned")
            carried = check_unchanged(tree, items, _newest(_kept(tree)), everything=True)
        context.reached("effect_begun")
        if not done:
            keep_blobs(tree, items, carried)
            content = make_tree(tree, [*carried, *items], real=True)
            if _commit(tree, content, (len(items), int(detail["at"])), real=True) != detail["commit"]:
                raise Refused("the commit would be another than the one that was planned")
            moved = [Reference(detail["reference"], detail["commit"], None)]
            tree.move([*moved, *(Reference(each, None, old) for each, old in _dropped(plan) if tree.resolve(each))])
        context.reached("effect_done")
    effects = [{"kind": "reference", "name": detail["reference"], "object": detail["commit"]}]
    effects += [item for item in plan.items if item.get("kind") == "reference"]
    return Outcome(True, tuple(effects), {"work_tree": path, "commit": detail["commit"], "files": len(items)})


def undo(plan: Plan, _outcome: Outcome, context: Context) -> Outcome:
    """Given what was kept, let go of it and bring back what went for it. Raise ActionFailed if git fails."""
    detail = plan.detail
    with open_tree(str(detail.get("work_tree", "")), context) as tree:
        back = [Reference(each, old, None) for each, old in _dropped(plan) if tree.resolve(each) is None]
        gone = [Reference(detail["reference"], None, detail["commit"])] if tree.resolve(detail["reference"]) else []
        if back or gone:
            tree.move([*back, *gone])
    return Outcome(True, tuple({"kind": "reference", "name": each.name, "object": each.new} for each in (*back, *gone)))


def _permitted(context: Context, name_or_path: str) -> WorkTree:
    rule = permitted_work_tree(context.policy, name_or_path)
    if not rule.checkpoints:
        what = f"no checkpoint of {rule.path} is permitted; say how many are kept under checkpoints"
        raise context.policy.refused(Door.SHELL, f"{what} in {context.policy.source}")
    return rule


def _kept(tree: OpenTree) -> list[tuple[str, str]]:
    """Return the references of the checkpoints and their commits, the oldest first."""
    told = tree.git("for-each-ref", "--format=%(refname) %(objectname)", CHECKPOINTS).decode("utf-8", "replace")
    found = [(name, commit) for name, _, commit in (line.partition(" ") for line in told.splitlines())]
    return sorted((each for each in found if _number(each[0])), key=lambda each: _number(each[0]))


def _newest(kept: Sequence[tuple[str, str]]) -> str | None:
    return kept[-1][1] if kept else None


def _number(reference: str) -> int:
    """Return a checkpoint's number, 0 for a reference that somebody else put there."""
    number = reference.removeprefix(CHECKPOINTS).partition("-")[0]
    return int(number) if number.isdecimal() and number.isascii() and len(number) <= 12 else 0


def _dropped(plan: Plan) -> list[tuple[str, str]]:
    """Return the references that a stored plan lets go of. Raise Refused if one is no checkpoint."""
    found = [(str(item.get("name")), str(item.get("object"))) for item in plan.items if item.get("kind") == "reference"]
    for reference, _ in found:
        if not reference.startswith(CHECKPOINTS) or not _number(reference):
            raise Refused(f"the stored plan lets go of {reference!r:.100}, which is no checkpoint")
    return found


def _commit(tree: OpenTree, content: str, about: tuple[int, int], *, real: bool) -> str:
    files, at = about
    parents = [tree.head] if tree.head is not None else []
    return make_commit(tree, content, parents, (_MESSAGE.format(files), at), real=real)
