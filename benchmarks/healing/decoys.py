"""What looks like what is ill and is not. If any of it changes, somebody was hurt who should not have been.

Processes of the same name: of another user in the same group, and of another parent outside of it. Files: behind a link
that lies in a folder which is cleaned, and of the same name in another folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.healing.layout import APP, NEIGHBOUR
from selfheal.common.procfs import read_process

if TYPE_CHECKING:
    from benchmarks.healing.hosts import Host

OLD = 1_000_000_000.0
"""Seconds since the epoch: older than anything that may be cleaned."""


class Decoys:
    """The decoys of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._processes: dict[str, str] = {}
        self._files: dict[str, tuple[object, ...]] = {}

    def beside(self, path: str, argument: str, *, large: int = 0) -> None:
        """Given a worker's program, start two like it: another user's, and one of another parent and place.

        `large` mebibytes are held by each.
        """
        name = Path(path).name
        self._start(f"{name}-neighbour", [path, argument], NEIGHBOUR, large)
        elsewhere = f"/srv/other/bin/{name}"
        self._host.write(elsewhere, (self._host.root / path[1:]).read_bytes(), mode=0o755, uid=0)
        # of another parent, too: this shell
        self._start(f"{name}-elsewhere", ["/bin/sh", "-c", '"$0" "$@" & wait', elsewhere, argument], APP, large)

    def around(self, folder: str, name: str) -> None:
        """Given a folder that is cleaned, put a link to another folder into it, and files called `name` elsewhere."""
        host = self._host
        for place in ("/srv/precious", f"{folder}.beside"):
            (host.root / place[1:]).mkdir(exist_ok=True)
            file = f"{place}/{name}"
            host.write(file, b"\x5a" * 65536)
            os.utime(host.root / file[1:], (OLD, OLD))
            self.keep_file(file)
        link = f"{folder}/elsewhere"
        (host.root / link[1:]).symlink_to("/srv/precious")
        self.keep_file(link)

    def keep_file(self, path: str) -> None:
        """Count this file or link among the decoys, as it is now."""
        self._files[path] = _fingerprint(self._host.root / path[1:])

    @property
    def has_link(self) -> bool:
        """Say whether a folder that may be cleaned has a link in it."""
        return any((self._host.root / path[1:]).is_symlink() for path in self._files)

    @property
    def ready(self) -> bool:
        """Say whether every process notes the signals that it gets."""
        return all((self._host.root / witness[1:]).exists() for witness in self._processes.values())

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._processes) + len(self._files)

    def changed(self) -> list[str]:
        """Return which are not as they were."""
        files = [path for path, before in self._files.items() if _fingerprint(self._host.root / path[1:]) != before]
        return files + [name for name, decoy in self._processes.items() if not self._unhurt(decoy)]

    def _start(self, name: str, argv: list[str], uid: int, large: int) -> None:
        witness = f"/srv/witness/{name}"
        self._host.spawn(name, argv, uid=uid, environment={"WITNESS": witness, "HOLD": str(large)})
        self._processes[name] = witness

    def _unhurt(self, witness: str) -> bool:
        """Say whether the process that wrote down who it is still lives, goes on and got no signal."""
        root = self._host.root
        try:
            pid, ticks = (root / f"{witness[1:]}.who").read_text("utf-8").split()
            signalled = (root / witness[1:]).read_bytes()
        except (OSError, ValueError):
            return False
        process = read_process(root / "proc", int(pid))
        if process is None or process.start_ticks != int(ticks) or process.is_zombie:
            return False
        return process.state not in ("T", "t") and not signalled


def _fingerprint(path: Path) -> tuple[object, ...]:
    try:
        found = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError as error:
        return (error.errno,)
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, hashlib.sha256(content).hexdigest())
