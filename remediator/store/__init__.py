"""The durable record: everything that is known, and everything that waits. The only room with SQL."""

from __future__ import annotations

from remediator.store.bursts import Begun
from remediator.store.clocks import began
from remediator.store.errors import IllegalMove, StoreTooNew
from remediator.store.marks import Mark
from remediator.store.store import Store
from remediator.store.transaction import Reader, Tx
from remediator.store.work import Due

__all__ = ["Begun", "Due", "IllegalMove", "Mark", "Reader", "Store", "StoreTooNew", "Tx", "began"]
