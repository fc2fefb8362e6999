"""Values of the program as the API shows them: playbooks, the host's policy, breakers. Pure; nothing secret in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from remediator.model import Breaker, Json, Mode, Playbook
from remediator.policy import Policy
from selfheal.common.clock import to_rfc3339


def playbook(found: Playbook, mode: Mode) -> Json:
    """Given a playbook and the mode it is in, return it as written, with `mode` as it is in force."""
    shown = {key: value for key, value in asdict(found).items() if key != "source"}
    return shown | {"mode": mode.value, "written_mode": found.mode.value}


def policy(found: Policy) -> Json:
    """Return what this host permits, by name: argument lists, which may hold anything, stay where they are."""
    return {
        "problem": None if found.problem is None else str(found.problem),
        "process_groups": list(found.process_groups),
        "roots": [{"path": root.path, "older_than": root.older_than, "keep": root.keep} for root in found.roots],
        "services": [{"name": each.name, "timeout": each.timeout} for each in found.commands],
        "commands": [
            {
                "name": each.name,
                "timeout": each.timeout,
                "read_only": each.read_only,
                "parameters": [{"name": one.name, "type": str(one.type)} for one in each.parameters],
            }
            for each in found.named
        ],
        "ansible": [{"name": each.name, "timeout": each.timeout} for each in found.ansible],
        "units": [{"pattern": each.pattern, "verbs": list(each.verbs)} for each in found.units],
        "urls": [
            {
                "scheme": each.address.scheme,
                "host": each.address.host,
                "port": each.address.port,
                # what follows ? may be a key
                "path": each.address.path,
                "methods": list(each.methods),
            }
            for each in found.urls
        ],
        "users": None if found.users is None else sorted(found.users),
        "protected": sorted(str(path) for path in found.protected),
    }


def breakers(found: Sequence[Breaker]) -> list[Json]:
    """Return circuit breakers, those that never moved are not among them."""
    return [
        {
            "name": each.name,
            "state": each.state.value,
            "changed_at": to_rfc3339(each.changed_at),
            "failed": each.failed,
            "ended": each.ended,
            "tries_at": _time(each.tries_at),
            "trial": None if each.trial is None else str(each.trial),
            "who": each.who or None,
            "why": each.why or None,
        }
        for each in found
    ]


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else to_rfc3339(seconds)


__all__ = ["breakers", "playbook", "policy"]
