"""Commits what the policy calls safe on a side branch, with a tag. Index, HEAD, branches and files stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.actions._git import check_unchanged, read_items, survey
from remediator.actions._git_objects import keep_blobs, make_commit, make_tag, make_tree, time_of
from remediator.errors import ActionFailed, Refused
from remediator.git import OpenTree, Reference, open_tree, under_way
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Door
from remediator.policy.work_trees import permitted_work_tree

name = "git.commit_safe"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {"work_tree": Argument(ArgumentType.WORK_TREE, required=True)}


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a work tree, list each file that would be committed with its class and blob, and what is left out.

    Raise Refused if the policy does not permit it, it is not ours, or a merge, rebase or the like is under way in it;
    ActionFailed if git cannot read it.
    """
    path = permitted_work_tree(context.policy, arguments["work_tree"]).path
    with open_tree(path, context) as tree:
        _let_alone(tree)
        tip = tree.resolve(_branch(tree))
        found = survey(tree, tip, everything=False)
        detail: Json = {"work_tree": path, "branch": tree.rule.branch, **found.detail()}
        if not found.items and found.carried:
            return Plan((), {**detail, "why": "it is committed already", "commit": tip})
        if not found.items:
            return Plan((), {**detail, "why": "nothing that is safe to commit has changed"})
        content = make_tree(tree, [*found.carried, *found.items], real=False)
        detail |= {"head": tree.head, "tip": tip, "tree": content, "at": time_of(tree, found.newest)}
        detail |= {"remediation": context.remediation}
        return Plan(tuple(found.items), detail | _commit(tree, detail, found.items, real=False))


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, make exactly its commit and tag, if every file, HEAD and the branch are what they were.

    Raise Refused if not, ActionFailed if git fails: then branch and tag are as before.
    """
    items, detail = read_items(plan.items), plan.detail
    with open_tree(str(detail.get("work_tree", "")), context) as tree:
        _let_alone(tree)
        if detail.get("branch") != tree.rule.branch:
            raise Refused(f"the policy names another branch than {detail.get('branch')!r:.100} now")
        tip = tree.resolve(_branch(tree))
        if tip is not None and tip == detail.get("commit"):
            # it was begun before, and this part of it was done
            carried = []
            wanted = [Reference(_tag(detail), detail["tag_object"], None)]
        else:
            if (tree.head, tip) != (detail.get("head"), detail.get("tip")):
                raise Refused("HEAD or the side branch stands elsewhere than when this was planned")
            carried = check_unchanged(tree, items, tip, everything=False)
            wanted = [
                Reference(_branch(tree), detail["commit"], tip),
                Reference(_tag(detail), detail["tag_object"], None),
            ]
        context.reached("effect_begun")
        if len(wanted) > 1:
            _store(tree, detail, items, carried)
        tree.move([each for each in wanted if tree.resolve(each.name) != each.new])
        context.reached("effect_done")
    effects = tuple({"kind": "reference", "name": each.name, "object": each.new} for each in wanted)
    return Outcome(True, effects, {"work_tree": detail["work_tree"], "commit": detail["commit"], "files": len(items)})


def undo(plan: Plan, _outcome: Outcome, context: Context) -> Outcome:
    """Given what was committed, revert it by a further commit on the side branch; commit and tag stay to be found.

    Raise Refused if others have committed there since, ActionFailed if git fails.
    """
    detail = plan.detail
    with open_tree(str(detail.get("work_tree", "")), context) as tree:
        reference = f"refs/heads/{detail.get('branch')}"
        before = detail["tip"] or detail["head"]
        content = tree.resolve(f"{before}^{{tree}}") if before else _nothing(tree)
        if content is None:
            raise ActionFailed(f"the tree of {before} is not there any more")
        text = (f"Revert what Selfheal committed as {detail['commit']}\n", int(detail["at"]))
        commit = make_commit(tree, content, [detail["commit"]], text, real=False)
        tip = tree.resolve(reference)
        if tip != commit:
            if tip != detail["commit"]:
                raise Refused(f"{reference} has moved since; revert {detail['commit']} by hand")
            make_commit(tree, content, [detail["commit"]], text, real=True)
            tree.move([Reference(reference, commit, tip)])
    return Outcome(True, ({"kind": "reference", "name": reference, "object": commit},), {"commit": commit})


def _let_alone(tree: OpenTree) -> None:
    """Raise Refused while somebody is in the middle of something."""
    what = under_way(tree.path)
    if what is not None:
        raise tree.policy.refused(Door.SHELL, f"{what} is under way in {tree.rule.path}")


def _commit(tree: OpenTree, detail: Mapping[str, Any], items: Sequence[Json], *, real: bool) -> Json:
    """Make the commit and its tag, and say which they are."""
    tip, head, at = detail["tip"], detail["head"], int(detail["at"])
    parents = [parent for parent in (tip or head,) if parent is not None]
    if tip is not None and head is not None and tree.ask("merge-base", "--is-ancestor", head, tip)[0] != 0:
        # the work goes on from a newer commit than the side branch knows
        parents.append(head)
    message = f"Keep {len(items)} uncommitted changes that the policy calls safe\n"
    if detail["remediation"]:
        message += f"\nSelfheal-Remediation: {detail['remediation']}\n"
    commit = make_commit(tree, detail["tree"], parents, (message, at), real=real)
    tag = f"{tree.rule.branch}-{commit[:12]}"
    return {"commit": commit, "tag": tag, "tag_object": make_tag(tree, commit, tag, (message, at), real=real)}


def _store(tree: OpenTree, detail: Mapping[str, Any], items: Sequence[Json], carried: Sequence[Json]) -> None:
    """Store blobs, trees, commit and tag in the repository. Raise Refused if they come out otherwise than planned."""
    keep_blobs(tree, items, carried)
    content = make_tree(tree, [*carried, *items], real=True)
    made = _commit(tree, {**detail, "tree": content}, items, real=True)
    if content != detail["tree"] or any(detail.get(key) != value for key, value in made.items()):
        raise Refused("the commit would be another than the one that was planned")


def _nothing(tree: OpenTree) -> str:
    return tree.git("write-tree", index="nothing", real=True).decode("ascii").strip()


def _branch(tree: OpenTree) -> str:
    return f"refs/heads/{tree.rule.branch}"


def _tag(detail: Mapping[str, Any]) -> str:
    return f"refs/tags/{detail['tag']}"
