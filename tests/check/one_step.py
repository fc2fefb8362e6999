"""A folder with a playbook of one step and a policy, as `selfheal check` finds it."""

from __future__ import annotations

from pathlib import Path

from remediator.check import Report, run

CONFIG = """state: {folder}/state
prometheus: {{url: http://127.0.0.1:9090}}
alertmanagers: [{{url: http://127.0.0.1:9093}}]
hosts: {{web-1: {{instances: ["web-1:9976"]}}}}
playbooks: ["{folder}/playbook.yml"]
rules: [shipped]
policy: policy.yml
highest_mode: auto
"""
PLAYBOOK = """playbook: act
trigger: {manual: true}
when: up{instance="{{ $labels.instance }}"} == 0
mode: auto
target: {host: "{{ $labels.instance }}", service: web}
steps: [STEP]
"""


def check_step(folder: Path, step: str, verify: str, policy: str) -> Report:
    """Write playbook.yml with its `verify`, policy.yml and remediator.yml, and return what is said of them."""
    (folder / "playbook.yml").write_text(PLAYBOOK.replace("STEP", step) + verify)
    (folder / "policy.yml").write_text(policy)
    (folder / "policy.yml").chmod(0o600)
    (folder / "remediator.yml").write_text(CONFIG.format(folder=folder))
    return run(folder / "remediator.yml")
