"""The section `silences` of a policy file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from selfheal.common.documents import Duration, Section, told

LONGEST = 7 * 86_400.0
"""Seconds: what is to be quiet for longer is a person's to say."""


def _longest(value: float) -> float:
    if not 0 < value <= LONGEST:
        told("must be longer than 0s and at most 7d", "write for example 2h")
    return value


class WrittenSilences(Section):
    """How long a silence may last."""

    longest: Annotated[Duration, AfterValidator(_longest)]
