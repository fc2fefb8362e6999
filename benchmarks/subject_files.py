"""`python -m benchmarks.subject_files`: reads the subject's files as the remediator does, knowing the test actions."""

from __future__ import annotations

import sys

from benchmarks import ledger, reversible_ledger, slow_ledger
from remediator import reading
from remediator.actions import ACTIONS

KNOWN = {
    **ACTIONS,
    ledger.name: ledger,
    slow_ledger.name: slow_ledger,
    reversible_ledger.name: reversible_ledger,
}

if __name__ == "__main__":
    sys.exit(reading.main(sys.argv[1:], KNOWN))
