"""Where everything of one `selfheal up` lies below its state folder, and who may use that folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class AlreadyRunning(Exception):
    """Another `selfheal up` holds the state folder; `pid` is who (0: not known)."""

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(f"{folder} is in use by pid {pid}; stop it first, or choose another folder with --state")
        self.folder = folder
        self.pid = pid


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files below one state folder; `state` is absolute."""

    state: Path

    @property
    def config(self) -> Path:
        """Everything rendered or edited: configs, policy, tokens, rules, playbooks."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.state / "logs"

    @property
    def prometheus(self) -> Path:
        """Prometheus's data."""
        return self.state / "prometheus"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager's data."""
        return self.state / "alertmanager"

    @property
    def remediator(self) -> Path:
        """The remediator's store and pause file."""
        return self.state / "remediator"

    @property
    def patient(self) -> Path:
        """The demo patient: identities, history, socket, and the folder that fills."""
        return self.state / "patient"

    @property
    def decoys(self) -> Path:
        """What must never change: the file that the patient's symlink points to, and what decoy processes note."""
        return self.state / "decoys"

    @property
    def api_token(self) -> Path:
        """The token file of the remediator's API."""
        return self.config / "api.token"

    @property
    def hook_token(self) -> Path:
        """The token file of the remediator's hook."""
        return self.config / "hook.token"

    def make(self) -> None:
        """Create the folders that every start needs; only this user may look inside."""
        for folder in (self.state, self.config, self.logs, self.prometheus, self.alertmanager, self.remediator):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold the state folder. Raise AlreadyRunning, naming the holder, if another process does."""
    state.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state / "up.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            written = os.pread(descriptor, 20, 0).strip()
            raise AlreadyRunning(state, int(written) if written.isdigit() else 0) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def fresh_demo(state: Path) -> Layout:
    """Return an empty `<state>/demo`; the one before is kept as `demo.previous`, the one before that is deleted."""
    demo, previous = state / "demo", state / "demo.previous"
    if demo.exists():
        if previous.exists():
            shutil.rmtree(previous)
        demo.rename(previous)
    demo.mkdir(mode=0o700)
    return Layout(demo)
