"""Actions: what a playbook's steps do on this host. The contract is `model.Action`; this is the table of all of them.

An action is a module with `name`, `version`, `effect`, `idempotent`, `arguments`, `plan` and `run`. It reaches the host
only through the doors (`signals`, `shell`, `files`), which ask the policy themselves, and never sees the store.
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.actions import (
    annotate_mark,
    ansible_play,
    command_run,
    disk_clean,
    disk_vacuum_journal,
    git_checkpoint,
    git_commit_safe,
    http_request,
    memory_drop_caches,
    memory_reclaim,
    notify_log,
    process_ionice,
    process_limit,
    process_reap,
    process_renice,
    process_terminate,
    scale_set,
    service_reload,
    service_reset_failed,
    service_restart,
    service_start,
    silence_create,
)
from remediator.actions.arguments import problems, validate
from remediator.model import Action

__all__ = ["ACTIONS", "problems", "validate"]

ACTIONS: Mapping[str, Action] = {
    process_terminate.name: process_terminate,
    process_reap.name: process_reap,
    service_restart.name: service_restart,
    service_reload.name: service_reload,
    service_start.name: service_start,
    service_reset_failed.name: service_reset_failed,
    process_limit.name: process_limit,
    scale_set.name: scale_set,
    disk_clean.name: disk_clean,
    process_renice.name: process_renice,
    process_ionice.name: process_ionice,
    memory_reclaim.name: memory_reclaim,
    memory_drop_caches.name: memory_drop_caches,
    disk_vacuum_journal.name: disk_vacuum_journal,
    command_run.name: command_run,
    http_request.name: http_request,
    ansible_play.name: ansible_play,
    silence_create.name: silence_create,
    annotate_mark.name: annotate_mark,
    git_commit_safe.name: git_commit_safe,
    git_checkpoint.name: git_checkpoint,
    notify_log.name: notify_log,
}
