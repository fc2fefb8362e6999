"""node_exporter and ours on this host as it is: the same series, and values that were true between two of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from selfheal.stack.oracles import NEWER
from tests.exporter.oracle.compare import Look, expect_none, lasting
from tests.exporter.oracle.running import Exporter, node_exporter, ours, running
from tests.exporter.oracle.shared import common, of_the_host
from tests.exporter.oracle.table import NODE
from tests.exporter.oracle.trees import NO_TEXTFILES, SAME_MOUNTS

_ROUNDS = 40


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Exporter, Exporter]]:
    """Both exporters on this host, with every collector that both have."""
    switches = [f"--collector.{name}" for name in common()]
    with ExitStack() as stack:
        oracle = stack.enter_context(running(node_exporter(NEWER[NODE], SAME_MOUNTS, NO_TEXTFILES, *switches)))
        yield oracle, stack.enter_context(running(ours(SAME_MOUNTS, NO_TEXTFILES, *switches)))


@pytest.mark.parametrize("collector", common())
def test_a_collector_tells_the_same_of_this_host(pair: tuple[Exporter, Exporter], collector: str) -> None:
    oracle, own = pair

    def look() -> Look:
        return Look(NODE, *(of_the_host(exporter.ask(collector)) for exporter in (oracle, own, oracle)), live=True)

    expect_none(lasting(look, _ROUNDS))
