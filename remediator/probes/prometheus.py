"""Asks the configured Prometheus one expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import ActionFailed, SourceUnavailable
from remediator.model import Argument, ArgumentType, Context, Json

name = "prometheus"
arguments: Mapping[str, Argument] = {"query": Argument(ArgumentType.EXPRESSION, required=True)}

MOST_ELEMENTS = 50
"""Elements that are kept; of the rest only the number."""


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Given PromQL, return the elements it has now. Raise ActionFailed where nobody can be asked or answers."""
    if context.prometheus is None:
        raise ActionFailed("no Prometheus can be asked from here")
    try:
        found = context.prometheus(arguments["query"])
    except SourceUnavailable as error:
        raise ActionFailed(str(error)) from error
    # text and not a number: NaN and infinities are no JSON
    elements = [{"labels": dict(labels), "value": f"{value:.15g}"} for labels, value in found[:MOST_ELEMENTS]]
    return {"elements": elements, "count": len(found)}
