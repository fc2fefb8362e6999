"""The patient's rule file, rendered for a scrape interval: seconds where the shipped rules have minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfheal.common.durations import format_duration
from selfheal.stack.patient.identities import group_name

GROWTH_BYTES_PER_SECOND = 1024 * 1024
RESIDENT_BYTES = 64 * 1024 * 1024
ZOMBIES = 5
CPU_CORES = 0.4
FOLDER_BYTES = 24 * 1024 * 1024

JOB = "patient-web"

# from this scrape interval on one missed scrape is proof enough; below it, three are asked
_SHORT_SCRAPE = 5.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What follows from the scrape interval, in seconds."""

    scrape: float

    @property
    def window(self) -> float:
        """The range of rates and slopes."""
        return max(5.0, 2 * self.scrape)

    @property
    def service_window(self) -> float:
        """The range of the service's rule; 0 where it has none."""
        return 3 * self.scrape if self.scrape < _SHORT_SCRAPE else 0.0

    @property
    def longest(self) -> float:
        """The longest range of any of the rules."""
        return max(self.window, self.service_window)


def render_rules(timing: Timing, folder: str) -> dict[str, Any]:
    """Return the rule file of the patient whose folder, as the exporter names it, is `folder`."""
    window = format_duration(timing.window)
    resident = _selector("namedprocess_namegroup_memory_bytes", groupname=group_name("leaker"), memtype="resident")
    cpu = _selector("namedprocess_namegroup_cpu_seconds_total", groupname=group_name("spinner"))
    zombies = _selector("selfheal_process_group_zombies", groupname=group_name("sick-parent"))
    answers = _selector("up", job=JOB)
    if timing.service_window:
        answers = f"max_over_time({answers}[{format_duration(timing.service_window)}])"
    group = {
        "name": "selfheal-patient",
        "rules": [
            _alert(
                "PatientMemoryLeak",
                # the slope finds it, the floor proves it healed: any jump bends a slope
                f"deriv({resident}[{window}]) > {GROWTH_BYTES_PER_SECOND} and {resident} > {RESIDENT_BYTES}",
                "{{ $labels.groupname }} leaks memory",
                "Its processes grow by {{ $value | humanize1024 }}B a second.",
            ),
            _alert(
                "PatientZombies",
                f"{zombies} > {ZOMBIES}",
                "{{ $labels.groupname }} leaves zombies",
                "{{ $value }} of its ended children have not been waited for.",
            ),
            _alert(
                "PatientCpuSpin",
                f"sum without (mode) (rate({cpu}[{window}])) > {CPU_CORES}",
                "{{ $labels.groupname }} spins",
                "It keeps {{ $value | humanize }} CPU cores busy.",
            ),
            _alert(
                "PatientServiceDown",
                f"{answers} == 0",
                "{{ $labels.service }} does not answer",
                "Prometheus gets no answer from it.",
            ),
            _alert(
                "PatientFolderFull",
                f"{_selector('selfheal_directory_bytes', directory=folder)} > {FOLDER_BYTES}",
                "{{ $labels.directory }} is too large",
                "It holds {{ $value | humanize1024 }}B.",
            ),
        ],
    }
    return {"groups": [group]}


def _alert(name: str, expression: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": "0s",
        "labels": {"severity": "warning"},
        "annotations": {"summary": summary, "description": description, "runbook_url": "docs/quickstart.md"},
    }


def _selector(metric: str, **labels: str) -> str:
    matchers = ",".join(f"{label}={quote(value)}" for label, value in labels.items())
    return f"{metric}{{{matchers}}}"


def quote(value: str) -> str:
    """Return `value` as a PromQL string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
