"""The shape of `ansible:` in a policy file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from remediator.policy.values import ANSIBLE_TIMEOUT, Ansible
from remediator.policy_sections.commands import WrittenParameters, read_parameters
from remediator.policy_sections.texts import Name, PlainPath, Timeout
from selfheal.common.documents import Section, told


def _inventory(value: str) -> str:
    # `host,` is Ansible's way to name hosts without a file
    if value.startswith("-") or not (value.startswith("/") or value.endswith(",")):
        told(f"{value[:80]!r} is no inventory", "write an absolute path, or hosts with a comma: localhost,")
    return value


def _limit(value: str) -> str:
    if not value or value.startswith(("-", "@")) or not value.isprintable():
        told(f"{value[:80]!r} is no limit", "write hosts or groups of the inventory")
    return value


class _AnsibleRule(Section):
    playbook: PlainPath
    inventory: Annotated[str, AfterValidator(_inventory)]
    limit: Annotated[str, AfterValidator(_limit)] | None = None
    parameters: WrittenParameters = Field(default_factory=dict)
    timeout: Timeout = ANSIBLE_TIMEOUT
    idempotent: bool = False
    check_mode: bool = True


WrittenAnsible = dict[Name, _AnsibleRule]


def read_ansible(written: dict[str, _AnsibleRule]) -> tuple[Ansible, ...]:
    """Given the section as it was read, return its values."""
    return tuple(
        Ansible(
            name,
            entry.playbook,
            entry.inventory,
            entry.limit,
            read_parameters(entry.parameters),
            entry.timeout,
            entry.idempotent,
            entry.check_mode,
        )
        for name, entry in written.items()
    )
