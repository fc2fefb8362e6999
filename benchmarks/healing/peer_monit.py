"""Debian's monit in a round of its own: the same hosts, workers and decoys, and nothing of ours that heals.

Each host runs it with a cycle as long as the scrape and its committed checks, on the kinds for which it has one. Monit
proves nothing, so its time ends when the host itself shows that the fault is gone.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.healing.configure import COMMITTED
from benchmarks.healing.faults import Fault
from benchmarks.healing.hosts import Host
from benchmarks.healing.rounds import READY_WITHIN, spread
from benchmarks.peer_programs import found
from benchmarks.rig import until

CHECKS = COMMITTED / "monit"
FOUND_HERE = "usr/bin/monit"
CYCLE = 5.0
SHOWS_WITHIN = 30.0
GIVE_UP = 90.0
LOOK = 0.1

Tell = Callable[[str], None]


def fetch() -> Path:
    """Return monit. Raise PackagesError if it cannot be had."""
    return found("monit", FOUND_HERE)


def can(fault: Fault) -> bool:
    """Say whether monit has a check for this kind."""
    return (CHECKS / f"{fault.name}.conf").exists() and not fault.handed


def measure(folder: Path, kinds: Sequence[Fault], hosts: int, tell: Tell) -> dict[str, Any]:
    """Run monit's round in a new folder and return its figures; everything has ended then."""
    faults = [fault for fault in kinds if can(fault)]
    dice = random.Random(1)
    queues = spread(faults, hosts, dice)
    folder.mkdir()
    there = [Host(number, folder / f"host-{number}") for number in range(1, hosts + 1)]
    seconds: dict[str, float | None] = {}
    tell(f"monit: {len(faults)} kinds on {hosts} hosts")
    try:
        for host, queue in zip(there, queues, strict=True):
            host.start()
            for fault in queue:
                fault.prepare(host)
            _start(host, queue)
        until(lambda: all(host.decoys.ready for host in there), READY_WITHIN)
        # it has looked at everything once and knows it as well
        time.sleep(2 * CYCLE)
        moments = {fault.name: dice.uniform(0.0, CYCLE) for fault in faults}

        def work(host: Host, queue: Sequence[Fault]) -> None:
            for fault in queue:
                time.sleep(moments[fault.name])
                seconds[fault.name] = found = _heal(host, fault)
                tell(f"monit on {host.name}: {fault.name:16} " + ("NOT healed" if found is None else f"{found:.1f} s"))

        threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in zip(there, queues, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        touched = [f"{host.name}: {name}" for host in there for name in host.decoys.changed()]
    finally:
        for host in there:
            host.stop()
    healed = [value for value in seconds.values() if value is not None]
    return {
        "kinds": len(faults),
        "faults": len(seconds),
        "healed": len(healed),
        "bystanders": len(touched),
        "median_seconds": round(median(healed), 1) if healed else None,
    }


def _start(host: Host, queue: Sequence[Fault]) -> None:
    names = ["monitrc", *(f"{fault.name}.conf" for fault in queue)]
    text = "\n".join((CHECKS / name).read_text("utf-8") for name in names)
    file = host.folder / "monitrc"
    file.touch(0o600)
    file.write_text(text.replace("@folder@", str(host.folder)), "utf-8")
    host.spawn("monit", [str(fetch()), "-I", "-c", str(file)], log=True)


def _heal(host: Host, fault: Fault) -> float | None:
    """Bring a fault about; return the seconds until the host shows that it is gone, or None."""
    begun = time.monotonic()
    fault.inject(host)
    try:
        # it takes a moment to show, and may be gone as soon
        until(lambda: not fault.as_wanted(host), SHOWS_WITHIN, LOOK)
        until(lambda: fault.as_wanted(host), GIVE_UP, LOOK)
    except TimeoutError:
        return None
    finally:
        fault.cure(host)
    return time.monotonic() - begun
