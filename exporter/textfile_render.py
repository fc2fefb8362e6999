"""Renders the families that were read from files as lines, as node_exporter would: sorted bounds, no label missing."""

from __future__ import annotations

import math

from exporter.encode import Metric, format_value
from exporter.textfile_read import TextFamily, TextSample

Labels = tuple[tuple[str, str], ...]


def render_family(family: TextFamily) -> dict[Labels, str]:
    """Given a family, return its rendered lines by series; all lines of a histogram or a summary are one entry.

    A label that only some of the samples have is empty in the others. Of samples with equal labels the first counts.
    Raise ValueError if a count is none.
    """
    names = tuple(sorted({name for sample in family.samples for name in sample.labels}))
    series: dict[Labels, list[TextSample]] = {}
    for sample in family.samples:
        series.setdefault(tuple((name, sample.labels.get(name, "")) for name in names), []).append(sample)
    render = {"histogram": _histogram, "summary": _summary}.get(family.kind or "", _plain)
    return {labels: render(family.name, labels, samples) for labels, samples in series.items()}


def _plain(name: str, labels: Labels, samples: list[TextSample]) -> str:
    return _line(name, labels, format_value(samples[0].value))


def _histogram(name: str, labels: Labels, samples: list[TextSample]) -> str:
    count = _whole(_first(samples, "_count"))
    steps = {bound: _whole(value) for bound, value in _steps(samples, "_bucket").items()}
    # the last bucket may be left out in a file, for it holds what was counted
    steps.setdefault(math.inf, count)
    buckets = [_line(f"{name}_bucket", (*labels, ("le", spell(at))), str(steps[at])) for at in sorted(steps)]
    return "".join(buckets) + _totals(name, labels, samples, count)


def _summary(name: str, labels: Labels, samples: list[TextSample]) -> str:
    steps = _steps(samples, "")
    parts = [_line(name, (*labels, ("quantile", spell(at))), format_value(steps[at])) for at in sorted(steps)]
    return "".join(parts) + _totals(name, labels, samples, _whole(_first(samples, "_count")))


def _totals(name: str, labels: Labels, samples: list[TextSample], count: int) -> str:
    total = _line(f"{name}_sum", labels, format_value(_first(samples, "_sum")))
    return total + _line(f"{name}_count", labels, str(count))


def _line(name: str, labels: Labels, value: str) -> str:
    metric = Metric(name, "untyped", "", tuple(label for label, _ in labels))
    return f"{metric.prefix(tuple(text for _, text in labels))}{value}\n"


def _whole(count: float) -> int:
    if not math.isfinite(count):
        raise ValueError(f"no count: {format_value(count)}")
    return int(count)


def _first(samples: list[TextSample], part: str) -> float:
    return next((sample.value for sample in samples if sample.part == part), 0)


def _steps(samples: list[TextSample], part: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for sample in samples:
        if sample.part == part and sample.bound is not None:
            found.setdefault(sample.bound, sample.value)
    return found


def spell(value: float) -> str:
    """Given a bound, return it as Go prints it, which is how node_exporter spells `le` and `quantile`."""
    if not math.isfinite(value):
        return format_value(value)
    text = repr(value).removesuffix(".0")
    if "e" in text or abs(value) < 1_000_000:
        return text
    whole = text.lstrip("-").partition(".")[0]
    digits = text.lstrip("-").replace(".", "").rstrip("0")
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{'-' if value < 0 else ''}{mantissa}e+{len(whole) - 1:02d}"
