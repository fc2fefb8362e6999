"""What an argument or a parameter names, asked of the policy by its type: the one way from a look-up to the section."""

from __future__ import annotations

from remediator.model import ArgumentType
from remediator.policy import Policy
from remediator.policy.managed import permitted_container, permitted_program
from remediator.policy.refusals import Door
from remediator.policy.scale import scaling
from remediator.policy.values import Ansible, NamedCommand
from remediator.policy.work_trees import permitted_work_tree


def look_up(policy: Policy, kind: ArgumentType, value: str) -> NamedCommand | Ansible | None:
    """Given a type and what is named, return what takes parameters of its own, if it is that; else None.

    Types that are no look-ups are not asked about. Raise Refused, with the remedy, if the policy does not list it.
    """
    match kind:
        case ArgumentType.GROUP:
            refusal = policy.may_group(value)
            if refusal is not None:
                raise policy.refused(Door.SIGNALS, refusal)
        case ArgumentType.ROOT:
            policy.root(value)
        case ArgumentType.SERVICE:
            policy.command(value)
        case ArgumentType.UNIT:
            policy.unit(value)
        case ArgumentType.TEMPLATE:
            scaling(policy, value)
        case ArgumentType.COMMAND:
            return policy.named_command(value)
        case ArgumentType.URL:
            policy.address(value)
        case ArgumentType.WORK_TREE:
            permitted_work_tree(policy, value)
        case ArgumentType.CONTAINER:
            permitted_container(policy, value)
        case ArgumentType.PROGRAM:
            permitted_program(policy, value)
        case ArgumentType.PLAY:
            return policy.ansible_playbook(value)
    return None
