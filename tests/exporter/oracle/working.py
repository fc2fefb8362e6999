"""What happens on a tree of processes between two looks: its processes use time, memory, storage, and switch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

# fields of stat after the name in brackets, counted from the state: minor and major faults, user and system time
_COUNTERS = {7: 11, 9: 2, 11: 35, 12: 17}
_NAMED = {
    "status": {"voluntary_ctxt_switches": 19, "nonvoluntary_ctxt_switches": 7},
    "io": {"read_bytes": 40_960, "write_bytes": 8_192},
}


def work(procfs: Path) -> None:
    """Let every process and thread of a writable tree have worked, each its own amount: none can be mistaken."""
    for folder in sorted(procfs.glob("[1-9]*")):
        for task in (folder, *sorted(folder.glob("task/*"))):
            if (task / "stat").exists():
                _advance(task, int(task.name))


def _advance(task: Path, share: int) -> None:
    head, bracket, tail = (task / "stat").read_text().rpartition(")")
    fields = tail.split(" ")
    for index, amount in _COUNTERS.items():
        fields[index + 1] = str(int(fields[index + 1]) + amount + share)
    (task / "stat").write_text(head + bracket + " ".join(fields))
    for name, counters in _NAMED.items():
        file = task / name
        if file.exists():
            file.write_text(_raised(file.read_text(), counters, share))


def _raised(text: str, counters: dict[str, int], share: int) -> str:
    for counter, amount in counters.items():
        text = re.sub(
            rf"^({counter}:\s+)(\d+)$",
            lambda match: f"{match[1]}{int(match[2]) + amount * share}",  # noqa: B023 - used at once
            text,
            flags=re.MULTILINE,
        )
    return text


def bear(procfs: Path, like: int, pid: int, start_ticks: int) -> None:
    """Let a process begin that is like another one, with counters of its own since then."""
    shutil.copytree(procfs / str(like), procfs / str(pid), symlinks=True)
    tasks = procfs / str(pid) / "task"
    for name in ("stat", "status"):
        file = procfs / str(pid) / name
        if file.exists():
            text = re.sub(rf"(^|\t){like}$", rf"\g<1>{pid}", file.read_text(), flags=re.MULTILINE)
            file.write_text(_started(text, like, pid, start_ticks) if name == "stat" else text)
    if tasks.exists():
        for other in tasks.iterdir():
            if other.name != str(like):
                shutil.rmtree(other)
        (tasks / str(like)).rename(tasks / str(pid))
        for name in ("stat", "status"):
            if (tasks / str(pid) / name).exists():
                shutil.copy(procfs / str(pid) / name, tasks / str(pid) / name)


def _started(text: str, like: int, pid: int, start_ticks: int) -> str:
    head, bracket, tail = text.rpartition(")")
    fields = tail.split(" ")
    fields[18], fields[20] = "1", str(start_ticks)
    return head.replace(str(like), str(pid), 1) + bracket + " ".join(fields)
