"""The demo patient: a real group of processes that really fall ill, one after the other, within ceilings.

This page names the five faults; each illness is one file beside it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fall ill, the alert that finds it and the playbook that heals it."""

    name: str
    alert: str
    playbook: str


FAULTS = (
    Fault("memory_leak", "PatientMemoryLeak", "patient_restart_leaking_worker"),
    Fault("zombies", "PatientZombies", "patient_reap_zombies"),
    Fault("cpu_spin", "PatientCpuSpin", "patient_restart_spinning_worker"),
    Fault("service_down", "PatientServiceDown", "patient_restart_service"),
    Fault("folder_full", "PatientFolderFull", "patient_clean_folder"),
)

SERVICE = "web"

# no fault lasts longer than this, healed or not
CEILING_SECONDS = 120.0
CEILING_RESIDENT_BYTES = 256 * 1024 * 1024
CEILING_ZOMBIES = 20
CEILING_FOLDER_BYTES = 64 * 1024 * 1024
