"""Actions: what a playbook's steps do on this host. The contract is `model.Action`; this is the table of all of them.

An action is a module with `name`, `version`, `effect`, `idempotent`, `arguments`, `plan` and `run`. It reaches the host
only through the doors (`signals`, `shell`, `files`), which ask the policy themselves, and never sees the store.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.actions import disk_clean, notify_log, process_reap, process_terminate, service_restart
from remediator.actions.arguments import problems, validate
from remediator.model import Action

__all__ = ["ACTIONS", "problems", "validate"]

ACTIONS: Mapping[str, Action] = {
    process_terminate.name: process_terminate,
    process_reap.name: process_reap,
    service_restart.name: service_restart,
    disk_clean.name: disk_clean,
    notify_log.name: notify_log,
}
