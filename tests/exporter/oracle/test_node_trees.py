"""node_exporter and ours on the same captured and written trees: the values are equal, not near."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from selfheal.stack.oracles import NEWER
from tests.exporter.oracle.compare import Look, differences, expect_none
from tests.exporter.oracle.running import Exporter, node_exporter, ours, running
from tests.exporter.oracle.shared import common, of_the_host
from tests.exporter.oracle.table import NODE
from tests.exporter.oracle.trees import TREES

VERSION = NEWER[NODE]


@pytest.fixture(scope="module")
def pairs() -> Iterator[dict[str, tuple[Exporter, Exporter]]]:
    """Both exporters on each tree, with every collector that both have."""
    switches = [f"--collector.{name}" for name in common()]
    with ExitStack() as stack:
        yield {
            name: (
                stack.enter_context(running(node_exporter(VERSION, *tree.flags(), *switches))),
                stack.enter_context(running(ours(*tree.our_flags(), *switches))),
            )
            for name, tree in TREES.items()
        }


@pytest.mark.parametrize(
    ("tree", "collector"), [(name, each) for name, tree in TREES.items() for each in common() if tree.suits(each)]
)
def test_a_collector_tells_the_same_of_a_tree(
    pairs: dict[str, tuple[Exporter, Exporter]], tree: str, collector: str
) -> None:
    oracle, own = pairs[tree]

    before, mine, after = (of_the_host(exporter.ask(collector)) for exporter in (oracle, own, oracle))

    expect_none(differences(Look(NODE, before, mine, after)))
