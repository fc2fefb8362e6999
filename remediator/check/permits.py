"""Policy against playbooks and machine: what would always be denied, or could never work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from remediator.actions import ACTIONS
from remediator.check.world import World
from remediator.model import ArgumentType, Effect, Mode, Playbook
from remediator.playbooks.templates import has_template
from remediator.policy import Policy, overlap
from selfheal.common.problems import Problem

name = "permits"


def check(world: World) -> Iterator[Problem]:
    """Yield everything that policy and playbooks promise each other in vain."""
    config, policy = world.config, world.policy
    if config is None:
        return
    acting = [playbook for playbook in world.playbooks if config.highest_mode is Mode.AUTO is playbook.mode]
    touching = [p for p in acting if any(ACTIONS[s.action].effect is not Effect.READ_ONLY for s in p.steps)]
    if config.policy is None:
        if touching:
            what = f"is missing, so nothing is permitted and {touching[0].name} is always denied"
            yield Problem(str(config.file), "policy", what, "add policy: policy.yml")
        return
    if policy is None:
        return
    if policy.problem is not None:
        yield policy.problem
    yield from _groups(world, policy)
    yield from _machine(policy)
    for playbook in touching:
        yield from _denied(playbook, policy)


def _groups(world: World, policy: Policy) -> Iterator[Problem]:
    if not policy.process_groups:
        return
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


def _machine(policy: Policy) -> Iterator[Problem]:
    for root in policy.roots:
        at = f"roots.{root.path}"
        inside = overlap(Path(root.path), policy.protected)
        if inside is not None:
            yield Problem(policy.source, at, f"overlaps {inside}, which is protected", "name another folder")
        if not Path(root.path).is_dir():
            yield Problem(policy.source, at, "is no folder on this machine", "make it or remove it", "warning")
    for command in policy.commands:
        for verb in ("start", "stop", "status"):
            program = command.argv(verb)[0]
            if not os.access(program, os.X_OK):
                what = f"{program} is no program that this user may start"
                yield Problem(policy.source, f"commands.{command.name}.{verb}", what, "mend the path", "warning")
    if policy.identities is not None and not policy.identities.exists():
        what = f"{policy.identities} does not exist, so no process may be signalled until it does"
        yield Problem(policy.source, "identities", what, "start what writes it, or remove the line", "warning")


def _denied(playbook: Playbook, policy: Policy) -> Iterator[Problem]:
    """Yield each literal group, root or service that a playbook names and the policy does not."""
    services = [command.name for command in policy.commands]
    for index, step in enumerate(playbook.steps):
        for key, value in step.arguments.items():
            if not isinstance(value, str) or has_template(value):
                continue
            match ACTIONS[step.action].arguments[key].type:
                case ArgumentType.GROUP:
                    permitted = any(fnmatchcase(value, pattern) for pattern in policy.process_groups)
                    section = "process_groups"
                case ArgumentType.ROOT:
                    permitted, section = value in [root.path for root in policy.roots], "roots"
                case ArgumentType.SERVICE:
                    permitted, section = value in services, "commands"
                case _:
                    continue
            if not permitted:
                what = f"{value!r} is not permitted by {policy.source}"
                yield Problem(playbook.source, f"steps[{index}].with.{key}", what, f"list it there under {section}")
