"""What a judgement says: its value, what it rests on, and the questions it was put together from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from remediator.judge.logic import Truth


class Why(StrEnum):
    """What a judgement rests on; a message key."""

    STILL_TRUE = "still_true"  # the expression returns the alert's labels
    PROVEN = "proven"  # it returns nothing, the value is there and fresh
    RETURNED = "returned"  # the declared expression returns something, from fresh samples
    RETURNED_NOTHING = "returned_nothing"  # the declared expression returns nothing, from fresh samples
    NO_BASELINE = "no_baseline"  # nothing was measured before the action to compare with
    TOO_MANY_SERIES = "too_many_series"  # more series than a baseline keeps
    WINDOW_OPEN = "window_open"  # its window still reaches back before the end of the action
    SERIES_GONE = "series_gone"  # what was measured before is gone
    TOO_OLD = "too_old"  # no sample came for twice as long as they used to take: old ones only live on
    TOO_FEW_SAMPLES = "too_few_samples"  # not enough samples since the end of the action yet
    NO_VALUE = "no_value"  # what is compared has no value
    NOT_A_NUMBER = "not_a_number"  # its value is NaN or infinite: no traffic, for example
    BLIP = "blip"  # fine over the window only because of single samples; not fine now
    APPEARED = "appeared"  # an input without data before the action has some now: the threshold may have moved
    NOT_SCRAPED = "not_scraped"  # the target was scraped since without giving the series, or could not be
    DISAGREE = "disagree"  # expression and value contradict each other
    SUPPRESSED = "suppressed"  # the part shares no label with the alert, so its silence proves nothing
    UNAVAILABLE = "unavailable"  # no usable answer


@dataclass(frozen=True, slots=True)
class Reading:
    """One question and what came back, in short."""

    query: str
    answer: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`value` is true, false or unknown; `newest` is the time of the newest raw sample met, if any."""

    value: str
    why: Why
    readings: tuple[Reading, ...] = ()
    newest: float | None = None
    bad: Mapping[str, float] = field(default_factory=dict)
    """While it is true: each compared quantity, by its query, whose value is bad and rests on fresh samples alone."""

    def to_json(self) -> dict[str, Any]:
        """Return what is kept as evidence."""
        readings = [{"query": reading.query, "answer": reading.answer} for reading in self.readings]
        return {"value": self.value, "why": self.why.value, "newest": self.newest, "readings": readings}


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one part of the formula."""

    truth: Truth
    why: Why


def joined(truth: Truth, findings: list[Finding]) -> Finding:
    """Given the joined value, return the finding that explains it: of several unknown ones, one that had a baseline."""
    same = [finding for finding in findings if finding.truth is truth]
    same.sort(key=lambda finding: finding.why is Why.NO_BASELINE)
    return Finding(truth, same[0].why)
