"""The group of a blast radius, asked of a real Prometheus; and two of one group through the whole program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.rig import Rig, free_port, until
from remediator.client import Client
from remediator.evidence import Evidence
from remediator.model import BlastRadius, Group
from selfheal.common.clock import SystemClock
from tests.pipeline.conftest import Case

ALERT = {"alertname": "Sick", "instance": "x", "job": "gauges", "zone": "one", "cluster": "c"}


def evidence(port: int) -> Evidence:
    return Evidence(
        Client(f"http://127.0.0.1:{port}", source="prometheus"), [], SystemClock(), ignore_labels=["cluster"]
    )


@pytest.fixture(scope="module")
def asked(rig: Rig) -> Iterator[Callable[[BlastRadius], Group]]:
    """Ask about the alert's group."""
    until(lambda: rig.query("up"))
    found = evidence(rig.prometheus_port)
    yield lambda radius: found.group(radius, ALERT)


@pytest.mark.parametrize(
    ("by", "size"),
    [
        pytest.param(("job",), 1, id="one target"),
        pytest.param(("job", "cluster"), 1, id="a label that series here do not have is left out"),
        pytest.param(("zone",), 0, id="a label that no target has"),
        pytest.param(("job", "instance"), 0, id="another instance"),
    ],
)
def test_the_size_of_a_group_is_what_is_scraped_there(
    asked: Callable[[BlastRadius], Group], by: tuple[str, ...], size: int
) -> None:
    assert asked(BlastRadius(by, percent=20)) == Group(size, None)


@pytest.mark.parametrize(
    ("quorum", "there"), [('count(up{job="gauges"} == 1) >= 1', True), ('count(up{job="gauges"} == 1) >= 2', False)]
)
def test_a_quorum_is_there_when_something_is_returned(
    asked: Callable[[BlastRadius], Group], quorum: str, there: bool
) -> None:
    assert asked(BlastRadius(("job",), count=1, quorum=quorum)) == Group(None, there)


def test_a_quorum_that_prometheus_refuses_is_no_answer(asked: Callable[[BlastRadius], Group]) -> None:
    assert asked(BlastRadius(("job",), percent=20, quorum="up ==")) == Group(None, None, blind=True)


def test_nobody_there_is_no_answer() -> None:
    assert evidence(free_port()).group(BlastRadius(("job",), percent=20), ALERT) == Group(None, None, blind=True)


@pytest.mark.case("spread")
def test_the_second_of_a_group_waits_for_the_first(case: Case, rig: Rig, patient: Any) -> None:
    other = Case(rig, patient, f"{case.item}b", "spread")
    case.set(1)
    case.wait("succeeded")
    other.set(1)

    detail = other.wait("held")

    answer = next(each for each in reversed(detail["decisions"]) if each["guard"] == "blast_radius")
    assert (answer["answer"], answer["reason"]) == ("hold", "blast_radius")
    assert answer["detail"]["targets"] == [case.remediations()[0]["target"]]
    assert other.effects() == []
    other.set(None)
