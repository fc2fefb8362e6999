"""What Prometheus had of a group, and of all instances, at the time that is replayed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from remediator.errors import SourceUnavailable
from remediator.evidence.prometheus import Prometheus
from remediator.judge import Vector
from remediator.judge.printer import quote
from remediator.model import BlastRadius, Group
from remediator.replay.problems import NotReadable
from remediator.replay.stage import Setting

MINUTE = 60.0
"""Seconds for which one answer is taken: groups seldom change, and there are many questions."""
_UP = "count(max by (instance) (max_over_time(up[1h])) > 0)"


def asks(setting: Setting) -> bool:
    """Say whether anything depends on a group: then answers change with time."""
    return any(each.limits.blast_radius is not None for each in setting.playbooks)


class AskedThen:
    """Asks Prometheus with `time=`; where it has nothing of that time, what the recording holds is taken."""

    def __init__(self, prometheus: Prometheus, ignored: Collection[str], instances: int) -> None:
        """`ignored` labels are left out of questions; `instances` are those that the recording knows."""
        self._prometheus = prometheus
        self._ignored = frozenset(ignored)
        self._least = instances
        self._kept: dict[tuple[str, int], Vector] = {}

    def group(self, radius: BlastRadius, labels: Mapping[str, str], at: float) -> Group:
        """Return the group's size and quorum as they were. Raise NotReadable if Prometheus does not answer."""
        size = None
        if radius.percent is not None:
            own = [(label, labels[label]) for label in sorted(radius.by) if label not in self._ignored]
            found = self._ask(f"count(up{{{','.join(f'{label}={quote(value)}' for label, value in own)}}})", at)
            size = int(found[0].value) if found else 0
        return Group(size, None if radius.quorum is None else bool(self._ask(radius.quorum, at)))

    def up(self, at: float) -> int:
        """Return how many instances were up within the hour before; those of the recording where none is known."""
        found = self._ask(_UP, at)
        return int(found[0].value) if found else self._least

    def _ask(self, expression: str, at: float) -> Vector:
        key = (expression, math.floor(at / MINUTE))
        if key not in self._kept:
            try:
                self._kept[key] = self._prometheus.query(expression, at)
            except SourceUnavailable as error:
                raise NotReadable(f"{error.detail}; replay again when Prometheus answers, or from a file") from error
        return self._kept[key]
