"""Actions: what a playbook's steps do on this host. The contract is `model.Action`; this is the table of all of them.

An action is a module with `name`, `version`, `effect`, `idempotent`, `arguments`, `plan` and `run`. It reaches the host
only through the doors (`signals`, `shell`, `files`), which ask the policy themselves, and never sees the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from remediator.actions.arguments import problems, validate
from remediator.model import Action

__all__ = ["ACTIONS", "problems", "validate"]


class _Table(Mapping[str, Action]):
    """Actions by name; the module of one is loaded when it is first asked for.

    What no playbook of this host uses is not resident. A module is called as its action is, with _ for the dot.
    """

    def __init__(self, *names: str) -> None:
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Action:
        if name not in self._names:
            raise KeyError(name)
        return cast(Action, import_module(f"{__name__}.{name.replace('.', '_')}"))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


ACTIONS: Mapping[str, Action] = _Table(
    "process.terminate",
    "process.reap",
    "service.restart",
    "service.reload",
    "service.start",
    "service.reset_failed",
    "process.limit",
    "scale.set",
    "disk.clean",
    "process.renice",
    "process.ionice",
    "memory.reclaim",
    "memory.drop_caches",
    "disk.vacuum_journal",
    "command.run",
    "http.request",
    "ansible.play",
    "silence.create",
    "annotate.mark",
    "git.commit_safe",
    "git.checkpoint",
    "notify.log",
)
