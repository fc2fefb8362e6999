"""What the older versions of the incumbents tell otherwise than the newer ones, of the same trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from selfheal.stack.oracles import NEWER, OLDER
from tests.exporter.oracle.pages import label_names, parse
from tests.exporter.oracle.running import node_exporter, process_exporter, running
from tests.exporter.oracle.shared import OFF, common
from tests.exporter.oracle.table import NODE
from tests.exporter.oracle.trees import GROUPED, TREES


@dataclass(slots=True)
class Shape:
    """What one version says of a family: its type, and every label of its series."""

    kind: str
    labels: set[str] = field(default_factory=set)


def changes(exporter: str) -> list[tuple[str, str]]:
    """Given one of the incumbents, return each family that its two versions tell differently, and how."""
    older, newer = _shapes(exporter, OLDER[exporter]), _shapes(exporter, NEWER[exporter])
    found = []
    for name in sorted(older.keys() | newer.keys()):
        if name not in older:
            found.append((name, f"only {NEWER[exporter]}"))
        elif name not in newer:
            found.append((name, f"only {OLDER[exporter]}"))
        elif older[name] != newer[name]:
            found.append((name, f"{_spelled(older[name])} → {_spelled(newer[name])}"))
    return found


def _shapes(exporter: str, version: str) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for text in texts(exporter, version):
        for name, family in parse(text).items():
            if name.startswith(("node_", "namedprocess_")):
                shapes.setdefault(name, Shape(family.kind)).labels |= label_names(family)
    return shapes


@cache
def texts(exporter: str, version: str) -> tuple[str, ...]:
    """Given an incumbent and its version, return its page of every tree."""
    return tuple(_node_pages(version) if exporter == NODE else _process_pages(version))


def _node_pages(version: str) -> Iterator[str]:
    switches = [f"--collector.{name}" for name in common() if name in OFF]
    for tree in TREES.values():
        known = [flag for flag in tree.flags() if version == NEWER[NODE] or not flag.startswith(_NEWER_FLAGS)]
        with running(node_exporter(version, *known, *switches)) as oracle:
            yield oracle.text(*(name for name in common() if tree.suits(name)))


# flags that 1.5.0 has not
_NEWER_FLAGS = ("--no-collector.arp.netlink", "--path.udev.data")


def _process_pages(version: str) -> Iterator[str]:
    for tree in GROUPED.values():
        with running(process_exporter(version, *tree.process_flags())) as oracle:
            yield oracle.text()


def _spelled(shape: Shape) -> str:
    return f"{shape.kind}{{{', '.join(sorted(shape.labels))}}}"
