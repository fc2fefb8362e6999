"""Faults that must not be touched: people have them in the end, for the right reason, and nothing was done."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGUSR1

from benchmarks.healing.faults.model import Centre, Fault, nothing
from benchmarks.healing.faults.processes import MEBI, children_of, group_of, only, path_of, ready, resident
from benchmarks.healing.hosts import OLD_SECONDS, Host
from benchmarks.healing.layout import APP

LARGE = "HealingProcessTooLarge"
QUICK = 25.0
PREFIX = "old-"


def _still_large(name: str) -> Callable[[Host], bool]:
    """Return what says whether a worker that grew still lives its first life."""
    return lambda host: len(host.lives(name)) == 1 and resident(host, name) > 100 * MEBI


def _left(name: str, reason: str, *, alert: str = LARGE, playbook: str = "end_large_member", **more: object) -> Fault:
    """Return a worker that grows and is left alone."""
    fields: dict[str, object] = {
        "prepare": ready(name, "jump"),
        "inject": lambda host: host.falls_ill(name, SIGUSR1),
        "as_wanted": _still_large(name),
        "about": {"groupname": group_of(name)},
    }
    fields |= more
    return Fault(
        name, alert, owns=nothing, playbook=playbook, handed=reason, seconds=QUICK,
        cure=lambda host: host.ends(name), **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def _outside_policy() -> Fault:
    name = "ledger"

    def prepare(host: Host) -> None:
        path = host.install("worker", f"/srv/db/bin/{name}")
        host.spawn(name, [path, "jump"], uid=APP, keep=True)

    return _left(name, "policy", prepare=prepare, about={"groupname": f"db-{name}"})


def _protected() -> Fault:
    """A process that the policy lists and that is never ended all the same: it supervises others."""
    return _left("supervisord", "policy")


def _shared_parent() -> Fault:
    """A parent that leaves zombies and that others share: it supervises, so it is not ended with them."""
    name = "s6-supervise"
    return _left(
        name, "policy", alert="HealingZombiesStay", playbook="end_deaf_parent", prepare=ready(name, "deaf"),
        as_wanted=lambda host: len(host.lives(name)) == 1 and children_of(host, name).count("Z") == 20,
    )  # fmt: skip


def _rootless() -> Fault:
    """A process of a rootless container: its first process, and so its pid namespace, is not this host's."""
    name = "rootless"

    def prepare(host: Host) -> None:
        path = host.install("worker", path_of(name))
        apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
        host.spawn(name, [*apart, path, name], uid=APP)

    return _left(
        name, "policy", prepare=prepare,
        inject=lambda host: host.write(f"/srv/run/{name}", b"now"),
        as_wanted=lambda host: host.process(name) is not None and len(host.lives(name)) == 1,
    )  # fmt: skip


def _paused() -> Fault:
    name = "paused"

    def before(host: Host, centre: Centre) -> None:
        centre.pause(host, f"{host.name}/process_group:{group_of(name)}")

    return _left(name, "paused", before=before)


def _silenced() -> Fault:
    name = "silenced"

    def before(_host: Host, centre: Centre) -> None:
        centre.silence({"groupname": group_of(name)})

    def after(host: Host, centre: Centre) -> None:
        centre.deliver(host, LARGE, {"groupname": group_of(name)})

    return _left(name, "silenced", before=before, after=after)


def _incurable() -> Fault:
    """It comes back as it was, in every life: after its attempt it is people's."""
    name = "incurable"
    return Fault(
        name, LARGE, {"groupname": group_of(name)}, ready(name, name), owns=only(name),
        inject=lambda host: host.write(f"/srv/run/{name}", b"now"),
        as_wanted=lambda host: resident(host, name) > 100 * MEBI,
        playbook="end_incurable", handed="attempts_used", touched=True, seconds=110,
        cure=lambda host: host.ends(name),
    )  # fmt: skip


def _files(name: str, folder: str, alert: str, playbook: str, reason: str, *, age: float = OLD_SECONDS) -> Fault:
    """Return a folder with too many files that are left where they are."""

    def cure(host: Host) -> None:
        for entry in host.names(folder):
            if entry.startswith(PREFIX):
                (host.root / folder[1:] / entry).unlink()

    return Fault(
        name, alert, {"directory": folder}, lambda host: host.decoys.around(folder, f"{PREFIX}0000"),
        lambda host: host.plant(folder, PREFIX, 300, 100, age),
        lambda host: sum(entry.startswith(PREFIX) for entry in host.names(folder)) == 300, nothing, playbook,
        handed=reason, cure=cure, directories=(folder,), seconds=QUICK,
    )  # fmt: skip


def _linked() -> Fault:
    """A root that somebody has replaced by a link to where the precious files are."""
    folder, target = "/srv/app/linked", "/srv/app/vault"

    def prepare(host: Host) -> None:
        for each in (folder, target):
            (host.root / each[1:]).mkdir()

    def inject(host: Host) -> None:
        host.plant(target, PREFIX, 300, 100, OLD_SECONDS)
        root = host.root / folder[1:]
        root.rmdir()
        root.symlink_to(target)

    def cure(host: Host) -> None:
        (host.root / folder[1:]).unlink()
        (host.root / folder[1:]).mkdir()

    return Fault(
        "linked-root", "HealingTooManyFiles", {"directory": folder}, prepare, inject,
        lambda host: len(host.names(target)) == 300, nothing, "remove_old_files", handed="policy", cure=cure,
        directories=(folder,), seconds=QUICK,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    _outside_policy(),
    _protected(),
    _shared_parent(),
    _rootless(),
    _paused(),
    _silenced(),
    _left("nightly", "window"),
    _files("observed", "/srv/app/queue", "HealingQueueLong", "shorten_queue", "observe_mode"),
    _files("asked", "/srv/app/archive", "HealingArchiveLong", "shorten_archive", "approval_needed"),
    _files("people-only", "/srv/app/core", "HealingCoreDumps", "", "human_only"),
    _files("too-young", "/srv/app/young", "HealingTooManyFiles", "remove_old_files", "nothing_to_do", age=0.0),
    _linked(),
    _incurable(),
)
