"""Why an expression is not judged, in the words an operator reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from remediator.judge.printer import show
from remediator.judge.tree import Node

REMEDY = "declare `healthy:` in the playbook"


class RefusalReason(StrEnum):
    """Why an expression cannot be judged."""

    UNREADABLE = "unreadable"  # not PromQL that we can read
    PRESENCE = "presence"  # fires because something exists; nothing is compared
    NOTHING_MEASURED = "nothing_measured"  # compares constants
    SILENT = "silent"  # asks which alerts are on: an alert that is silent is no proof
    BOOL = "bool"  # a bool comparison is never empty, so it never says "not any more"
    NESTED = "nested"  # a comparison inside a comparison
    BAND = "band"  # what is worse would look healthy
    UNRELATED = "unrelated"  # `and` of things that do not measure the same fault
    MIXED = "mixed"  # an `or` inside an `and`
    SET_IN_VALUE = "set_in_value"  # and, unless, or an `or` in what is compared
    INCLUDE = "include"  # group_left or group_right copies labels from the other side
    FUNCTION = "function"  # a function whose behaviour here is not known well enough
    AGGREGATION = "aggregation"  # an aggregation that looks healthy when others are worse
    OFFSET = "offset"  # compared with its own past or future
    SUBQUERY = "subquery"  # an expression over time
    LOOP = "loop"  # a recorded rule that is made from itself
    RECORDED = "recorded"  # a recorded input that cannot be followed to its raw series
    ALWAYS = "always"  # a `healthy:` that returns something whatever happens
    LOSES_INSTANCE = "loses_instance"  # a `healthy:` whose result no longer says of which instance it is


_TEXTS: Mapping[RefusalReason, str] = {
    RefusalReason.UNREADABLE: "{part}",
    RefusalReason.PRESENCE: "it fires because `{part}` exists, nothing is compared",
    RefusalReason.NOTHING_MEASURED: "`{part}` compares no series",
    RefusalReason.SILENT: "`{part}` tells which alerts are on, and one that is silent is no proof",
    RefusalReason.BOOL: "`{part}` is a bool comparison, which always returns something",
    RefusalReason.NESTED: "`{part}` is a comparison inside a comparison",
    RefusalReason.BAND: "`{part}` is a band: what is worse would look healthy",
    RefusalReason.UNRELATED: "`{part}` does not measure the same fault as what stands before its `and`",
    RefusalReason.MIXED: "`{part}` is an `or` inside an `and`",
    RefusalReason.SET_IN_VALUE: "`{part}` stands in what is compared; only a threshold on the right may hold `or`",
    RefusalReason.INCLUDE: "`{part}` copies labels from its other side",
    RefusalReason.FUNCTION: "function `{part}` is not among those that can be judged",
    RefusalReason.AGGREGATION: "aggregation `{part}` is not among those that can be judged",
    RefusalReason.OFFSET: "`{part}` is compared at another time",
    RefusalReason.SUBQUERY: "`{part}` is a subquery",
    RefusalReason.LOOP: "recorded rule `{part}` is made from itself, or from too many others",
    RefusalReason.RECORDED: "recorded rule {part}",
    RefusalReason.ALWAYS: "`{part}` returns something whatever happens",
    RefusalReason.LOSES_INSTANCE: "`{part}` drops the label instance, so another host could answer for this one",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an expression is not judged, and by which part of it."""

    reason: RefusalReason
    part: str
    remedy: str = REMEDY

    def __str__(self) -> str:
        return f"{_TEXTS[self.reason].format(part=self.part)}; {self.remedy}"


class Refused(Exception):
    """Carries a refusal up from the part that causes it."""

    def __init__(self, reason: RefusalReason, node: Node | str) -> None:
        part = node if isinstance(node, str) else show(node)
        self.refusal = Refusal(reason, part if len(part) <= 200 else part[:197] + "…")
