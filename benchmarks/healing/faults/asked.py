"""Faults that end once somebody is asked, by HTTP or by a named command, and one of the machine as a whole."""

from __future__ import annotations

from signal import SIGUSR1

from benchmarks.healing.faults.folders import PREFIX, removes
from benchmarks.healing.faults.model import Effect, Fault
from benchmarks.healing.faults.processes import MEBI, group_of, resident
from benchmarks.healing.faults.services import FIRST_PORT, serve
from benchmarks.healing.hosts import OLD_SECONDS, Host

SHARED_RISE = 300 * MEBI
"""Bytes by which the machine's shared memory rises; the rule's threshold is half of that above where a run begins."""


def _garbage() -> Fault:
    name, port = "garbage", FIRST_PORT + 10

    def owns(_host: Host, effect: Effect) -> bool:
        return effect.get("kind") == "request" and effect.get("url") == f"http://127.0.0.1:{port}/gc"

    def as_wanted(host: Host) -> bool:
        # let go, and not restarted
        return len(host.lives(name)) == 1 and 0 < resident(host, name) < 60 * MEBI

    return Fault(
        name, "HealingGarbage", {"groupname": group_of(name)}, serve(name, name, port),
        lambda host: host.falls_ill(name, SIGUSR1), as_wanted, owns, "collect_garbage_by_http", services={name: port},
    )  # fmt: skip


def _long_file() -> Fault:
    folder = "/srv/app/journal"
    file = f"{folder}/app.log"

    def prepare(host: Host) -> None:
        host.write(file, b"")
        host.decoys.around(folder, "app.log")

    def owns(_host: Host, effect: Effect) -> bool:
        return effect.get("kind") == "command" and effect.get("command") == "cut_journal"

    return Fault(
        "file-long", "HealingFileLong", {"directory": folder}, prepare,
        lambda host: host.write(file, b"x" * (24 * MEBI)),
        lambda host: (host.root / file[1:]).stat().st_size == 0, owns, "cut_journal", directories=(folder,),
    )  # fmt: skip


def _memory() -> Fault:
    folder = "/srv/app/memory"

    def inject(host: Host) -> None:
        for number in range(3):
            host.write(f"{folder}/{PREFIX}{number}", b"\x5a" * (SHARED_RISE // 3), age=OLD_SECONDS)

    return Fault(
        "host-memory", "HealingSharedMemory", {}, lambda host: host.decoys.around(folder, f"{PREFIX}0"), inject,
        lambda host: not any(name.startswith(PREFIX) for name in host.names(folder)), removes(folder), "free_memory",
        only=1,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (_garbage(), _long_file(), _memory())
