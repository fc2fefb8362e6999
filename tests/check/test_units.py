"""What `selfheal check` says of steps on units of systemd: is that verb permitted, that template, that count."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.one_step import check_step

VERIFY = """verify:
  healthy: 'up{instance="{{ $labels.instance }}"} >= 1'
  alive: 'up{instance="{{ $labels.instance }}"} >= 1'
  within: 5m
"""
POLICY = """units:
  web.service: {verbs: [restart, reset-failed]}
scale:
  worker@.service: {min: 1, max: 4}
"""


def problems(folder: Path, step: str, policy: str = POLICY) -> list[str]:
    """Return what is said of the playbook and of the policy."""
    report = check_step(folder, step, VERIFY, policy)
    found = [str(problem) for problem in report.problems if problem.level == "error"]
    # alerts of the shipped rules have no playbook here
    return [text.replace(f"{folder}/", "") for text in found if f"{folder}/" in text]


@pytest.mark.parametrize(
    "step",
    [
        "{action: service.restart, with: {unit: web.service}}",
        "{action: service.reset_failed, with: {unit: web.service}}",
        '{action: service.restart, with: {unit: "{{ $labels.name }}"}}',
        "{action: scale.set, with: {template: worker@.service, to: 4}, undo: true}",
        '{action: scale.set, with: {template: "{{ $labels.template }}", by: -1}}',
    ],
)
def test_what_the_policy_permits_passes(tmp_path: Path, step: str) -> None:
    assert problems(tmp_path, step) == []


WRONG = {
    "{action: service.start, with: {unit: web.service}}": (
        "with.unit: 'start' is not permitted for unit 'web.service'; there are reset-failed, restart"
    ),
    "{action: process.limit, with: {unit: web.service, cpu: 1}}": (
        "with.unit: 'limit' is not permitted for unit 'web.service'; there are reset-failed, restart"
    ),
    "{action: service.restart, with: {unit: db.service}}": (
        "with.unit: unit 'db.service' is not permitted; list it under units in policy.yml"
    ),
    "{action: scale.set, with: {template: mail@.service, by: 1}}": (
        "with.template: template 'mail@.service' is not permitted; list it under scale in policy.yml"
    ),
    "{action: service.restart, with: {unit: web.service, service: web}}": (
        "with: service and unit stand together; keep one"
    ),
    "{action: process.limit, with: {unit: web.service}}": (
        "with: limits nothing; add cpu (cores), memory (size), or both"
    ),
    "{action: scale.set, with: {template: worker@.service, to: 1.5}}": (
        "with.to: 1.5 is no whole number up to 1000000; write it without quotes"
    ),
    '{action: scale.set, with: {template: worker@.service, by: "{{ $labels.by }}"}}': (
        "with.by: '{{ $labels.by }}' holds a template; write the value itself"
    ),
}


@pytest.mark.parametrize("step", WRONG)
def test_what_the_policy_does_not_permit_is_told_with_the_remedy(tmp_path: Path, step: str) -> None:
    assert problems(tmp_path, step) == [f"playbook.yml: steps[0].{WRONG[step]}"]


BAD = {
    "scale: {worker@.service: {min: 3, max: 2}}": "min 3 is above max 2; mend one of them",
    "scale: {worker@.service: {min: 1}}": "max: is missing; add it",
    "scale: {worker@.service: {min: -1, max: 2}}": "min: ",
    "scale: {worker@.service: {min: 1, max: 2, step: 0}}": "step: ",
    "scale: {worker@.service: {min: 1, max: 2, cooldown: soon}}": "cooldown: ",
    "scale: {worker@1.service: {min: 1, max: 2}}": "is no template of services, as worker@.service is",
    "scale: {worker@.timer: {min: 1, max: 2}}": "is no template of services",
    "scale: {'work*@.service': {min: 1, max: 2}}": "is no template of services",
    "scale: {user@.service: {min: 1, max: 2}}": "'user@.service' keeps this host reachable or watched",
    "scale: {systemd-nspawn@.service: {min: 1, max: 2}}": "keeps this host reachable or watched",
    "scale: {getty@.service: {min: 1, max: 2}}": "keeps this host reachable or watched",
    "units: {web.service: {verbs: [limits]}}": "is no verb; there are status, start, stop, restart, reload",
}


@pytest.mark.parametrize("policy", BAD)
def test_a_policy_that_cannot_be_meant_is_told(tmp_path: Path, policy: str) -> None:
    (only,) = problems(tmp_path, "{action: notify.log, with: {message: x}}", f"{policy}\n")

    assert only.startswith("policy.yml: ")
    assert BAD[policy] in only
