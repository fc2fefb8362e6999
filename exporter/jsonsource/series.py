"""Samples by label values, kept up to date line by line or anew for each document; bounded in number."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from exporter.encode import Histogram
from exporter.jsonsource.model import Fault, Measure
from exporter.jsonsource.paths import Path, compile_path, is_true

Labels = tuple[str, ...]

_LONGEST_LABEL = 200

# JSON has numbers of any size; Prometheus would refuse the whole page for one that is no float
_LARGEST = 1e308


class FaultError(Exception):
    """A sample cannot be taken from what is there."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Series:
    """The samples of one measure."""

    def __init__(self, measure: Measure, most: int, *, is_log: bool) -> None:
        self.measure = measure
        self._most = most
        self._is_log = is_log
        self._labels = tuple(path for _, path in measure.labels)
        self._values: dict[Labels, float] = {}
        self._histograms: dict[Labels, tuple[list[int], list[float]]] = {}
        self._fresh: set[Labels] = set()
        self._keep: Callable[[Labels, float], None] = {
            "gauge": self._set,
            "counter": self._add if is_log and not measure.is_total else self._set,
            "histogram": self._observe,
        }[measure.kind]

    def begin(self) -> None:
        """Begin a new document: what is not in it any more is gone. Logs go on for ever."""
        if not self._is_log:
            self._values = {}
            self._fresh = set()

    def take(self, document: Any, faults: dict[Fault, int]) -> None:
        """Take the samples that a line or document has."""
        measure = self.measure
        if measure.select is None:
            self._take_one(document, faults)
            return
        try:
            selected = measure.select(document)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            faults[Fault.PATH] += 1
            return
        if isinstance(selected, list):
            for item in selected:
                self._take_one(item, faults)
        elif selected is not None:
            self._take_one(selected, faults)

    def values(self) -> dict[Labels, float]:
        """Return a copy of the values; of a histogram there are none."""
        return dict(self._values)

    def histograms(self) -> dict[Labels, Histogram]:
        """Return the histograms as they are now."""
        bounds = self.measure.buckets
        return {
            labels: Histogram(bounds, tuple(counts), total[0]) for labels, (counts, total) in self._histograms.items()
        }

    def _take_one(self, item: Any, faults: dict[Fault, int]) -> None:
        measure = self.measure
        try:
            value = 1 if measure.value is None else measure.value(item)
            if value is None:
                # it is not in every line, and need not be
                return
            if type(value) is not float and type(value) is not int:
                value = self._number(value)
            if measure.scale != 1:
                value = value * measure.scale
            labels = tuple([_label(path(item)) for path in self._labels]) if self._labels else ()
            if not -_LARGEST < value < _LARGEST:
                raise FaultError(Fault.VALUE)
            self._keep(labels, value)
        except FaultError as error:
            faults[error.fault] += 1
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            # what the library raises for an expression that does not fit
            faults[Fault.PATH] += 1

    def _number(self, value: Any) -> float:
        if isinstance(value, bool):
            return int(value)
        found = self.measure.values.get(value) if isinstance(value, str) else None
        if found is None:
            raise FaultError(Fault.VALUE)
        return found

    def _set(self, labels: Labels, value: float) -> None:
        if labels not in self._values:
            self._make_room(len(self._values))
        elif not self._is_log:
            raise FaultError(Fault.TWICE)
        self._values[labels] = value

    def _add(self, labels: Labels, value: float) -> None:
        if value < 0:
            raise FaultError(Fault.VALUE)
        known = self._values.get(labels)
        if known is None:
            self._make_room(len(self._values))
            known = 0
        total = known + value
        if total > _LARGEST:
            raise FaultError(Fault.VALUE)
        self._values[labels] = total

    def _observe(self, labels: Labels, value: float) -> None:
        kept = self._histograms.get(labels)
        if kept is None:
            self._make_room(len(self._histograms))
            kept = self._histograms[labels] = ([0] * (len(self.measure.buckets) + 1), [0.0])
        counts, total = kept
        counts[bisect_left(self.measure.buckets, value)] += 1
        total[0] += value

    def _make_room(self, used: int) -> None:
        if used >= self._most:
            raise FaultError(Fault.SERIES)


class Table:
    """All series of one source."""

    def __init__(self, measures: Sequence[Measure], most: int, *, is_log: bool) -> None:
        self.series = [Series(measure, most, is_log=is_log) for measure in measures]
        self.faults = dict.fromkeys(Fault, 0)
        # what has the same condition stands together, so that it is asked once
        groups: dict[str | None, list[Callable[[Any, dict[Fault, int]], None]]] = {}
        for series in self.series:
            groups.setdefault(series.measure.where, []).append(series.take)
        self._groups: list[tuple[Path | None, list[Callable[[Any, dict[Fault, int]], None]]]] = [
            (compile_path(where) if where is not None else None, takers) for where, takers in groups.items()
        ]

    def begin(self) -> None:
        """Begin a new document."""
        for series in self.series:
            series.begin()

    def take(self, document: Any) -> None:
        """Take what one line or document has."""
        faults = self.faults
        for where, takers in self._groups:
            if where is not None:
                try:
                    wanted = is_true(where(document))
                except (ValueError, TypeError, ArithmeticError, RecursionError):
                    faults[Fault.PATH] += 1
                    continue
                if not wanted:
                    continue
            for take in takers:
                take(document, faults)


def _label(value: Any) -> str:
    if type(value) is str:
        text = value
    elif value is None:
        # to Prometheus an empty label and none are the same
        return ""
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, (int, float)):
        text = repr(value)
    else:
        raise FaultError(Fault.LABEL)
    if len(text) > _LONGEST_LABEL:
        raise FaultError(Fault.LABEL)
    # what the page cannot show is replaced here, or two labels could become equal there
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
