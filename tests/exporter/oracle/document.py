"""Writes docs/reference/compatibility.md from the tables and the trees: `python -m tests.exporter.oracle.document`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from exporter.collectors import COLLECTORS
from selfheal.common.shipped import shipped
from selfheal.stack.oracles import NEWER, OLDER
from tests.exporter.oracle.shared import common
from tests.exporter.oracle.table import DIFFERENCES, NODE, NOT_OURS, PROCESS, Difference, Way
from tests.exporter.oracle.versions import changes
from tests.exporter.reference import table

PAGE = shipped("docs", "reference", "compatibility.md")

_HEAD = f"""# Compatibility

<!-- written by `python -m tests.exporter.oracle.document`; a test compares it -->

Dashboards and rules that were written for node_exporter and process-exporter work with ours. That is tested against the
programs themselves: node_exporter {NEWER[NODE]} and process-exporter {NEWER[PROCESS]} as Debian 13 packages them, which
`make oracles` unpacks without root.

- On a live host ours is asked between two pages of theirs: families, series, labels and types are the same, every value
  lies between their two, and a counter does so at every look.
- On captured and written trees of `/proc`, `/sys` and `/`, with hardware that the host has not, every value is equal.
- Every series that node-mixin's rules, alerts and dashboards for Linux read is there.
- Every family of node_exporter's default page, every collector and every flag of what both have is in ours, or below.

All that differs on purpose:
"""

_WAYS = {
    Way.MISSING: "only theirs",
    Way.ADDED: "only ours",
    Way.SERIES: "other series",
    Way.VALUES: "other values",
    Way.MOMENT: "other values at times",
    Way.DEFAULT: "by default",
    Way.FLAG: "flag only theirs",
}


def page() -> str:
    """Return the whole page. Both versions of both incumbents are asked for it."""
    parts = [_HEAD]
    for exporter in (NODE, PROCESS):
        rows = [
            (_named(each), _WAYS[each.way] + (", on a live host" if each.live else ""), each.reason)
            for each in DIFFERENCES
            if each.exporter == exporter
        ]
        parts.append(f"## {exporter}: what differs\n\n" + table(("names", "how", "reason"), rows))
    rows = [
        (state, _listed(name for name in common() if COLLECTORS[name].enabled == is_on))
        for state, is_on in (("on", True), ("off", False))
    ]
    parts.append("## Collectors of node_exporter that ours has\n\n" + table(("by default", "collectors"), rows))
    parts.append(
        "## Collectors of node_exporter that ours has not\n\n"
        + table(("collectors", "reason"), [(_listed(names), reason) for reason, names in _by_reason().items()])
    )
    for exporter in (NODE, PROCESS):
        parts.append(_versions(exporter))
    return "\n".join(parts)


def _named(difference: Difference) -> str:
    where = f"{{{difference.where}}}" if difference.where else ""
    return f"`{difference.names}{where}`"


def _by_reason() -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in NOT_OURS.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _versions(exporter: str) -> str:
    older, newer = OLDER[exporter], NEWER[exporter]
    head = f"## {exporter} {older} and {newer}\n\n"
    found = changes(exporter)
    if not found:
        return head + f"Of the same trees {older} (Debian 12) and {newer} tell the same families, types and labels.\n"
    rows = [(f"`{name}`", f"`{what}`" if "→" in what else what) for name, what in found]
    text = f"What {older} (Debian 12) tells otherwise of the same trees; ours follows {newer}.\n\n"
    return head + text + table(("family", "difference"), rows)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE}\n")
