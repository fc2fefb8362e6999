"""Every kind of fault there is: the contract stands in `model.py`, each family in a file of its own."""

from __future__ import annotations

from benchmarks.healing.faults import asked, folders, handed, processes, services
from benchmarks.healing.faults.model import Fault, Shape

__all__ = ["KINDS", "Fault", "Shape"]

KINDS: dict[str, Fault] = {
    fault.name: fault for family in (processes, services, folders, asked, handed) for fault in family.FAULTS
}
