"""Connects to one `tcp://HOST:PORT` that the policy lists, and sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import ActionFailed
from remediator.model import Argument, ArgumentType, Context, Json
from remediator.outgoing import reach

name = "tcp"
arguments: Mapping[str, Argument] = {"address": Argument(ArgumentType.URL, required=True)}


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Given an address, say whether somebody answers there and after how many seconds. Raise Refused."""
    left = context.deadline - context.monotonic()
    try:
        seconds = reach(context.policy, arguments["address"], left, context.monotonic)
    except ActionFailed as error:
        # that nobody answers is what was asked for
        return {"connected": False, "why": str(error)}
    return {"connected": True, "seconds": seconds}
