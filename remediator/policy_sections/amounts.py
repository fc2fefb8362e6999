"""Amounts of bytes as people write them in a policy file."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from selfheal.common.documents import told

_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|[kK]B|[MGT]B|[KMGT]iB)?")
_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _amount(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    found = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        told("is not an amount of bytes", "write for example 100MiB, 2GB or a whole number")
    return round(float(found[1]) * _UNITS[found[2] or "B"])


Amount = Annotated[int, BeforeValidator(_amount)]
