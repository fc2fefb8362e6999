"""What differs between two exporters' pages, as lines for people; what is meant to differ is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import NamedTuple

import pytest

from tests.exporter.oracle.pages import Family, Page, Series, spell
from tests.exporter.oracle.table import DIFFERENCES, Way

# of one family this many series are shown
_SHOWN = 6


class Look(NamedTuple):
    """Ours between two looks at the oracle, which tell what moved meanwhile."""

    exporter: str
    before: Page
    ours: Page
    after: Page
    live: bool = False

    def allows(self, name: str, way: Way, series: Series | None = None, gap: float = 0.0) -> bool:
        """Say whether the table has a reason for such a difference: of a family, or of one series and its value."""
        spelled = spell(series) if series else ""
        return any(
            each.covers(self.exporter, name, way, spelled) and (self.live or not each.live) and gap <= each.within
            for each in DIFFERENCES
        )


class Finding(NamedTuple):
    """One difference: what it is about, how it is told, and whether once is enough."""

    about: str
    text: str
    once: bool = False


def differences(look: Look) -> list[str]:
    """Given a look, return every difference that has no reason in the table, as lines."""
    return [finding.text for finding in findings(look)]


def expect_none(found: Collection[str]) -> None:
    """Fail with these lines, if there are any."""
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def lasting(looks: Callable[[], Look], most: int) -> list[str]:
    """Look until every difference was absent once, at most so often; return those that were there at every look.

    On a live host something always moves back and forth while three pages are read; what is right is soon seen so.
    Only a counter must lie between at every look.
    """
    left: dict[str, str] | None = None
    wrong: dict[str, str] = {}
    for _ in range(most):
        found = findings(looks())
        wrong |= {about: text for about, text, once in found if once}
        left = {about: text for about, text, _ in found if left is None or about in left}
        if not left:
            break
    return list(((left or {}) | wrong).values())


def findings(look: Look) -> list[Finding]:
    """Given a look, return every difference that has no reason in the table."""
    names = sorted(look.before.keys() | look.after.keys() | look.ours.keys())
    return [finding for name in names for finding in _of_family(look, name)]


def _of_family(look: Look, name: str) -> list[Finding]:
    before, after, ours = look.before.get(name), look.after.get(name), look.ours.get(name)
    theirs = before or after
    if theirs is None:
        if ours is None or look.allows(name, Way.ADDED):
            return []
        return [Finding(name, f"{name}: ours has it, {look.exporter} has not: {_spelled(ours.samples)}")]
    if before is None or after is None:
        return []
    if ours is None:
        if look.allows(name, Way.MISSING):
            return []
        return [Finding(name, f"{name}: {look.exporter} has it, ours has not: {_spelled(before.samples)}")]
    found = []
    if before.kind != ours.kind:
        found.append(Finding(f"{name} type", f"{name}: {look.exporter} says {before.kind}, ours {ours.kind}"))
    return [*found, *_of_series(look, before, ours, after), *_of_values(look, before, ours, after)]


def _of_series(look: Look, before: Family, ours: Family, after: Family) -> list[Finding]:
    lost = (before.samples.keys() & after.samples.keys()) - ours.samples.keys()
    added = ours.samples.keys() - (before.samples.keys() | after.samples.keys())
    found = []
    for word, who, samples in (("lost", look.exporter, lost), ("added", "ours", added)):
        without = [series for series in samples if not look.allows(ours.name, Way.SERIES, series)]
        if without:
            found.append(Finding(f"{ours.name} {word}", f"{ours.name}: only {who} has {_spelled(without)}"))
    return found


def _of_values(look: Look, before: Family, ours: Family, after: Family) -> list[Finding]:
    found = []
    for series in sorted(before.samples.keys() & ours.samples.keys() & after.samples.keys()):
        first, value, last = before.samples[series], ours.samples[series], after.samples[series]
        gap = min(abs(value - first), abs(value - last)) / (abs(last) or 1.0)
        if not lies_between(first, value, last) and not look.allows(ours.name, Way.VALUES, series, gap):
            right = f"{first!r}" if first == last else f"{first!r} and then {last!r}"
            text = f"{spell(series)}: {value!r}, where {right} is right"
            found.append(Finding(spell(series), text, once=ours.kind == "counter" and not _steps_back(series)))
    return found


def _steps_back(series: Series) -> bool:
    # the kernel corrects these, and which of two readers holds them for how long is no matter
    return series[0] == "node_cpu_seconds_total" and dict(series[1])["mode"] in ("idle", "iowait")


def lies_between(before: float, value: float, after: float) -> bool:
    """Say whether a value may have been true between two others; where nothing moved it must be equal."""
    if math.isnan(before) or math.isnan(after):
        return math.isnan(value)
    return min(before, after) <= value <= max(before, after)


def _spelled(samples: Collection[Series]) -> str:
    shown = sorted(samples)[:_SHOWN]
    more = f" and {len(samples) - len(shown)} more" if len(samples) > len(shown) else ""
    return "; ".join(spell(series) for series in shown) + more
