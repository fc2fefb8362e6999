"""What a back-end of the `service.*` actions promises. The table of all of them stands in the package itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from remediator.model import ArgumentType, Context, Outcome, Plan


class Verb(StrEnum):
    """What may be done to a service; the action is called `service.` and this."""

    RESTART = "restart"  # ends it and starts it again; starts it if it does not run
    RELOAD = "reload"  # has it read its configuration again, without an interruption
    START = "start"  # starts it if it does not run
    RESET_FAILED = "reset_failed"  # forgets that it failed, so that it may be started again


class Backend(Protocol):
    """A module that knows services of one kind."""

    argument: str
    """The key in `with:`, and in `plan.detail`, where it holds the service's name: `run` finds the back-end by it."""
    type: ArgumentType
    """A lookup: the policy must list the name."""
    verbs: frozenset[Verb]
    """What can be done to services of this kind; the other actions do not take `argument` at all."""

    def plan(self, verb: Verb, name: str, context: Context) -> Plan:
        """Given a service that the policy lists, return what would be done. Read-only.

        `detail` is `{argument: name, …}` and what binds the plan to the world as it is now. Without items there is
        nothing to do, and `detail["why"]` says why in English.
        Raise Refused if the policy does not permit the verb or the service cannot be so treated (a unit that cannot
        reload), ActionFailed if it cannot be looked at.
        """
        ...

    def run(self, verb: Verb, plan: Plan, context: Context) -> Outcome:
        """Given a stored plan, do that and wait until the service is well or has failed, at most until the deadline.

        Tell `context.reached` `effect_begun` before and `effect_done` after. `ok` only if it is well. Each effect names
        `kind`, `argument` and `verb`.
        Raise Refused, with nothing done, if the service is not what was planned; ActionFailed if it is known that
        nothing came of it; OutcomeUnknown if the time was over in between.
        """
        ...

    def undo(self, verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
        """Given what `run` did, take that back: stop what was started, if it is still that. Only `start` is undone.

        Raise as `run` does.
        """
        ...
