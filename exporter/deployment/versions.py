"""Which version runs at an address, and whether it is the expected one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exporter.deployment.model import Finding, State, Version
from exporter.deployment.web import get
from exporter.probe.model import ProbeError, Reason
from selfheal.common.clock import Clock

LONGEST = 64
"""Characters of a version; it is a label."""


def find_version(wanted: Version, seconds: float, clock: Clock) -> Finding:
    """Given an address and what is expected there, say what runs; not known if the expected one cannot be read."""
    try:
        expected = _expected(wanted)
    except (OSError, ValueError) as error:
        return Finding(None, f"the expected version cannot be read from {wanted.expect_file} ({error})")
    try:
        answer = get(wanted.url, seconds, wanted.ca_file, clock)
    except ProbeError as error:
        # what is wrong on our side says nothing about theirs
        state = None if error.reason is Reason.SECRET else State.UNAVAILABLE
        return Finding(state, f"{wanted.url}: {error}", None, expected)
    except OSError as error:
        return Finding(State.UNAVAILABLE, f"{wanted.url}: {error.strerror or error}", None, expected)
    if answer.status != 200:
        return Finding(State.UNAVAILABLE, f"{wanted.url} answered {answer.status}", None, expected)
    try:
        version = pick_version(answer.body, wanted.field)
    except ValueError as error:
        return Finding(State.DEGRADED, f"{wanted.url}: {error}", None, expected)
    if version != expected:
        return Finding(State.DEGRADED, f"runs {version}, expected {expected}", version, expected)
    return Finding(State.HEALTHY, f"runs {version}", version, expected)


def _expected(wanted: Version) -> str:
    if wanted.expect_file is None:
        return wanted.expect.strip()
    with wanted.expect_file.open("rb") as file:
        words = file.read(4096).decode("utf-8").split()
    if not words:
        raise ValueError("it is empty")
    return words[0][:LONGEST]


def pick_version(body: bytes, field: tuple[str, ...]) -> str:
    """Given an answer's body and the keys to a field, return the version. Raise ValueError if there is none."""
    try:
        found: Any = json.loads(body) if field else body.decode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ValueError("the answer is no JSON" if field else "the answer is no text") from error
    for key in field:
        if not isinstance(found, Mapping) or key not in found:
            raise ValueError(f"the answer has no field {'.'.join(field)}")
        found = found[key]
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        raise ValueError(f"the field {'.'.join(field)} is neither text nor number")
    version = str(found).strip()
    if not version or len(version) > LONGEST:
        raise ValueError(f"the version is empty or longer than {LONGEST} characters")
    return version
