"""Reads a recording from webhook deliveries as Alertmanager sent them, one JSON object a line, in any order.

Each alert of a delivery tells when it began, and a resolved one when it ended: that is all that is used.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from remediator.model import Alert, identified
from remediator.replay.problems import NotReadable, at_line
from remediator.replay.recording import Period, Recording, Series, Source, joined
from selfheal.common.clock import from_rfc3339

REMEDY = "write each delivery on one line, as Alertmanager sent it (jq -c . does so)"


class Delivered(Protocol):
    """What a delivery was understood as."""

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that can be read."""
        ...

    @property
    def truncated(self) -> int:
        """How many alerts Alertmanager left out."""
        ...


Labels = tuple[tuple[str, str], ...]
Parse = Callable[[bytes], Delivered]
"""Given a body, return what it delivers. Raises ValueError with what is wrong."""


@dataclass(slots=True)
class _Known:
    """What all deliveries said of one alert."""

    alert: Alert
    told: dict[Labels, dict[float, float | None]] = field(default_factory=dict)
    """By replica, and then by when it began for that one: when it ended, as far as anybody said."""


def read(name: str, lines: Iterable[str], parse: Parse, ignored: Collection[str]) -> Recording:
    """Given a file's name and lines and the reader of one body, return the recording; `ignored` labels tell replicas.

    Raise NotReadable naming the line and the remedy.
    """
    known: dict[str, _Known] = {}
    malformed = truncated = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            unread, left_out = _delivery(known, name, number, line, parse, ignored)
            malformed += unread
            truncated += left_out
    series = tuple(
        Series(each.alert.labels, periods, each.alert.annotations, each.alert.generator_url)
        for each in sorted(known.values(), key=lambda each: sorted(each.alert.labels.items()))
        if (periods := _periods(each.told.values()))
    )
    if not series:
        raise NotReadable(f"{name}: holds no alert that can be read; {REMEDY}")
    moments = [at for each in series for one in each.periods for at in (one.begin, one.end) if at is not None]
    return Recording(Source.DELIVERIES, min(moments), max(moments), series, malformed=malformed, truncated=truncated)


def _delivery(
    known: dict[str, _Known], name: str, number: int, line: str, parse: Parse, ignored: Collection[str]
) -> tuple[int, bool]:
    """Take in one line; return how many of its alerts could not be read, and whether some were left out of it."""
    try:
        document = json.loads(line)
        whole = parse(line.encode())
    except (ValueError, RecursionError) as error:
        raise at_line(name, number, f"is no delivery: {error}", REMEDY) from error
    malformed = 0
    for entry in document["alerts"]:
        # one at a time, because what cannot be read is left out of what is returned
        for alert in parse(json.dumps({"alerts": [entry]}).encode()).alerts:
            _take(known, identified(alert, ignored), _end(entry, name, number))
            break
        else:
            malformed += 1
    return malformed, whole.truncated > 0


def _take(known: dict[str, _Known], alert: Alert, end: float | None) -> None:
    found = known.setdefault(alert.fingerprint, _Known(alert))
    found.alert = alert
    ends = found.told.setdefault(tuple(sorted(alert.labels.items())), {})
    before = ends.get(alert.starts_at)
    # told again as firing: that it ended was said already, or will be; of several ends the last is the end
    ends[alert.starts_at] = before if end is None else max(end, before or end)


def _end(entry: Mapping[str, Any], name: str, number: int) -> float | None:
    """Return when a resolved alert ended; None for one that fires: what it says then is only a time limit."""
    if entry.get("status") != "resolved":
        return None
    said = entry.get("endsAt")
    try:
        return from_rfc3339(str(said))
    except (ValueError, OverflowError) as error:
        what = f"a resolved alert has the endsAt {str(said)[:40]!r}"
        raise at_line(name, number, what, "it must be an RFC 3339 time, as Alertmanager writes it") from error


def _periods(told: Collection[Mapping[float, float | None]]) -> tuple[Period, ...]:
    """Given what each replica told, return when it was on for any."""
    known = sorted(end for each in told for end in each.values() if end is not None)
    return tuple(joined(period for each in told for period in _of_one(each, known)))


def _of_one(ends: Mapping[float, float | None], known: Sequence[float]) -> Iterator[Period]:
    """Given each beginning with its end, and every end that is known, yield periods apart from each other.

    Where its own end was never told, another replica's is taken; without any it was on until it began anew.
    """
    begins = sorted(ends)
    for begin, following in zip(begins, [*begins[1:], None], strict=True):
        end = ends[begin]
        if end is None:
            end = next(iter(known[bisect_right(known, begin) :]), None)
        if following is not None and (end is None or end > following):
            end = following
        if end is None or end > begin:
            yield Period(begin, end)
