"""How a rate is written in a file: how many in how long."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from remediator.model import Rate
from selfheal.common.documents import duration, kind_of, told

_RATE = re.compile(r"([1-9][0-9]{0,6})/(.+)")


def _rate(value: Any) -> Rate:
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        told(f"must be a rate, not {_shown(value)}", "write how many in how long, for example 3/1h")
    window = duration(found[2].strip())
    if window <= 0:
        told("must be a rate over some time, not over 0s", "write how many in how long, for example 3/1h")
    return Rate(int(found[1]), window)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) and len(value) <= 40 else kind_of(value)


RateText = Annotated[Any, BeforeValidator(_rate)]
"""A key that holds `3/1h`; as a `Rate`."""
