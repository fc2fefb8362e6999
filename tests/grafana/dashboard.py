"""The committed dashboard, its queries, and what Grafana puts into them before it asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser

from grafana.build import FILE

Json = dict[str, Any]

DASHBOARD: Json = json.loads(FILE.read_text("utf-8"))
PANELS: list[Json] = DASHBOARD["panels"]
VARIABLES: list[Json] = DASHBOARD["templating"]["list"]
MARKS: list[Json] = DASHBOARD["annotations"]["list"]

ALL = ".+"


@dataclass(frozen=True)
class Choice:
    """What a person has chosen at the top, and how often Prometheus scrapes."""

    range: int = 6 * 3600
    scrape: int = 15
    instances: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()

    @property
    def interval(self) -> int:
        """The step that Grafana takes for a panel of 1000 points."""
        return max(self.range // 1000, self.scrape)


def expand(expression: str, choice: Choice) -> str:
    """Put the variables in as Grafana does."""
    values = {
        "__rate_interval": f"{max(choice.interval + choice.scrape, 4 * choice.scrape)}s",
        "__interval_ms": str(choice.interval * 1000),
        "__interval": f"{choice.interval}s",
        "__range_s": str(choice.range),
        "__range": f"{choice.range}s",
        "instance": _several(choice.instances),
        "job": _several(choice.jobs),
    }
    return re.sub(r"\$(\w+)", lambda found: values[found.group(1)], expression)


def _several(chosen: tuple[str, ...]) -> str:
    if not chosen:
        return ALL
    escaped = [re.sub(r"([.\-\\^$*+?()\[\]{}|])", r"\\\\\1", value) for value in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def targets() -> Iterator[tuple[Json, int, Json]]:
    """Return every panel with the number and content of each of its queries."""
    for panel in PANELS:
        for number, target in enumerate(panel["targets"]):
            yield panel, number, target


def nodes(expression: str) -> list[Any]:
    """Return every node of an expression that has its variables in place."""
    found: list[Any] = []
    waiting: list[Any] = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        found.append(node)
        for name in ("lhs", "rhs", "expr", "args", "vector_selector", "param"):
            child = getattr(node, name, None)
            waiting += child if isinstance(child, list) else [child] if child is not None else []
    return found


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Return the selectors of an expression."""
    return [node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector)]


def matchers(selector: promql_parser.VectorSelector) -> Mapping[str, tuple[str, str]]:
    """Return label → (operator, value) of a selector."""
    return {
        matcher.name: (str(matcher.op).removeprefix("MatchOp."), str(matcher.value))
        for matcher in selector.matchers.matchers
    }


def queries() -> Iterator[str]:
    """Return every query of the dashboard: panels, marks and variables, as it is written."""
    for _, _, target in targets():
        yield target["expr"]
    for mark in MARKS:
        yield mark["expr"]
    for variable in VARIABLES[1:]:
        yield label_values(variable)[0]


def label_values(variable: Json) -> tuple[str, str]:
    """Return the selector and the label that fill a variable."""
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    assert found is not None, variable
    return found.group(1), found.group(2)


def metric_names() -> set[str]:
    """Return every series name that the dashboard asks for."""
    return {str(selector.name) for query in queries() for selector in selectors(expand(query, Choice()))}
