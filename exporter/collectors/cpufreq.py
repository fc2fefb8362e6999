"""Frequencies of the CPUs and the governors that choose them: node_exporter's cpufreq collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.cpus import Policies
from exporter.settings import Settings

name = "cpufreq"
text = "frequencies of the CPUs"
enabled = True

_HERTZ = {
    "cpuinfo_cur_freq": Metric("node_cpu_frequency_hertz", "gauge", "Hertz at which a CPU runs.", ("cpu",)),
    "cpuinfo_min_freq": Metric("node_cpu_frequency_min_hertz", "gauge", "Least hertz a CPU is made for.", ("cpu",)),
    "cpuinfo_max_freq": Metric("node_cpu_frequency_max_hertz", "gauge", "Most hertz a CPU is made for.", ("cpu",)),
    "scaling_cur_freq": Metric(
        "node_cpu_scaling_frequency_hertz", "gauge", "Hertz that the governor of a CPU has chosen.", ("cpu",)
    ),
    "scaling_min_freq": Metric(
        "node_cpu_scaling_frequency_min_hertz", "gauge", "Least hertz that the governor of a CPU may choose.", ("cpu",)
    ),
    "scaling_max_freq": Metric(
        "node_cpu_scaling_frequency_max_hertz", "gauge", "Most hertz that the governor of a CPU may choose.", ("cpu",)
    ),
}
_GOVERNOR = Metric(
    "node_cpu_scaling_governor", "gauge", "Whether a CPU's frequency is chosen by this governor.", ("cpu", "governor")
)


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the `cpufreq` folder of every CPU; most virtual machines have none."""
    policies = Policies(settings.paths.sysfs / "devices/system/cpu")

    def collect() -> list[Family]:
        found = policies.read()
        families = [
            metric.of({(cpu,): of.kilohertz[file] * 1000 for cpu, of in found.items() if file in of.kilohertz})
            for file, metric in _HERTZ.items()
        ]
        governors = {
            (cpu, governor): int(governor == of.governor)
            for cpu, of in found.items()
            if of.governor
            for governor in of.governors
        }
        return [*families, _GOVERNOR.of(governors)]

    return collect
