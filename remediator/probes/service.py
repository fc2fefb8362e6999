"""Asks how a service is: by the policy's own status command, or systemd about a unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.model import Argument, ArgumentType, Context, Json
from remediator.shell import run_command
from remediator.systemctl import run_unit

name = "service"
arguments: Mapping[str, Argument] = {
    "service": Argument(ArgumentType.SERVICE),
    "unit": Argument(ArgumentType.UNIT),
}

SHOWN_OUTPUT = 2_000
"""Characters of the output's end that are kept."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if (values["service"] is None) == (values["unit"] is None):
        return "says not which one; add either service or unit"
    return None


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Return the exit code and output of the status command, or what systemd knows. Raise Refused or ActionFailed."""
    left = context.deadline - context.monotonic()
    if arguments["unit"] is None:
        finished = run_command(context.policy, arguments["service"], "status", left, context.monotonic)
        told: Json = {"code": finished.code, "output": finished.output[-SHOWN_OUTPUT:]}
        return told if finished.why_ended is None else {**told, "why": finished.why_ended}
    finished = run_unit(context.policy, arguments["unit"], "status", left, context.monotonic)
    if not finished.ok:
        return {"code": finished.code, "output": finished.output[-SHOWN_OUTPUT:]}
    return {"code": 0, "unit": dict(line.partition("=")[::2] for line in finished.output.splitlines() if "=" in line)}
