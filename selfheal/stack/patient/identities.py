"""Who the patient is: the processes that it consists of now, and every one that it ever had.

The policy reads the first file; whoever counts bystanders reads the second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from selfheal.common.files import write_atomic
from selfheal.common.procfs import boot_id, read_process

PROCFS = Path("/proc")

# set for the patient's workers, which must not show it in their argument lists
HISTORY_VARIABLE = "SELFHEAL_PATIENT_HISTORY"


@dataclass(frozen=True, slots=True)
class Identity:
    """One process: pid and start time are its identity within one boot."""

    pid: int
    start_ticks: int
    group: str


def group_name(kind: str) -> str:
    """Given a kind of worker, return the name of its process group."""
    return f"patient-{kind}"


def identify(pid: int, kind: str) -> Identity | None:
    """Return the identity of a process that is there now, or None."""
    process = read_process(PROCFS, pid)
    return None if process is None else Identity(pid, process.start_ticks, group_name(kind))


def write_identities(folder: Path, identities: Iterable[Identity]) -> None:
    """Write `identities.json`: exactly the processes that may be touched now."""
    document = {"boot_id": boot_id(PROCFS), "processes": [asdict(identity) for identity in identities]}
    write_atomic(folder / "identities.json", json.dumps(document).encode(), 0o600)


def note(history: Path, identity: Identity) -> None:
    """Append one process to the history; lines of several writers never mix."""
    line = json.dumps({"boot_id": boot_id(PROCFS), **asdict(identity)}) + "\n"
    descriptor = os.open(history, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def note_from_worker(pid: int, kind: str) -> None:
    """Append a worker's own child to the history that its parent named in the environment."""
    history = os.environ.get(HISTORY_VARIABLE)
    identity = identify(pid, kind)
    if history and identity is not None:
        note(Path(history), identity)


def history_path(folder: Path) -> Path:
    """Return where the history of the patient in `folder` is."""
    return folder / "history.jsonl"


def ever_existed(folder: Path) -> frozenset[tuple[int, int]]:
    """Return (pid, start_ticks) of every process that the patient in `folder` ever had."""
    try:
        lines = history_path(folder).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset((entry["pid"], entry["start_ticks"]) for entry in map(json.loads, lines))
