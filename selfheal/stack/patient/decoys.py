"""What looks like the patient and is not: if any of it changes, somebody was hurt who should not have been.

Decoys are processes with the same program and arguments outside the patient, a file beside the folder that fills, and
a symlink in that folder that points out of it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from selfheal.common.procfs import read_process
from selfheal.stack import kernel
from selfheal.stack.patient.identities import PROCFS, Identity, identify
from selfheal.stack.patient.worker import WITNESS_VARIABLE, arguments

KINDS = ("leaker", "sick-parent", "spinner")

_TEMPTING = 2 * 1024 * 1024  # bytes: large enough to be worth deleting
_OLD = 1_000_000_000  # seconds since the epoch: older than anything that may be cleaned


@dataclass(slots=True)
class Decoys:
    """The decoys of the patient in `folder`; what they need for themselves lies in `own`."""

    folder: Path
    own: Path
    name: str
    port: int
    """Not listened on; it only has to stand in the argument lists."""
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _files: dict[Path, tuple[object, ...]] = field(default_factory=dict)

    def start(self) -> None:
        """Create the files and start the processes."""
        self.own.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "folder").mkdir(parents=True, exist_ok=True, mode=0o700)
        outside, beside, link = self.own / "outside.dat", self.folder / "beside.dat", self.folder / "folder" / "out"
        for file in (outside, beside):
            file.write_bytes(b"\x5a" * _TEMPTING)
            os.utime(file, (_OLD, _OLD))
        link.symlink_to(outside)
        os.utime(link, (_OLD, _OLD), follow_symlinks=False)
        self._files = {path: _fingerprint(path) for path in (outside, beside, link)}
        for kind in KINDS:
            environment = os.environ | {WITNESS_VARIABLE: str(self._witness(kind))}
            process = kernel.start(
                arguments(kind, self.name, self.port), None, None, environment, tuple(signal.Signals)
            )
            self._processes[kind] = process
            identity = identify(process.pid, kind)
            if identity is not None:
                self._identities[kind] = identity

    @property
    def ready(self) -> bool:
        """Say whether every decoy notes the signals that it gets."""
        return all(self._witness(kind).exists() for kind in KINDS)

    def changed(self) -> tuple[str, ...]:
        """Return which decoys are not as they were: files by path, processes by kind."""
        files = [str(path) for path, before in self._files.items() if _fingerprint(path) != before]
        return tuple(files + [kind for kind in KINDS if not self._unhurt(kind)])

    def stop(self) -> None:
        """End the decoy processes; the files stay for whoever wants to look."""
        for process in self._processes.values():
            kernel.end_group(process)
        self._processes.clear()

    def _unhurt(self, kind: str) -> bool:
        identity = self._identities.get(kind)
        process = None if identity is None else read_process(PROCFS, identity.pid)
        if identity is None or process is None or process.start_ticks != identity.start_ticks:
            return False
        witness = self._witness(kind)
        signalled = witness.exists() and witness.stat().st_size > 0
        return not process.is_zombie and process.state not in ("T", "t") and not signalled

    def _witness(self, kind: str) -> Path:
        return self.own / f"{kind}.signals"


def _fingerprint(path: Path) -> tuple[object, ...]:
    try:
        found = path.lstat()
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError as error:
        return (error.errno,)
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, hashlib.sha256(content).hexdigest())
