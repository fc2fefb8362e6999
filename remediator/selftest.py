"""Sends one alert the whole way, on purpose: rule, Alertmanager, hook, decision, step, proof; and times each leg.

The rule `SelfhealSelftest` fires while our own metric says 1. Its playbook only writes a line; what heals it is that
the metric goes back to 0 once the step is done, so that the proof rests on fresh samples like any other.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from remediator.model import ENDS, Remediation, State, Verdict
from remediator.parts import Parts
from remediator.store import Reader
from selfheal.common.files import write_atomic

logger = logging.getLogger(__name__)

ALERT = "SelfhealSelftest"
WANTED = "selftest.wanted"
"""Put into the state folder by whoever wants a test; taken away when it begins."""
FILE = "selftest.json"
"""What the last test, or the one under way, has come to."""
IDLE, BUSY = 2.0, 0.5
"""Seconds between two turns."""
LONGEST = 300.0
"""Seconds until a test has failed, unless whoever wants it says otherwise."""
SETTLING = 60.0
"""Seconds after a start until the first test by the clock: whoever scrapes us may only be starting too."""
LEGS = ("rule", "delivery", "decision", "step", "proof")
"""Metric → firing rule; → stored delivery; → first intent; → step done; → verdict."""


class Result(StrEnum):
    """What a test came to."""

    RUNNING = "running"
    PASSED = "passed"  # proven on fresh samples
    OBSERVED = "observed"  # as far as the decision: highest_mode lets nothing act
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One test: when it began (epoch seconds), how far it came and how many seconds each leg took."""

    who: str
    began: float
    within: float
    result: Result = Result.RUNNING
    legs: Mapping[str, float] = field(default_factory=dict)
    remediation: int | None = None
    state: str | None = None
    """That of the remediation."""
    reason: str | None = None
    ended: float | None = None
    last_success: float | None = None
    """When a test last passed, this one or an earlier one."""

    @property
    def seconds(self) -> float:
        """The sum of the legs."""
        return sum(self.legs.values())


class Selftest:
    """One turn at a time; at most one test at once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._folder = parts.config.state
        self._test: Trial | None = None
        self._after: int | None = None
        """The newest occurrence before ours; None while an earlier test's alert has not ended yet."""
        self._began_at = self._end_at = 0.0
        """On the monotonic clock."""
        self._healed = False
        left = read(self._folder / FILE)
        if left is not None and left.result is Result.RUNNING:
            # the process that ran it was ended
            left = replace(left, result=Result.FAILED, ended=parts.clock.now())
            _write(self._folder / FILE, left)
        self._last_success = None if left is None else left.last_success
        self._next = parts.clock.monotonic() + SETTLING
        self._show(left)

    def age(self) -> float | None:
        """Return the seconds since a test last passed, or since the start; None where none runs by the clock."""
        if self._parts.config.selftest_every is None:
            return None
        if self._last_success is not None:
            return max(0.0, self._parts.clock.now() - self._last_success)
        return self._parts.clock.monotonic() - self._parts.started

    def turn(self, now: float) -> float:
        """Do one turn; return when the next is due."""
        if self._test is None:
            self._begin_if_wanted(now)
        if self._test is None:
            return now + IDLE
        with self._parts.store.read() as reader:
            test = self._progress(reader, self._test, now)
        if test.result is Result.RUNNING and self._parts.clock.monotonic() >= self._end_at:
            test = replace(test, result=Result.FAILED, ended=now)
        elif test.result in (Result.PASSED, Result.OBSERVED):
            self._last_success = test.ended
            test = replace(test, last_success=test.ended)
        if test != self._test:
            self._test = test
            _write(self._folder / FILE, test)
        if test.result is not Result.RUNNING:
            self._finish(test)
        return now + BUSY

    def _begin_if_wanted(self, now: float) -> None:
        monotonic = self._parts.clock.monotonic()
        every = self._parts.config.selftest_every
        asked = _asked(self._folder / WANTED)
        if asked is None and (every is None or monotonic < self._next):
            return
        who, within = asked or ("timer", LONGEST)
        if every is not None:
            self._next = monotonic + every
        self._test = Trial(who, now, within, last_success=self._last_success)
        self._after, self._healed, self._end_at = None, False, monotonic + within
        _write(self._folder / FILE, self._test)
        logger.info("self-test begins", extra={"who": who})

    def _progress(self, reader: Reader, test: Trial, now: float) -> Trial:
        """Return how far the test is by now."""
        if self._after is None:
            newest, is_open = reader.alert_standing(ALERT)
            if not is_open:
                # only now: while the alert of an earlier test is on, no new one would come
                self._after = newest
                self._began_at = self._parts.clock.monotonic()
                self._want(1.0)
                return replace(test, began=now)
            return test
        occurrence = reader.occurrence_of(ALERT, self._after)
        if occurrence is None:
            return test
        legs = {"rule": occurrence.alert.starts_at - test.began}
        if self._parts.heard.get(ALERT, -math.inf) >= self._began_at:
            legs["delivery"] = occurrence.received_at - occurrence.alert.starts_at
        remediation = None if occurrence.remediation_id is None else reader.remediation(occurrence.remediation_id)
        if remediation is None:
            ended = occurrence.fate is not None
            found = replace(test, legs=_rounded(legs), state=occurrence.fate, reason=occurrence.reason)
            return replace(found, result=Result.FAILED, ended=now) if ended else found
        return self._judged(reader, test, remediation, legs, occurrence.received_at)

    def _judged(
        self, reader: Reader, test: Trial, remediation: Remediation, legs: dict[str, float], received_at: float
    ) -> Trial:
        decided = remediation.started_at or (remediation.ended_at if remediation.state is State.OBSERVED else None)
        if decided is not None:
            legs["decision"] = decided - received_at
        done = [step.ended_at for step in reader.steps(remediation.id) if step.ended_at is not None]
        if done and remediation.started_at is not None:
            legs["step"] = done[-1] - remediation.started_at
        if remediation.state is State.VERIFYING and not self._healed:
            # the effect is over: this is what it "healed"
            self._want(0.0)
        result = Result.RUNNING
        if remediation.state in ENDS:
            result = Result.FAILED
            if remediation.state is State.OBSERVED:
                result = Result.OBSERVED
            elif remediation.verdict is Verdict.FIXED and remediation.verified_at is not None and done:
                result, legs["proof"] = Result.PASSED, remediation.verified_at - done[-1]
            if "delivery" not in legs:
                # reconciliation found it in Alertmanager: healed, and yet the hook is not reached
                result = Result.FAILED
        return replace(
            test,
            legs=_rounded(legs),
            remediation=remediation.id,
            state=remediation.state.value,
            reason=None if remediation.reason is None else remediation.reason.value,
            result=result,
            ended=None if result is Result.RUNNING else remediation.ended_at,
        )

    def _want(self, value: float) -> None:
        self._healed = value == 0.0
        self._parts.counters.observe("selftest_wanted", value)

    def _finish(self, test: Trial) -> None:
        self._want(0.0)
        self._test = None
        self._show(test)
        fields = {"result": test.result.value, "seconds": round(test.seconds, 3), "legs": dict(test.legs)}
        if test.result is Result.FAILED:
            logger.error("self-test failed", extra=fields | {"state": test.state, "reason": test.reason})
        else:
            logger.info("self-test passed", extra=fields)

    def _show(self, test: Trial | None) -> None:
        observe = self._parts.counters.observe
        if test is None or test.result is Result.RUNNING:
            return
        observe("selftest_passed", float(test.result is not Result.FAILED))
        if test.last_success is not None:
            observe("selftest_last_success", test.last_success)
        if test.result is Result.FAILED:
            return
        observe("selftest_duration", test.seconds)
        for leg, seconds in test.legs.items():
            observe("selftest_leg", seconds, leg=leg)


def read(path: Path) -> Trial | None:
    """Return the test that a file tells, or None: there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
        return Trial(**{**found, "result": Result(found["result"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def want(folder: Path, who: str, within: float) -> None:
    """Ask the remediator of this state folder for a test. Raise OSError if that cannot be written."""
    write_atomic(folder / WANTED, json.dumps({"who": who, "within": within}).encode() + b"\n", 0o600)


def _asked(path: Path) -> tuple[str, float] | None:
    """Return who wants a test and how long it may take, and take the wish away."""
    try:
        text = path.read_bytes()
        path.unlink()  # our own mark, not a healed path
    except OSError:
        return None
    try:
        found: Any = json.loads(text)
        who, within = str(found["who"])[:256], float(found["within"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "?", LONGEST
    return who, within if math.isfinite(within) and within > 0 else LONGEST


def _rounded(legs: Mapping[str, float]) -> dict[str, float]:
    # two clocks a little apart must not make a leg take less than no time
    return {leg: round(max(0.0, seconds), 3) for leg, seconds in legs.items()}


def _write(path: Path, test: Trial) -> None:
    try:
        write_atomic(path, json.dumps(asdict(test)).encode() + b"\n", 0o600)
    except OSError as error:
        # a full disk: the metrics still tell
        logger.warning("self-test not written", extra={"problem": str(error)})
