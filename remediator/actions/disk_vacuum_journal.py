"""Removes the oldest archived files of systemd's journal, by age or until it is small enough, never below the floor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from remediator.errors import ActionFailed, Refused
from remediator.journals import Archived, Folder, Vacuumed, disk_usage, folders, is_old, look, vacuum
from remediator.model import IN_DOUBT, Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Policy
from remediator.policy.journal import Journal, rule_of

name = "disk.vacuum_journal"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = {
    "down_to": Argument(ArgumentType.BYTES),
    "older_than": Argument(ArgumentType.DURATION),
}

MOST_FILES = 1000
"""Files in one plan; the rest is told as a number."""
SHOWN = 20
"""Files left alone that are told in full."""

_Done = tuple[Folder, Sequence[Archived], Vacuumed]
"""A folder as it was, the files that were to go from it, and what came of that."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["down_to"] is None and values["older_than"] is None:
        return "says neither how far nor how old; add down_to, older_than or both"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """List the archived files that would go, of each folder of the journal the oldest first.

    Raise Refused if the policy does not permit it, ActionFailed if journalctl cannot be asked, OSError if a folder
    cannot be read.
    """
    policy: Policy = context.policy
    rule = rule_of(policy)
    items: list[Json] = []
    told: list[Json] = []
    beyond = 0
    for folder in folders(policy):
        going = list(_going(folder, rule, arguments))
        beyond += max(0, len(items) + len(going) - MOST_FILES)
        items += [_item_of(folder, file) for file in going[: MOST_FILES - len(items)]]
        usage = disk_usage(folder.path, policy, context.deadline, context.monotonic)
        told.append({"directory": folder.path, "inode": folder.inode, "bytes": folder.total, "disk_usage": usage})
    detail: Json = {
        "directories": told,
        "bytes_planned": sum(item["size"] for item in items),
        "floor": rule.floor,
        "older_than": max(rule.keep, arguments["older_than"] or 0.0),
        "down_to": arguments["down_to"],
    }
    if beyond:
        detail["beyond_limit"] = beyond
    return Plan(tuple(items), detail)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, have journalctl remove exactly its files that are still what was listed.

    Raise Refused if a folder is another one now, other files became the oldest, or the floor would not be left;
    ActionFailed if journalctl failed and nothing is gone.
    """
    policy: Policy = context.policy
    rule_of(policy)
    planned = _by_folder(plan)
    work = [(folder, going) for folder, going in _still_planned(planned, plan, policy) if going]
    context.reached("effect_begun")
    done: list[_Done] = []
    for folder, going in work:
        done.append((folder, going, _vacuum(folder, going, context, is_first=not done)))
    outcome = _outcome(done)
    context.reached("effect_done")
    return outcome


def _vacuum(folder: Folder, going: Sequence[Archived], context: Context, *, is_first: bool) -> Vacuumed:
    """Vacuum one folder. Raise Refused if it is the first, so that nothing was done."""
    if not is_first and context.monotonic() >= context.deadline:
        return Vacuumed((), "the time was over")
    try:
        return vacuum(folder, going, context.policy, context.deadline, context.monotonic)
    except Refused as error:
        if is_first:
            raise
        # what went from the folders before it must be told
        return Vacuumed((), error.detail)


def _outcome(done: Iterable[_Done]) -> Outcome:
    """Return what went and what did not, of all folders. Raise ActionFailed if it is known that nothing went."""
    effects: list[Json] = []
    told: dict[str, list[Json]] = {"failed": [], "left_alone": [], "beyond_plan": []}
    in_doubt = False
    for folder, going, result in done:
        if result.why:
            told["failed"].append({"directory": folder.path, "why": result.why})
        if result.gone is None:
            in_doubt = True
            continue
        wanted, gone = {file.name for file in going}, {file.name for file in result.gone}
        effects += [{"kind": "file", "path": f"{folder.path}/{file.name}", "size": file.size} for file in result.gone]
        told["beyond_plan"] += [{"path": f"{folder.path}/{name}"} for name in sorted(gone - wanted)]
        told["left_alone"] += [
            {"path": f"{folder.path}/{name}", "why": "journalctl left it"} for name in sorted(wanted - gone)
        ]
    if told["failed"] and not effects and not in_doubt:
        raise ActionFailed(told["failed"][0]["why"])
    detail: Json = {"files_removed": len(effects), "bytes_removed": sum(effect["size"] for effect in effects)}
    for key, entries in told.items():
        if entries:
            detail |= {key: entries[:SHOWN], f"{key}_count": len(entries)}
    if in_doubt:
        detail[IN_DOUBT] = True
    return Outcome(not told["failed"] and not told["left_alone"], tuple(effects), detail)


def _going(folder: Folder, rule: Journal, arguments: Mapping[str, Any]) -> Iterator[Archived]:
    """Yield the oldest files that may go: each old enough, and above the floor and what is wanted to be left."""
    older_than = max(rule.keep, arguments["older_than"] or 0.0)
    down_to = arguments["down_to"]
    left = folder.total
    for file in folder.archived:
        wanted = down_to is None or left > down_to
        if not wanted or left - file.size < rule.floor or not is_old(file, older_than):
            return
        left -= file.size
        yield file


def _still_planned(
    planned: Mapping[str, Mapping[tuple[str, int], Json]], plan: Plan, policy: Policy
) -> Iterator[tuple[Folder, list[Archived]]]:
    inodes = {each.get("directory"): each.get("inode") for each in plan.detail.get("directories", ())}
    for path, files in planned.items():
        folder = look(path, policy)
        if folder.inode != inodes.get(path):
            raise Refused(f"{path} is another folder than the one that was planned")
        going = [file for file in folder.archived if (file.name, file.inode) in files]
        if tuple(going) != folder.archived[: len(going)]:
            raise Refused(f"other files than the planned ones are the oldest of {path} now")
        yield folder, going


def _item_of(folder: Folder, file: Archived) -> Json:
    return {"kind": "file", "path": f"{folder.path}/{file.name}", "size": file.size, "inode": file.inode}


def _by_folder(plan: Plan) -> dict[str, dict[tuple[str, int], Json]]:
    """Return the planned files by folder. Raise Refused if the stored plan names no such files."""
    found: dict[str, dict[tuple[str, int], Json]] = {}
    for item in plan.items:
        path, inode = item.get("path"), item.get("inode")
        if item.get("kind") != "file" or not isinstance(path, str) or "/" not in path or type(inode) is not int:
            raise Refused(f"the stored plan names no file of the journal: {item!r:.200}")
        folder, _, file = path.rpartition("/")
        found.setdefault(folder, {})[(file, inode)] = item
    return found
