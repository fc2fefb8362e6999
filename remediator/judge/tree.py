"""Our own small tree of a PromQL expression, and the values that go in and out of the judge. No behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


class Group(StrEnum):
    """Which side of a vector match may have many elements."""

    NONE = ""
    LEFT = "group_left"
    RIGHT = "group_right"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label condition of a selector; `op` is one of = != =~ !~."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors are paired: `on (labels)` or `ignoring (labels)`, the group side and its included labels."""

    labels: tuple[str, ...] = ()
    on: bool = False
    group: Group = Group.NONE
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A literal string, as an argument of a function."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by name and label conditions, looked at `offset_ms` earlier."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A selector over the last `range_ms`."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """An expression evaluated every `step_ms` (None: the default interval) over the last `range_ms`."""

    inner: Node
    range_ms: int
    step_ms: int | None = None
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation; `by` is True for by, False for without, and no labels with by means one group."""

    op: str
    inner: Node
    labels: tuple[str, ...] = ()
    by: bool = True
    parameter: Node | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """An arithmetic, comparison or set operator between two sides."""

    op: str
    left: Node
    right: Node
    matching: Matching = Matching()
    returns_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negate:
    """A minus sign before an expression."""

    inner: Node


Node = Number | Text | Selector | Window | Subquery | Call | Aggregate | Binary | Negate


def children(node: Node) -> tuple[Node, ...]:
    """Given a node, return the nodes directly below it, from left to right."""
    match node:
        case Window(selector=selector):
            return (selector,)
        case Subquery(inner=inner) | Negate(inner=inner):
            return (inner,)
        case Call(arguments=arguments):
            return arguments
        case Aggregate(inner=inner, parameter=parameter):
            return (inner,) if parameter is None else (parameter, inner)
        case Binary(left=left, right=right):
            return (left, right)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Given a node, yield it and all below it, from the top, from left to right."""
    yield node
    for child in children(node):
        yield from walk(child)


def selectors(node: Node) -> tuple[Selector, ...]:
    """Given a node, return every selector in it, also those inside windows."""
    return tuple(found for found in walk(node) if isinstance(found, Selector))


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as Prometheus has it: an alert or a recording; times in seconds."""

    name: str
    expr: str
    labels: Mapping[str, str]
    interval_seconds: float = 0.0
    for_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an instant vector; the labels are without the metric's name."""

    labels: Mapping[str, str]
    value: float


Vector = tuple[Element, ...]
Ask = Callable[[str], Vector]
