"""`python -m benchmarks.subject_files`: reads the subject's files as the remediator does, knowing the test actions."""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import cast

from benchmarks import ledger, reversible_ledger, slow_ledger
from remediator import reading
from remediator.actions import ACTIONS
from remediator.model import Action

TESTED: dict[str, Action] = {
    ledger.name: ledger,
    slow_ledger.name: slow_ledger,
    reversible_ledger.name: reversible_ledger,
}
# a copy of the table would load every action, which the shipped program does not
KNOWN: Mapping[str, Action] = ChainMap(TESTED, cast(MutableMapping[str, Action], ACTIONS))

if __name__ == "__main__":
    sys.exit(reading.main(sys.argv[1:], KNOWN))
