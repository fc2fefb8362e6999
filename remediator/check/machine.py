"""The policy against this machine: what it lists and what is not there, is protected, or belongs to no group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from remediator.check.world import World
from remediator.policy import VERBS, Policy, overlap, place_of
from remediator.policy.owned import untrusted
from remediator.policy.values import SAFE_METHODS
from selfheal.common.files import privacy_problem
from selfheal.common.problems import Problem

name = "machine"


def check(world: World) -> Iterator[Problem]:
    """Yield everything that the policy permits in vain."""
    policy = world.policy
    if policy is None:
        return
    if policy.problem is not None:
        yield policy.problem
    yield from _groups(world, policy)
    yield from _roots(policy)
    for at, program in _programs(policy):
        if not os.access(program, os.X_OK):
            what = f"{program} is no program that this user may start"
            yield Problem(policy.source, at, what, "mend the path", "warning")
        else:
            yield from _untrusted(policy, at, program)
    for entry in policy.ansible:
        for key, path in (("playbook", entry.playbook), ("inventory", entry.inventory)):
            at = f"ansible.{entry.name}.{key}"
            if path.startswith("/") and not Path(path).exists():
                what = f"{path} does not exist on this machine"
                yield Problem(policy.source, at, what, "mend the path", "warning")
            elif path.startswith("/"):
                yield from _untrusted(policy, at, path)
    for tree in policy.work_trees:
        if not (Path(tree.path) / ".git").is_dir():
            what, remedy = "is no work tree of git on this machine", "name the top of one, or remove it"
            yield Problem(policy.source, f"work_trees.{tree.path}", what, remedy, "warning")
    yield from _monitoring(policy)
    yield from _secrets(policy)
    if policy.identities is not None and not policy.identities.exists():
        what = f"{policy.identities} does not exist, so no process may be signalled until it does"
        yield Problem(policy.source, "identities", what, "start what writes it, or remove the line", "warning")


def _groups(world: World, policy: Policy) -> Iterator[Problem]:
    if not policy.process_groups:
        return
    if policy.users is not None and not policy.users:
        what = "is an empty list, so no process of process_groups may be signalled"
        yield Problem(policy.source, "users", what, "name users, or remove one of the two", "warning")
    if world.config is not None and world.config.process_config is None:
        what = "is missing, so no process belongs to any of the policy's process_groups"
        yield Problem(str(world.config.file), "process_config", what, "name the exporter's file of process groups")
        return
    names = world.grouping.names() if world.grouping else ()
    for index, pattern in enumerate(policy.process_groups):
        if names and not any(fnmatchcase(group, pattern) for group in names):
            what = f"{pattern!r} matches no group of process_config"
            remedy = f"it has {', '.join(names)}"
            yield Problem(policy.source, f"process_groups[{index}]", what, remedy, "warning")


def _roots(policy: Policy) -> Iterator[Problem]:
    for root in policy.roots:
        at = f"roots.{root.path}"
        inside = overlap(Path(root.path), policy.protected)
        if inside is not None:
            yield Problem(policy.source, at, f"overlaps {inside}, which is protected", "name another folder")
        if not Path(root.path).is_dir():
            yield Problem(policy.source, at, "is no folder on this machine", "make it or remove it", "warning")


def _programs(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield every program that the policy would have started, with where it says so."""
    for command in policy.commands:
        for verb in VERBS:
            yield f"commands.{command.name}.{verb}", command.argv(verb)[0]
    for named in policy.named:
        yield f"commands.{named.name}.run", named.run[0]
        if named.check:
            yield f"commands.{named.name}.check", named.check[0]
    if policy.units or policy.scale:
        yield "programs.systemctl", policy.programs.systemctl
    if policy.ansible:
        yield "programs.ansible_playbook", policy.programs.ansible_playbook
    if policy.work_trees:
        yield "programs.git", policy.programs.git
    if policy.journal is not None:
        yield "programs.journalctl", policy.programs.journalctl


def _untrusted(policy: Policy, at: str, path: str) -> Iterator[Problem]:
    """Yield why the door would not start a program or have a file read, by the judgement of the door itself."""
    refusal = untrusted(path)
    if refusal is not None:
        what, _, remedy = refusal.partition("; ")
        remedy = remedy or "name one in folders of root's or of the remediator's user that nobody else may write in"
        yield Problem(policy.source, at, f"{what}, so it is refused", remedy, "warning")


def _secrets(policy: Policy) -> Iterator[Problem]:
    for entry in policy.urls:
        path = entry.authorization_file
        if path is None:
            continue
        try:
            problem = privacy_problem(path)
        except OSError as error:
            problem = f"{path} cannot be read ({error.strerror}); write the header into it, and chmod 600 it"
        if problem is not None:
            what, _, remedy = problem.partition("; ")
            yield Problem(policy.source, f"urls.{entry.address}.authorization_file", what, remedy, "warning")


def _monitoring(policy: Policy) -> Iterator[Problem]:
    for entry in policy.urls:
        changing = [method for method in entry.methods if method not in SAFE_METHODS]
        place = place_of(entry.address.host, entry.address.port)
        if changing and entry.address.scheme != "tcp" and place in policy.protected_addresses:
            what = f"belongs to the monitoring itself, where {', '.join(changing)} is always refused"
            remedy = f"leave {', '.join(sorted(SAFE_METHODS))}"
            yield Problem(policy.source, f"urls.{entry.address}.methods", what, remedy, "warning")
