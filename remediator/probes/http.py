"""Asks one URL that the policy lists, by GET, and tells the status and how the answer begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.model import Argument, ArgumentType, Context, Json
from remediator.outgoing import Request, send

name = "http"
arguments: Mapping[str, Argument] = {"url": Argument(ArgumentType.URL, required=True)}

SHOWN_BODY = 2_000
"""Characters of the answer that are kept."""


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Given a URL, return what came back; a redirect is told and not followed. Raise Refused or ActionFailed."""
    left = context.deadline - context.monotonic()
    answered = send(context.policy, Request("GET", arguments["url"]), left, context.monotonic)
    text = answered.body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return {
        "status": answered.status,
        "seconds": answered.seconds,
        "body": text[:SHOWN_BODY],
        "cut": answered.cut or len(text) > SHOWN_BODY,
    }
