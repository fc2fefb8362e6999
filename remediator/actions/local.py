"""Runs actions on this host: the `Dispatch` of an installation with one host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remediator.actions.arguments import validate
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import About, Action, Context, Json, Outcome, Plan, Reached, Reversible, Silencer
from remediator.policy import Policy, Refusal
from selfheal.common.clock import Clock
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.processes import Grouping

logger = logging.getLogger(__name__)

PROCFS = Path("/proc")


def _write_to_log(message: str) -> None:
    logger.info("message of a playbook", extra={"text": message})


def _nobody_counts(refusal: Refusal, by: str, first: bool) -> None:
    """Do nothing: where nobody counts."""


class KnownGroups:
    """The process groups of one config file, read again when the file has changed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: tuple[tuple[int, ...], Grouping] | None = None

    def grouping(self) -> Grouping:
        """Return the groups as the file holds them now. Raise ConfigError if it cannot be read or is wrong."""
        if self._path is None:
            return Grouping()
        try:
            found = self._path.stat()
            mark = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if self._read is None or self._read[0] != mark:
                self._read = (mark, Grouping.load(self._path))
        except OSError as error:
            raise ConfigError([Problem(str(self._path), "", f"cannot be read ({error.strerror})")]) from error
        except ValueError as error:
            lines = str(error).splitlines()
            file = str(self._path)
            raise ConfigError([Problem(file, "", line.removeprefix(f"{file}: ")) for line in lines]) from error
        return self._read[1]


class LocalDispatch:
    """Plans and runs actions here, each time by the policy and the process groups in force at that moment."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        actions: Mapping[str, Action],
        clock: Clock,
        process_config: Path | None,
        reached: Reached,
        *,
        procfs: Path = PROCFS,
        probes: Callable[[], Mapping[str, Any]] = dict,
        announce: Callable[[str], None] = _write_to_log,
        prometheus: Callable[[str], Sequence[tuple[Mapping[str, str], float]]] | None = None,
        refused: Callable[[Refusal, str, bool], None] = _nobody_counts,
        silences: Silencer | None = None,
    ) -> None:
        """`refused` is told each refusal of a door, which action or probe met it, and whether it is its first."""
        self._prometheus = prometheus
        self._silences = silences
        self._refused = refused
        self._policy = policy
        self._actions = actions
        self._clock = clock
        self._groups = KnownGroups(process_config)
        self._reached = reached
        self._procfs = procfs
        self._announce = announce
        self._probes = probes
        # a broken file is found at start, not at the first alert
        self._groups.grouping()

    def plan(
        self, host: str, action: str, arguments: Mapping[str, Any], timeout: float, *, about: About | None = None
    ) -> Plan:
        """Given an action and its arguments, return what it would do here within `timeout` seconds.

        Raise Refused if the action or what its arguments name is not permitted or the process groups are not known,
        ConfigError if the arguments are wrong, ActionFailed if the host cannot be read.
        """
        found, context = self._prepare(action, timeout, about)
        values = validate(found, arguments, context.policy)
        try:
            return found.plan(values, context)
        except OSError as error:
            raise ActionFailed(f"{action} could not be planned on {host}: {error}") from error

    def run(self, host: str, action: str, plan: Plan, timeout: float, *, about: About | None = None) -> Outcome:
        """Given a stored plan, do exactly that here within `timeout` seconds.

        Raise Refused, ActionFailed or OutcomeUnknown as the action does; an error of the host itself is a known failure
        only for what can be done again.
        """
        found, context = self._prepare(action, timeout, about)
        try:
            return found.run(plan, context)
        except OSError as error:
            kind = ActionFailed if found.idempotent else OutcomeUnknown
            raise kind(f"{action} on {host}: {error}") from error

    def undo(
        self, host: str, action: str, plan: Plan, outcome: Outcome, timeout: float, *, about: About | None = None
    ) -> Outcome:
        """Given a stored plan and what was done of it, take that back here within `timeout` seconds. Raise as `run`."""
        found, context = self._prepare(action, timeout, about)
        if not isinstance(found, Reversible):
            raise Refused(f"{action} cannot take back what it did")
        try:
            return found.undo(plan, outcome, context)
        except OSError as error:
            kind = ActionFailed if found.idempotent else OutcomeUnknown
            raise kind(f"{action} on {host}, taken back: {error}") from error

    def probe(
        self, host: str, name: str, arguments: Mapping[str, Any], timeout: float, *, about: About | None = None
    ) -> Json:
        """Given a probe and its arguments, return what it sees here within `timeout` seconds.

        Raise Refused, ConfigError or ActionFailed as `plan` does.
        """
        found = self._probes().get(name)
        if found is None:
            raise Refused(f"there is no probe {name!r}")
        context = self._context(timeout, name, about)
        try:
            seen: Json = found.run(validate(found, arguments, context.policy), context)
        except OSError as error:
            raise ActionFailed(f"{name} on {host}: {error}") from error
        return seen

    def _prepare(self, action: str, timeout: float, about: About | None) -> tuple[Action, Context]:
        found = self._actions.get(action)
        if found is None:
            raise Refused(f"there is no action {action!r}; there are {', '.join(self._actions)}")
        return found, self._context(timeout, action, about)

    def _context(self, timeout: float, by: str, about: About | None) -> Context:
        try:
            grouping = self._groups.grouping()
        except ConfigError as error:
            # nothing has begun: without knowing the groups nothing may
            raise Refused(str(error)) from error
        met: list[Refusal] = []
        about = about or About()

        def hear(refusal: Refusal) -> None:
            met.append(refusal)
            self._refused(refusal, by, len(met) == 1)

        return Context(
            policy=replace(self._policy(), grouping=grouping, procfs=self._procfs, heard=hear),
            procfs=self._procfs,
            deadline=self._clock.monotonic() + timeout,
            monotonic=self._clock.monotonic,
            reached=self._reached,
            announce=self._announce,
            prometheus=self._prometheus,
            alert=about.alert,
            remediation=about.remediation,
            silences=self._silences,
        )
