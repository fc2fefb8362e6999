"""The door to Ansible: playbooks that the policy names, with parameters that hold no template; `shell` starts it.

Not through ansible-runner, which starts processes itself: one door starts everything, with its limits and its record.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from remediator.errors import ActionFailed
from remediator.policy import Door, Policy
from remediator.policy.values import Ansible
from remediator.shell import Asked, Finished, parameter_values, run_program, trust

KEPT_OUTPUT = 64 * 1024
"""Bytes of the end of its output that are kept: it ends with a line for each host."""
ENVIRONMENT = {
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_RETRY_FILES_ENABLED": "0",
    # what it ends with is read: no setting of the host's may have it told otherwise
    "ANSIBLE_STDOUT_CALLBACK": "default",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
}


def permitted_playbook(policy: Policy, asked: Asked) -> tuple[Ansible, dict[str, str]]:
    """Given an Ansible playbook and its parameters, return both if all that is permitted.

    Raise Refused as `run_ansible` does.
    """
    entry = policy.ansible_playbook(asked.name)
    values = parameter_values(policy, asked, entry.parameters)
    for name, value in values.items():
        # a brace at its edge could become one together with what stands beside it in the playbook
        if any(mark in value for mark in ("{{", "{%", "{#")) or value.startswith("{") or value.endswith("{"):
            raise policy.refused(Door.SHELL, f"parameter {name!r} holds a template, which Ansible would fill in")
    program = policy.programs.ansible_playbook
    if not Path(program).exists():
        remedy = f"install ansible-core, or name its place under programs.ansible_playbook in {policy.source}"
        raise policy.refused(Door.SHELL, f"{program} is not there; {remedy}")
    return entry, values


def run_ansible(
    policy: Policy, asked: Asked, timeout: float, monotonic: Callable[[], float], *, dry_run: bool = False
) -> Finished:
    """Given an Ansible playbook that the policy names and its parameters, run it as `run_command` does.

    Parameters become extra variables, and none may hold what Ansible would read as a template. With `dry_run` it is
    asked what it would change (`--check --diff`): only tasks that say `check_mode: false` are done all the same.
    Raise Refused also if others could have written the playbook or its inventory, or Ansible is not there.
    """
    entry, values = permitted_playbook(policy, asked)
    program = policy.programs.ansible_playbook
    for path in (program, entry.playbook, *([entry.inventory] if entry.inventory.startswith("/") else [])):
        trust(policy, path)
    limit = [] if entry.limit is None else ["--limit", entry.limit]
    variables = ["--extra-vars", json.dumps(values, ensure_ascii=False)] if values else []
    dry = ["--check", "--diff"] if dry_run else []
    argv = (program, "--inventory", entry.inventory, *limit, *variables, *dry, "--", entry.playbook)
    seconds = min(timeout, entry.timeout)
    try:
        home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        raise ActionFailed(f"cannot start {program} ({asked.name}): {error}") from error
    with home as path:
        # it writes below its home, and reads settings there that nobody should have left
        environment = {"HOME": path, **ENVIRONMENT}
        return run_program(argv, asked.name, seconds, monotonic, environment=environment, kept=KEPT_OUTPUT)
