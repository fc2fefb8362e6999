"""Faults of files and jobs: too many bytes or files, a growing log, a lock that nobody holds, a job that hangs."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGUSR1

from benchmarks.healing.faults.model import Effect, Fault, Shape
from benchmarks.healing.faults.processes import path_of
from benchmarks.healing.faults.services import commands_of
from benchmarks.healing.hosts import OLD_SECONDS, Host
from benchmarks.healing.layout import APP

MEBI = 1024 * 1024
PREFIX = "old-"


def removes(folder: str, prefix: str = PREFIX) -> Callable[[Host, Effect], bool]:
    """Return what owns the removal of those files of a folder that were put there by the fault."""
    return lambda _host, effect: (
        effect.get("kind") == "file" and str(effect.get("path")).startswith(f"{folder}/{prefix}")
    )


def _old(host: Host, folder: str) -> int:
    return sum(name.startswith(PREFIX) for name in host.names(folder))


def _full_by_bytes() -> Fault:
    folder = "/srv/app/cache"

    def prepare(host: Host) -> None:
        host.decoys.around(folder, f"{PREFIX}0000")
        host.write(f"{folder}/fresh", b"in use")
        host.decoys.keep_file(f"{folder}/fresh")

    return Fault(
        "folder-bytes", "DirectoryTooLarge", {"directory": folder}, prepare,
        lambda host: host.plant(folder, PREFIX, 40, 300 * MEBI, OLD_SECONDS),
        lambda host: _old(host, folder) <= 28, removes(folder), "clean_directory", directories=(folder,),
    )  # fmt: skip


def _full_by_files() -> Fault:
    folder = "/srv/app/spool"

    def prepare(host: Host) -> None:
        host.decoys.around(folder, f"{PREFIX}0000")
        for number in range(20):
            host.write(f"{folder}/fresh-{number}", b"in use")
            host.decoys.keep_file(f"{folder}/fresh-{number}")

    return Fault(
        "folder-files", "HealingTooManyFiles", {"directory": folder}, prepare,
        lambda host: host.plant(folder, PREFIX, 300, 100, OLD_SECONDS),
        lambda host: _old(host, folder) == 0, removes(folder), "remove_old_files", directories=(folder,),
    )  # fmt: skip


def _growing_log() -> Fault:
    name, folder = "chatty", "/srv/app/log"

    def prepare(host: Host) -> None:
        path = host.install("worker", path_of(name))
        host.spawn(name, [path, "chatter"], uid=APP)
        host.decoys.beside(path, "chatter")
        host.decoys.around(folder, "chatty.log.0")

    def owns(host: Host, effect: Effect) -> bool:
        return removes(folder, "chatty.log.")(host, effect) or commands_of(name)(host, effect)

    return Fault(
        "log-grows", "HealingLogGrows", {"directory": folder}, prepare, lambda host: host.falls_ill(name, SIGUSR1),
        lambda host: len(host.names(folder)) < 10 and host.process(name) is not None, owns, "stop_chatter",
        Shape.SLOPE, directories=(folder,), seconds=60,
    )  # fmt: skip


def _stale_lock() -> Fault:
    name, folder = "locked", "/srv/app/locks"

    def prepare(host: Host) -> None:
        path = host.install("job", path_of(name))
        host.spawn(name, [path, name], uid=APP, keep=True)
        # a lock that somebody holds
        host.write(f"{folder}/other.lock", b"held")
        host.decoys.keep_file(f"{folder}/other.lock")
        host.decoys.around(folder, "job.lock")

    return Fault(
        "stale-lock", "HealingJobFails", {"heartbeat": name}, prepare,
        lambda host: host.write(f"{folder}/job.lock", b"1", age=OLD_SECONDS),
        lambda host: "job.lock" not in host.names(folder), removes(folder, "job.lock"), "remove_stale_lock",
        heartbeat=name, seconds=55,
    )  # fmt: skip


def _heartbeat_missed() -> Fault:
    name = "beater"

    def prepare(host: Host) -> None:
        path = host.install("job", path_of(name))
        host.spawn(name, [path, name], uid=APP, keep=True)

    def gone(host: Host) -> bool:
        return len(host.lives(name)) > 1 and host.process(name) is not None

    return Fault(
        "heartbeat-missed", "HealingHeartbeatMissed", {"heartbeat": name}, prepare,
        lambda host: host.falls_ill(name, SIGUSR1), gone, commands_of(name), "restart_job",
        heartbeat=name, seconds=65,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    _full_by_bytes(),
    _full_by_files(),
    _growing_log(),
    _stale_lock(),
    _heartbeat_missed(),
)
