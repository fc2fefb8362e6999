"""Faults of processes: they grow, spin, leave zombies, hoard descriptors and threads, multiply, stand still, vanish."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGSTOP, SIGUSR1

from benchmarks.healing.faults.model import Effect, Fault, Shape
from benchmarks.healing.hosts import Host
from benchmarks.healing.layout import APP
from selfheal.common.procfs import read_process

MEBI = 1024 * 1024


def path_of(name: str) -> str:
    """Return where the program of a worker stands."""
    return f"/srv/app/bin/{name}"


def group_of(name: str) -> str:
    """Return the group of a worker, as processes.yml names it."""
    return f"app-{name}"


def ready(name: str, kind: str, *, large: int = 0, keep: bool = True) -> Callable[[Host], None]:
    """Return what starts a worker and its decoys, which hold `large` mebibytes each."""

    def prepare(host: Host) -> None:
        path = host.install("worker", path_of(name))
        host.spawn(name, [path, kind], uid=APP, keep=keep)
        host.decoys.beside(path, kind, large=large)

    return prepare


def signals(name: str, number: int = SIGUSR1) -> Callable[[Host], None]:
    """Return what makes a worker ill."""
    return lambda host: host.falls_ill(name, number)


def only(name: str) -> Callable[[Host, Effect], bool]:
    """Return what owns the effects on processes that were started under this name."""

    def owns(host: Host, effect: Effect) -> bool:
        return effect.get("kind") == "process" and (effect.get("pid"), effect.get("start_ticks")) in host.lives(name)

    return owns


def resident(host: Host, name: str) -> int:
    """Return how many bytes a worker holds now; a worker that is away holds none."""
    folder = host.process(name)
    process = None if folder is None else read_process(folder.parent, int(folder.name))
    return 0 if process is None else process.resident_bytes


def back(name: str, well: Callable[[Host], bool]) -> Callable[[Host], bool]:
    """Return what says whether a worker lives and is well."""
    return lambda host: host.process(name) is not None and well(host)


def count(host: Host, name: str, folder: str) -> int:
    """Return how many entries a folder of a worker in /proc has."""
    found = host.process(name)
    return 0 if found is None else sum(1 for _ in (found / folder).iterdir())


def small(name: str) -> Callable[[Host], bool]:
    """Return what says whether a worker lives and is small."""
    return back(name, lambda host: resident(host, name) < 40 * MEBI)


def children_of(host: Host, name: str) -> list[str]:
    """Return the states of the children of a worker."""
    folder = host.process(name)
    if folder is None:
        return []
    states = []
    for entry in folder.parent.iterdir():
        found = read_process(folder.parent, int(entry.name)) if entry.name.isdigit() else None
        if found is not None and found.ppid == int(folder.name):
            states.append(found.state)
    return states


def _crowd(host: Host, name: str) -> int:
    """Return how many processes of this very program and user run."""
    total = 0
    for entry in (host.root / "proc").iterdir():
        found = read_process(entry.parent, int(entry.name)) if entry.name.isdigit() else None
        total += found is not None and found.comm == name[:15] and path_of(name) in found.argv
    return total


def _idle(host: Host, name: str) -> bool:
    """Say whether a worker has used next to no CPU in its life."""
    folder = host.process(name)
    process = None if folder is None else read_process(folder.parent, int(folder.name))
    return process is not None and process.cpu_ticks < 100


def leak(name: str, kind: str, *, shape: Shape = Shape.GAUGE, playbook: str = "end_large_member") -> Fault:
    """Return a worker that grows. Its decoys are larger than what is ended."""
    alert = "HealingProcessGrows" if shape is Shape.SLOPE else "HealingProcessTooLarge"
    return Fault(
        name, alert, {"groupname": group_of(name)}, ready(name, kind, large=70), signals(name), small(name),
        only(name), playbook, shape,
    )  # fmt: skip


def _leak_one_of_many() -> Fault:
    name, siblings = "leak-one", ("leak-one.b", "leak-one.c")

    def prepare(host: Host) -> None:
        ready(name, "jump", large=70)(host)
        for sibling in siblings:
            # the same program in the same group, and well
            host.spawn(sibling, [path_of(name), "jump"], uid=APP, keep=True)

    def gone(host: Host) -> bool:
        unhurt = all(len(host.lives(sibling)) == 1 for sibling in siblings)
        return unhurt and small(name)(host)

    alert, about = "HealingProcessTooLarge", {"groupname": group_of(name)}
    return Fault(name, alert, about, prepare, signals(name), gone, only(name), "end_large_member")


def _spin(name: str, kind: str) -> Fault:
    return Fault(
        name, "HealingProcessSpins", {"groupname": group_of(name)}, ready(name, kind), signals(name),
        back(name, lambda host: _idle(host, name)), only(name), "end_spinning_member", Shape.SLOPE, busy=True,
        seconds=75,
    )  # fmt: skip


def _counted(name: str, alert: str, folder: str, playbook: str) -> Fault:
    return Fault(
        name, alert, {"groupname": group_of(name)}, ready(name, name), signals(name),
        back(name, lambda host: count(host, name, folder) < 50), only(name), playbook,
    )  # fmt: skip


def _zombies(name: str, kind: str, alert: str, playbook: str, seconds: float) -> Fault:
    return Fault(
        name, alert, {"groupname": group_of(name)}, ready(name, kind), signals(name),
        back(name, lambda host: "Z" not in children_of(host, name)), only(name), playbook, seconds=seconds,
    )  # fmt: skip


def _flood() -> Fault:
    name = "flood"
    return Fault(
        name, "HealingTooManyMembers", {"groupname": group_of(name)}, ready(name, "flood"), signals(name),
        back(name, lambda host: _crowd(host, name) < 5), only(name), "end_flood",
    )  # fmt: skip


def _stopped() -> Fault:
    name = "stopped"

    def gone(host: Host) -> bool:
        folder = host.process(name)
        process = None if folder is None else read_process(folder.parent, int(folder.name))
        return process is not None and process.state not in ("T", "t")

    alert, about = "HealingProcessStopped", {"groupname": group_of(name)}
    return Fault(name, alert, about, ready(name, "rest"), signals(name, SIGSTOP), gone, only(name), "end_stopped")


def _vanished() -> Fault:
    name = "vanished"

    def owns(_host: Host, effect: Effect) -> bool:
        return effect.get("kind") == "command" and effect.get("service") == name

    return Fault(
        name, "HealingWorkerGone", {"groupname": group_of(name)}, ready(name, "leave", keep=False), signals(name),
        back(name, lambda _host: True), owns, "start_worker",
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    leak("leak-jump", "jump"),
    _leak_one_of_many(),
    leak("slope-even", "slope", shape=Shape.SLOPE, playbook="end_growing_member"),
    leak("slope-sawtooth", "sawtooth", shape=Shape.SLOPE, playbook="end_growing_member"),
    # what it is called is data, whatever it looks like
    leak("a';id;$(id)", "jump"),
    _spin("spin", "spin"),
    _spin("spin-thread", "spin-thread"),
    _zombies("zombies", "zombies", "ZombiesPiledUp", "reap_zombies", 115),
    _zombies("zombies-deaf", "deaf", "HealingZombiesStay", "end_deaf_parent", 55),
    _counted("descriptors", "HealingManyDescriptors", "fd", "end_members"),
    _counted("threads", "HealingManyThreads", "task", "end_members_threads"),
    _flood(),
    _stopped(),
    _vanished(),
)
