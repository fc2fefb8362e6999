"""A process that writes as fast as it can and says what was acknowledged, until somebody ends it.

Arguments: the store's folder, and a word that makes this run's fingerprints its own.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from remediator.model import Alert
from remediator.store import Store
from selfheal.common.clock import SystemClock


def write_for_ever(store: Store, word: str) -> None:
    number = 0
    while True:
        number += 1
        alert = Alert("firing", {"alertname": "Storm", "n": "x" * 600}, {}, 0.0, f"{word}-{number}")

        def work(tx, alert=alert):  # type: ignore[no-untyped-def]
            tx.add_delivery(1.0, "selfheal", 1, 0, "4")
            return tx.open_occurrence(alert, 1.0)[0]

        id = store.write(work)
        # one write call, so that the line is whole even when the process dies after it
        os.write(1, f"{id} {alert.fingerprint}\n".encode())


def main() -> None:
    opened = Store.open(Path(sys.argv[1]), SystemClock())
    threads = [threading.Thread(target=write_for_ever, args=(opened, f"{sys.argv[2]}-{n}")) for n in range(4)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
