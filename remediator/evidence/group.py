"""What Prometheus says of the group that a blast radius is about: how many targets it scrapes there, and the quorum."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.errors import SourceUnavailable
from remediator.evidence.prometheus import Prometheus
from remediator.judge.printer import quote
from remediator.model import BlastRadius, Group


def ask(prometheus: Prometheus, radius: BlastRadius, labels: Mapping[str, str]) -> Group:
    """Given a blast radius and the group's labels as series of this Prometheus have them, ask now.

    Raise SourceUnavailable if it gives no usable answer.
    """
    size = None if radius.percent is None else _size(prometheus, labels)
    quorum = None if radius.quorum is None else bool(prometheus.query(radius.quorum))
    return Group(size, quorum)


def _size(prometheus: Prometheus, labels: Mapping[str, str]) -> int:
    """Count the targets, healthy or not: one that is down belongs to its group as well."""
    matchers = ",".join(f"{label}={quote(value)}" for label, value in sorted(labels.items()))
    found = prometheus.query(f"count(up{{{matchers}}})")
    if len(found) > 1:
        raise SourceUnavailable("prometheus", "count() returned several elements")
    return int(found[0].value) if found else 0
