"""What probes saw: run before the first effect, when observing, holding or handing over, and kept as evidence.

Probes only read. They run outside of the writer's transaction, each on a thread that is left behind when it does not
keep its deadline: an ill host must not keep a worker.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Diagnosis, Frozen, Json, about_of
from remediator.parts import Parts
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

PHASE = "diagnose"
LONGEST = 60.0
"""Seconds that all probes of one playbook may take together."""
LARGEST = 16 * 1024
"""Bytes of JSON kept of one probe."""
LARGEST_TOGETHER = 64 * 1024
MOST_AT_ONCE = 4
"""Probes that run at the same time for what begins nothing: a storm of held alerts must not load an ill host."""
MOST_LEFT_BEHIND = 16
"""Probes beyond their deadline after which none is begun any more."""


Ask = Callable[[str, Mapping[str, Any], float], Json]
"""Runs a probe by its name, with its arguments and the seconds it may take."""


class Occasion(StrEnum):
    """Why was looked."""

    BEFORE = "before"  # the first effect is about to begin
    OBSERVE = "observe"  # it would have begun
    HOLD = "hold"  # it has to wait
    HAND_OVER = "hand_over"  # people are asked


def diagnose(parts: Parts, number: int, frozen: Frozen, occasion: Occasion) -> None:
    """Given a remediation's number and what is frozen, run its probes and keep what they found. No lock is held."""
    if not frozen.diagnose:
        return
    body: Json = {"occasion": occasion.value, "probes": []}
    ask = partial(parts.dispatch.probe, frozen.target.host, about=about_of(frozen, number))
    ends_at = parts.clock.monotonic() + LONGEST
    room = LARGEST_TOGETHER
    for each in frozen.diagnose:
        seconds = min(each.timeout, ends_at - parts.clock.monotonic())
        told, size = _fitting(_look(parts, ask, each, seconds, occasion), min(LARGEST, room))
        room -= size
        body["probes"].append({"probe": each.probe, "arguments": dict(each.arguments), **told})
    now = parts.clock.now()
    parts.record(frozen.steps, lambda tx: tx.add_evidence(number, PHASE, body, now))


def _look(parts: Parts, ask: Ask, wanted: Diagnosis, seconds: float, occasion: Occasion) -> Json:
    """Return what one probe found, or why it found nothing."""
    for ended in [thread for thread in list(parts.probing) if not thread.is_alive()]:
        parts.probing.discard(ended)
    if seconds <= 0:
        return {"problem": f"the {LONGEST:.0f} s for all probes were over"}
    most = MOST_LEFT_BEHIND if occasion is Occasion.BEFORE else MOST_AT_ONCE
    if len(parts.probing) >= most or not parts.may_wait.acquire(blocking=False):
        return {"problem": "too many probes are running"}
    try:
        return _wait_for(parts, ask, wanted, seconds)
    finally:
        parts.may_wait.release()


def _wait_for(parts: Parts, ask: Ask, wanted: Diagnosis, seconds: float) -> Json:
    found: Json = {}
    thread = threading.Thread(
        target=_run, args=(parts, ask, wanted, seconds, found), name=f"probe-{wanted.probe}", daemon=True
    )
    begun = parts.clock.monotonic()
    thread.start()
    parts.probing.add(thread)
    thread.join(seconds)
    if thread.is_alive():
        logger.warning("probe left behind", extra={"probe": wanted.probe, "seconds": seconds})
        parts.counters.count("stage_errors", stage="decide")
        return {"problem": f"did not end within {seconds:g} s"}
    parts.probing.discard(thread)
    return {**found, "seconds": round(parts.clock.monotonic() - begun, 3)}


def _run(parts: Parts, ask: Ask, wanted: Diagnosis, seconds: float, found: Json) -> None:
    try:
        found["found"] = ask(wanted.probe, wanted.arguments, seconds)
    except (Refused, ActionFailed, OutcomeUnknown, ConfigError) as error:
        found["problem"] = str(error)
    except Exception as error:
        # the border to foreign code: what a probe breaks on is a finding too
        logger.exception("probe broke", extra={"probe": wanted.probe})
        parts.counters.count("stage_errors", stage="decide")
        found["problem"] = error.__class__.__name__


def _fitting(told: Json, room: int) -> tuple[Json, int]:
    """Return what is told within `room` bytes, and how many it takes; where it is longer its beginning is kept."""
    try:
        text = json.dumps(told, allow_nan=False)
    except (TypeError, ValueError):
        told = {"problem": "what it found is no JSON"}
        text = json.dumps(told)
    if len(text) <= room:
        return told, len(text)
    return {"cut": text[: max(0, room)], "bytes": len(text)}, max(0, room)
