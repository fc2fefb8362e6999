"""Runs one playbook of Ansible that the policy names; the dry run is Ansible's own check mode.

The class declared here is the worst that a playbook can be, as for `command.run`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from remediator.ansible import permitted_playbook, run_ansible
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import IN_DOUBT, Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy.values import Ansible
from remediator.shell import CUT, Asked, Finished

name = "ansible.play"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
arguments: Mapping[str, Argument] = {
    "playbook": Argument(ArgumentType.PLAY, required=True),
    "parameters": Argument(ArgumentType.PARAMETERS),
}

RECAP = "PLAY RECAP "
COUNTED = ("ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored")
MOST_HOSTS = 200
"""Hosts that a plan shows, and of a recap those that are kept."""
SHOWN_DIFF = 8_000
"""Characters of the dry run's output that are kept."""
SHOWN_OUTPUT = 4_000

_TASKS = re.compile(r"^(TASK|RUNNING HANDLER) \[", re.MULTILINE)
_HOST = re.compile(r"(\S+)\s*:\s+((?:[a-z]+=[0-9]+\s*)+)")


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a playbook and its parameters, ask Ansible what it would change, and list the hosts.

    There is nothing to do where no task would change anything and none was left out, as those are that check mode
    cannot try. Raise Refused if the policy does not permit it or Ansible is not there, ActionFailed if the dry run
    fails.
    """
    asked = Asked(arguments["playbook"], arguments["parameters"] or {})
    entry, values = permitted_playbook(context.policy, asked)
    detail: Json = {"playbook": entry.name, "parameters": values, "playbook_digest": _digest(entry)}
    if not entry.check_mode:
        return Plan(({"kind": "ansible", "playbook": entry.name},), {**detail, "dry_run": False})
    finished = run_ansible(context.policy, asked, _left(context), context.monotonic, dry_run=True)
    hosts = recap(finished.output)
    if not finished.ok or not hosts:
        raise ActionFailed(f"the dry run of {entry.name!r} failed ({_why(finished, hosts)}): {finished.output[-500:]}")
    if len(hosts) > MOST_HOSTS:
        what = f"{entry.name!r} would touch {len(hosts)} hosts, and a plan shows {MOST_HOSTS} at most"
        raise ActionFailed(f"{what}; narrow it by limit in {context.policy.source}")
    items = tuple(
        {"kind": "ansible", "playbook": entry.name, "host": host, "changed": counts["changed"]}
        for host, counts in hosts.items()
        if counts.get("changed", 0) or counts.get("skipped", 0)
    )
    return Plan(items, {**detail, "checked": {"hosts": hosts, "output": finished.output[-SHOWN_DIFF:]}})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, run its playbook; a host that failed or was not reached is a known failure.

    So is one that touched a host which the plan did not show. Raise Refused if the playbook, its inventory or its entry
    in the policy is not the one of the plan, ActionFailed if Ansible cannot be started, OutcomeUnknown if it was ended
    or broke off in its tasks and the policy does not call it idempotent.
    """
    if not plan.items or any(item.get("kind") != "ansible" for item in plan.items):
        raise Refused("the stored plan names no playbook of Ansible")
    asked = Asked(str(plan.detail.get("playbook", "")), dict(plan.detail.get("parameters") or {}))
    entry, _ = permitted_playbook(context.policy, asked)
    if not _is_same(entry, plan):
        raise Refused(f"playbook {entry.name!r}, or what the policy says of it, has changed since this was planned")
    context.reached("effect_begun")
    finished = run_ansible(context.policy, asked, _left(context), context.monotonic)
    context.reached("effect_done")
    return _outcome(entry, plan, finished)


def recap(output: str) -> dict[str, dict[str, int]]:
    """Given Ansible's output, return what it counted for each host at its end; empty where it did not come so far.

    What a task wrote stands before the last recap, and never at the beginning of a line.
    """
    lines = output.splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith(RECAP)]
    found: dict[str, dict[str, int]] = {}
    for line in lines[begins[-1] + 1 :] if begins else ():
        if (host := _HOST.fullmatch(line.rstrip() + " ")) is not None:
            counts = dict(each.split("=") for each in host[2].split())
            found[host[1]] = {key: int(counts.get(key, 0)) for key in COUNTED}
    return found


def _outcome(entry: Ansible, plan: Plan, finished: Finished) -> Outcome:
    hosts = recap(finished.output)
    effects: tuple[Json, ...] = tuple(
        {"kind": "ansible", "playbook": entry.name, "host": host, "changed": counts["changed"]}
        for host, counts in _first(hosts).items()
        if counts["changed"]
    )
    told: Json = {"code": finished.code, "seconds": finished.seconds, "hosts": _first(hosts)}
    told["output"] = finished.output[-SHOWN_OUTPUT:]
    why_ended = finished.why_ended or _why_broken_off(finished, hosts)
    if why_ended is not None:
        if not entry.idempotent:
            what = f"playbook {entry.name!r} was ended because {why_ended}"
            raise OutcomeUnknown(f"{what}; what it did is not known, and a task may go on: {finished.output[-200:]}")
        return Outcome(False, effects, {**told, "why": why_ended, IN_DOUBT: True})
    strangers = _strangers(plan, hosts)
    if strangers:
        return Outcome(
            False, effects, {**told, "why": f"hosts that the plan did not show: {', '.join(strangers[:10])}"}
        )
    failed = not finished.ok or not hosts or any(each["failed"] or each["unreachable"] for each in hosts.values())
    return Outcome(not failed, effects, {**told, "why": _why(finished, hosts)} if failed else told)


def _why_broken_off(finished: Finished, hosts: Mapping[str, object]) -> str | None:
    """Say how it ended without a recap after its first task had begun, or may have; None if it did not."""
    begun = finished.output.startswith(CUT) or _TASKS.search(finished.output) is not None
    if finished.ok or hosts or not begun:
        return None
    return f"it broke off in its tasks (exit code {finished.code})"


def _strangers(plan: Plan, hosts: Mapping[str, object]) -> list[str]:
    """Return the hosts that were touched and that the dry run, if there was one, did not show."""
    checked = plan.detail.get("checked")
    return [host for host in hosts if host not in checked["hosts"]] if isinstance(checked, dict) else []


def _first(hosts: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return dict(islice(hosts.items(), MOST_HOSTS))


def _why(finished: Finished, hosts: Mapping[str, Mapping[str, int]]) -> str:
    if finished.why_ended is not None:
        return finished.why_ended
    for what in ("unreachable", "failed"):
        names = [host for host, counts in hosts.items() if counts[what]]
        if names:
            return f"{what}: {', '.join(names[:10])}"
    return f"exit code {finished.code}" if hosts else f"exit code {finished.code}, and no host was touched"


def _is_same(entry: Ansible, plan: Plan) -> bool:
    try:
        return _digest(entry) == plan.detail.get("playbook_digest")
    except OSError:
        # nothing has begun: what is gone is not what was planned
        return False


def _digest(entry: Ansible) -> str:
    """Return what tells whether the playbook's file, its inventory's and its entry are still the same.

    Roles, and an inventory that is a folder or asks elsewhere, are not read. Raise OSError if a file cannot be read.
    """
    told = hashlib.sha256(json.dumps(asdict(entry), sort_keys=True, default=str).encode())
    inventory = [Path(entry.inventory)] if Path(entry.inventory).is_file() else []
    for path in (Path(entry.playbook), *inventory):
        told.update(b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


def _left(context: Context) -> float:
    return context.deadline - context.monotonic()
