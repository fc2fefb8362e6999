"""The patient's playbooks and the policy that permits them: the same five actions as the shipped ones, on its own only.

Unlike the shipped playbooks these act: `mode: auto`. Only the demo loads them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from selfheal.common.durations import format_duration
from selfheal.stack.patient import FAULTS, SERVICE
from selfheal.stack.patient.identities import group_name
from selfheal.stack.patient.rules import JOB, Timing

GROUPS = tuple(group_name(kind) for kind in ("leaker", "sick-parent", "spinner"))

HEALTHY_FOR = 3.0
_WITHIN = 30.0
_WATCH = 10.0
_FRESH_SAMPLES = 3

# a decoy is in each group of the same name: with the worker alive there are two
_ALIVE_MEMBERS = 2

# below the rule's 0.4 core: on a busy machine a spinning worker may get little of the moment in which it is measured,
# and its decoy uses nothing at all
_OVER_CPU = 0.2

_HOST = "{{ $labels.instance }}"
_GROUP = "{{ $labels.groupname }}"


def render_playbooks(timing: Timing) -> dict[str, dict[str, Any]]:
    """Return file name → playbook, for the rules rendered with the same timing."""
    group = {"host": _HOST, "process_group": _GROUP}
    members = f'namedprocess_namegroup_num_procs{{groupname="{_GROUP}"}} >= {_ALIVE_MEMBERS}'
    answers = f'up{{job="{JOB}",service="{{{{ $labels.service }}}}"}} == 1'
    leak, zombies, spin, service, folder = FAULTS
    playbooks = [
        {
            "playbook": leak.playbook,
            "title": {"en": "Restart the patient's leaking worker", "ko": "환자의 메모리가 새는 작업자 재시작"},
            "trigger": {"alert": leak.alert},
            "target": group,
            "steps": [_step("process.terminate", group=_GROUP, over_rss="40MiB", grace="2s")],
            "verify": _verify(timing, members),
        },
        {
            "playbook": zombies.playbook,
            "title": {"en": "Have the patient's zombies reaped", "ko": "환자의 좀비 프로세스 회수"},
            "trigger": {"alert": zombies.alert},
            "target": group,
            "steps": [_step("process.reap", group=_GROUP)],
            "verify": _verify(timing),
        },
        {
            "playbook": spin.playbook,
            "title": {"en": "Restart the patient's spinning worker", "ko": "환자의 CPU를 과점유하는 작업자 재시작"},
            "trigger": {"alert": spin.alert},
            "target": group,
            "steps": [_step("process.terminate", group=_GROUP, over_cpu=_OVER_CPU, grace="2s")],
            "verify": _verify(timing, members),
        },
        {
            "playbook": service.playbook,
            "title": {"en": "Restart the patient's web service", "ko": "환자의 웹 서비스 재시작"},
            "trigger": {"alert": service.alert},
            "target": {"host": _HOST, "service": "{{ $labels.service }}"},
            "steps": [_step("service.restart", service="{{ $labels.service }}")],
            "verify": _verify(timing, answers),
        },
        {
            "playbook": folder.playbook,
            "title": {"en": "Clean the patient's folder", "ko": "환자의 폴더 정리"},
            "trigger": {"alert": folder.alert},
            "target": {"host": _HOST, "directory": "{{ $labels.directory }}"},
            "steps": [_step("disk.clean", root="{{ $labels.directory }}", down_to="8MiB")],
            "verify": _verify(timing),
        },
    ]
    frame = {"mode": "auto", "limits": {"cooldown": "0s", "rate": ["1000/1h"]}}
    return {f"{playbook['playbook']}.yml": playbook | frame for playbook in playbooks}


def render_policy(folder: Path) -> dict[str, Any]:
    """Return the policy that permits the patient in `folder` and nothing else."""
    return {
        "process_groups": list(GROUPS),
        "identities": str(folder / "identities.json"),
        "roots": {str(folder / "folder"): {"older_than": "0s"}},
        "commands": {SERVICE: {verb: _command(folder, verb) for verb in ("start", "stop", "status")}},
    }


def _command(folder: Path, verb: str) -> list[str]:
    return [sys.executable, "-m", "selfheal.stack.patient.ctl", str(folder), verb]


def _step(action: str, **arguments: Any) -> dict[str, Any]:
    return {"action": action, "with": arguments, "timeout": "20s"}


def _verify(timing: Timing, alive: str | None = None) -> dict[str, Any]:
    within = max(_WITHIN, timing.longest + HEALTHY_FOR + _FRESH_SAMPLES * timing.scrape)
    verify = {
        "healthy_for": format_duration(HEALTHY_FOR),
        "within": format_duration(within),
        "watch": format_duration(max(_WATCH, timing.longest)),
    }
    return verify if alive is None else verify | {"alive": alive}
