"""Runs one command that the policy names and marks `read_only`, and keeps the end of its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.model import Argument, ArgumentType, Context, Json
from remediator.shell import Asked, run_named

name = "command"
arguments: Mapping[str, Argument] = {
    "command": Argument(ArgumentType.COMMAND, required=True),
    "parameters": Argument(ArgumentType.PARAMETERS),
}


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Return the exit code and the end of the output. Raise Refused or ActionFailed."""
    asked = Asked(arguments["command"], arguments["parameters"] or {}, context.alert, only_reading=True)
    finished = run_named(context.policy, asked, context.deadline - context.monotonic(), context.monotonic)
    told: Json = {"code": finished.code, "output": finished.output, "seconds": finished.seconds}
    return told if finished.why_ended is None else {**told, "why": finished.why_ended}
