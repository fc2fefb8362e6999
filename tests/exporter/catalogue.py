"""Every metric that the exporter can export, found in its code and, where the kernel gives the names, in the trees."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import ModuleType

import exporter
from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import Family, Metric
from exporter.paths import Paths
from exporter.portable import PORTABLE
from exporter.settings import IncompleteError, NoDataError, Settings
from selfheal.common.clock import ManualClock
from tests.exporter.oracle.shared import common
from tests.exporter.oracle.trees import TREES, Tree

ITSELF = "exporter"
"""Instead of a collector: what the exporter tells of itself, or several collectors tell of themselves."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One metric as the reference tells it."""

    collector: str
    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


@cache
def entries() -> tuple[Entry, ...]:
    """Return every metric, by collector and name; one that two collectors have is the exporter's own."""
    owners: dict[str, set[str]] = defaultdict(set)
    metrics: dict[str, Metric] = {}
    for collector, metric in (*_in_code(), *_on_trees()):
        owners[metric.name].add(collector)
        metrics[metric.name] = metric
    return tuple(
        sorted(_entry(collectors.pop() if len(collectors) == 1 else ITSELF, metrics[name])
               for name, collectors in owners.items())
    )  # fmt: skip


def _entry(collector: str, metric: Metric) -> Entry:
    meaning = metric.header.splitlines()[0].split(" ", 3)[3]
    return Entry(collector, metric.name, metric.kind, metric.labels, meaning)


def _in_code() -> Iterator[tuple[str, Metric]]:
    owners = _owners()
    for name in _modules():
        for metric in _held(vars(importlib.import_module(name))):
            yield owners.get(name, ITSELF), metric


def _on_trees() -> Iterator[tuple[str, Metric]]:
    """What collectors tell of the trees: some names are the kernel's and stand nowhere in the code."""
    for tree in TREES.values():
        # what stands in text files is their writers'
        for name in {*common(), "process"} - {"textfile"}:
            for family in _families(name, tree):
                yield name, family.metric


def _families(name: str, tree: Tree) -> list[Family]:
    flags = make_parser().parse_args(tree.our_flags())
    collect = COLLECTORS[name].create(Settings(Paths(tree.proc, tree.sys, tree.root), ManualClock(), flags))
    try:
        return list(collect())
    except IncompleteError as error:
        return error.families
    except (NoDataError, OSError, ValueError):
        return []
    finally:
        close = getattr(collect, "close", None)
        if close is not None:
            close()


def _modules() -> list[str]:
    found = pkgutil.walk_packages(exporter.__path__, "exporter.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def _held(value: object, depth: int = 4) -> Iterator[Metric]:
    """Return the metrics that a module holds, in whatever containers."""
    if isinstance(value, Metric):
        yield value
    elif depth == 0 or isinstance(value, (str, bytes, ModuleType, type)):
        return
    elif isinstance(value, Mapping):
        for part in (*value.keys(), *value.values()):
            yield from _held(part, depth - 1)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for part in value:
            yield from _held(part, depth - 1)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _held(getattr(value, each.name, None), depth - 1)


def _owners() -> dict[str, str]:
    """Return the collector that alone reaches a module by its imports, for the modules that have one."""
    reached: dict[str, set[str]] = defaultdict(set)
    for name, collector in COLLECTORS.items():
        for module in _closure(collector.__name__):  # type: ignore[attr-defined]
            reached[module].add(name)
    # the other engine's have the same names
    for name, create in PORTABLE.items():
        for module in _closure(create.__module__):
            reached[module].add(name)
    return {module: next(iter(names)) for module, names in reached.items() if len(names) == 1}


def _closure(module: str) -> set[str]:
    seen: set[str] = set()
    left = [module]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += _imports(name)
    return seen


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules of the exporter that one imports, at once or later."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    known = set(_modules())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return tuple(sorted(name for name in found & known if name != "exporter.collectors"))
