"""Families whose names are the kernel's own words: one metric for each field of a file, learnt from that file."""

from __future__ import annotations

from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.layout import Layout


def field_reader(file: KeptFile, layout: Layout, make: Callable[[str], Metric]) -> Callable[[], list[Family]]:
    """Given a file, the layout of its numbers and what makes the metric of a field, return the function that reads it.

    That function raises OSError or ValueError if the file cannot be read or is broken.
    """
    known: dict[str, Metric] = {}
    names: tuple[str, ...] = ()
    before: list[int] = []
    families: list[Family] = []

    def collect() -> list[Family]:
        nonlocal names, before, families
        numbers = layout.read(file.read())
        if layout.names is names:
            # many fields stay what they are from scrape to scrape
            rows = zip(families, numbers, before, strict=True)
            families = [family if now == then else family.metric.only(now) for family, now, then in rows]
        else:
            names = layout.names
            metrics = [known[field] if field in known else known.setdefault(field, make(field)) for field in names]
            families = [metric.only(number) for metric, number in zip(metrics, numbers, strict=True)]
        before = numbers
        # the caller may do with its list what it likes
        return families.copy()

    return collect
