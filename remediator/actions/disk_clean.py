"""Removes old files below a root that the policy lists, oldest first: by age, or until the folder is small enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import Refused
from remediator.files import File, Listing, OpenRoot, bytes_of, held_by, open_root
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Policy, Root

name = "disk.clean"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = {
    "root": Argument(ArgumentType.ROOT, required=True),
    "down_to": Argument(ArgumentType.BYTES),
    "older_than": Argument(ArgumentType.DURATION),
}

MOST_FILES = 2000
"""Files in one plan; the rest is told as a number."""
MOST_PATHS = 512 * 1024
"""Bytes of paths in one plan: its outcome names every file that was removed, and is kept."""
SHOWN = 20
"""Files left alone that are told in full."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["down_to"] is None and values["older_than"] is None:
        return "says neither how far nor how old; add down_to, older_than or both"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a root, list the files to remove, the oldest first.

    Raise Refused if the policy forbids the root or it cannot be entered safely, OSError if it cannot be read.
    """
    try:
        with open_root(arguments["root"], context.policy) as opened:
            return _choose(opened, opened.list(), arguments)
    except FileNotFoundError:
        return Plan((), {"root": arguments["root"], "missing": True})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, remove exactly its files that are still what was listed; those that are gone are done.

    Raise Refused if the root is another folder now, or nothing of the plan may be removed any more.
    """
    policy: Policy = context.policy
    path = str(plan.detail.get("root", ""))
    files = [_file_of(item, path) for item in plan.items]
    try:
        with open_root(path, policy) as opened:
            if [opened.device, opened.inode] != plan.detail.get("root_identity"):
                raise Refused(f"root {path} is another folder than the one that was planned")
            older_than = max(opened.root.older_than, float(plan.detail.get("older_than", 0.0)))
            context.reached("effect_begun")
            outcome = _remove(opened, files, older_than, context)
            context.reached("effect_done")
            return outcome
    except FileNotFoundError:
        return Outcome(True, (), {"root": path, "missing": True})


def _choose(opened: OpenRoot, listing: Listing, arguments: Mapping[str, Any]) -> Plan:
    root: Root = opened.root
    older_than = max(root.older_than, arguments["older_than"] or 0.0)
    by_age = sorted(listing.files, key=lambda file: file.modified_ns)
    total = bytes_of(by_age)
    old = [file for file in by_age[: max(0, len(by_age) - root.keep)] if opened.age(file) >= older_than]
    wanted = old if arguments["down_to"] is None else _until(old, total, arguments["down_to"])
    chosen = _above_floor(wanted, held_by(by_age), root.floor)
    planned, beyond = _within_bounds(chosen)
    detail: Json = {
        "root": root.path,
        "root_identity": [opened.device, opened.inode],
        "older_than": older_than,
        "down_to": arguments["down_to"],
        "bytes_before": total,
        "files_before": len(by_age),
        "bytes_planned": sum(file.size for file in planned),
    }
    if listing.left_out:
        detail["left_out"] = dict(listing.left_out)
    if len(chosen) < len(wanted):
        detail |= {"floor": root.floor, "kept_by_floor": len(wanted) - len(chosen)}
    if beyond:
        detail["beyond_limit"] = {"files": len(beyond), "bytes": sum(file.size for file in beyond)}
    return Plan(tuple(_item_of(root.path, file) for file in planned), detail)


def _above_floor(files: list[File], held: int, floor: int) -> list[File]:
    """Return the first files, as many as may go so that `floor` bytes are left."""
    for number, file in enumerate(files):
        if floor and held - file.held < floor:
            return files[:number]
        held -= file.held
    return files


def _within_bounds(files: list[File]) -> tuple[list[File], list[File]]:
    """Part files into those that one plan holds and those that the next one must."""
    left = MOST_PATHS
    for number, file in enumerate(files[:MOST_FILES]):
        left -= len(file.path.encode())
        if left < 0:
            return files[:number], files[number:]
    return files[:MOST_FILES], files[MOST_FILES:]


def _until(files: list[File], total: int, down_to: int) -> list[File]:
    chosen = []
    for file in files:
        if total <= down_to:
            break
        chosen.append(file)
        total -= file.size
    return chosen


def _remove(opened: OpenRoot, files: list[File], older_than: float, context: Context) -> Outcome:
    effects: list[Json] = []
    alone: list[Json] = []
    failed: list[Json] = []
    refused: list[Json] = []
    gone = 0
    for index, file in enumerate(files):
        if context.monotonic() >= context.deadline:
            failed.append({"why": "the time was over", "files": len(files) - index})
            break
        item = _item_of(opened.root.path, file)
        try:
            why = opened.remove(file, older_than)
        except FileNotFoundError:
            gone += 1
            continue
        except Refused as error:
            refused.append({"path": item["path"], "why": error.detail})
        except OSError as error:
            failed.append({"path": item["path"], "why": error.strerror or str(error)})
        else:
            if why is None:
                effects.append({"kind": "file", "path": item["path"], "size": file.size})
            else:
                alone.append({"path": item["path"], "why": why})
    if refused and not effects:
        raise Refused(f"nothing of {len(files)} files may be removed any more; the first: {refused[0]['why']}")
    detail: Json = {
        "root": opened.root.path,
        "files_removed": len(effects),
        "bytes_removed": sum(effect["size"] for effect in effects),
    }
    if gone:
        # by others, or by an attempt of ours that did not live to tell: the plan names them
        detail["gone_already"] = gone
    for key, entries in (("left_alone", alone), ("refused", refused), ("failed", failed)):
        if entries:
            detail |= {key: entries[:SHOWN], f"{key}_count": len(entries)}
    return Outcome(not failed, tuple(effects), detail)


def _item_of(root: str, file: File) -> Json:
    return {
        "kind": "file",
        "path": f"{root}/{file.path}",
        "size": file.size,
        "modified_ns": file.modified_ns,
        "inode": file.inode,
    }


def _file_of(item: Json, root: str) -> File:
    """Given an item of a stored plan, return its file. Raise Refused if it names none below the root."""
    path = item.get("path")
    numbers = [item.get(key) for key in ("size", "modified_ns", "inode")]
    if item.get("kind") != "file" or not isinstance(path, str) or not all(type(number) is int for number in numbers):
        raise Refused(f"the stored plan names no file: {item!r:.200}")
    if not path.startswith(f"{root}/"):
        raise Refused(f"the stored plan names {path!r}, which is not below {root}")
    return File(path.removeprefix(f"{root}/"), *numbers)  # type: ignore[arg-type]  # their types stand above
