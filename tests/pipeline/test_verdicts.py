"""Every verdict on a real Prometheus, Alertmanager and remediator: all patients at once, each with its own fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.rig import Rig, until
from tests.judge.clinic import silence
from tests.pipeline.conftest import Case, Patient

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

HISTORY = 7
"""Samples of a well patient before it falls ill: what is noise must be known before anything is called worse."""


def known(case: Case) -> None:
    """Let Prometheus see the patient well for a while."""
    case.set(0)
    until(lambda: _samples(case) >= HISTORY, 20, 0.2)


def _samples(case: Case) -> float:
    found = case.rig.query(f'count_over_time(sick{{item="{case.item}"}}[1m])')
    return float(found[0]["value"][1]) if found else 0.0


def ill(case: Case) -> None:
    case.set(9)
    case.wait_for_effects(1)


def fixed(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    case.set(0)
    return case.wait("succeeded")


def self_resolved(case: Case) -> dict[str, Any]:
    # Alertmanager tells us nothing of what is silenced, so the delivery that comes is one that was long under way
    silence(f"http://127.0.0.1:{case.rig.alertmanager_port}", {"item": case.item})
    case.set(9)
    until(lambda: case.rig.query(f'ALERTS{{item="{case.item}"}}'), 20)
    case.set(0)
    until(lambda: not case.rig.query(f'sick{{item="{case.item}"}} > 0'), 20)
    delivered = {"status": "firing", "labels": case.labels(), "startsAt": datetime.now(UTC).isoformat()}
    assert case.rig.deliver(delivered) == 200
    return case.wait("skipped")


def expired(case: Case) -> dict[str, Any]:
    ill(case)
    case.set(None)
    return case.wait("ineffective")


def recurred(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    case.set(0)
    return comes_back(case, 9)


def worse(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    case.set(20)
    return case.wait("ineffective")


def spiking(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    case.set(20)
    # as what starts anew is busy for a moment: long enough for two looks, the first of which waits for two samples
    until(lambda: _above(case, 10) >= 4, 20, 0.1)
    case.set(0)
    return case.wait("succeeded")


def _above(case: Case, value: float) -> float:
    found = case.rig.query(f'count_over_time((sick{{item="{case.item}"}} > {value})[10s:1s])')
    return float(found[0]["value"][1]) if found else 0.0


def worse_later(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    case.set(0)
    return comes_back(case, 20)


def comes_back(case: Case, value: float) -> dict[str, Any]:
    number = case.wait("watching")["id"]
    case.set(value)
    # the fault that is back has a remediation of its own, which is the newest
    until(lambda: [r for r in case.remediations() if (r["id"], r["state"]) == (number, "ineffective")], 20)
    found: dict[str, Any] = case.rig.api(f"/api/v1/remediations/{number}")
    return found


def unproven(case: Case) -> dict[str, Any]:
    known(case)
    ill(case)
    # a little more of it is noise
    case.set(9.3)
    return case.wait("ineffective")


def not_asked(case: Case) -> dict[str, Any]:
    case.set(9)
    return case.wait("succeeded")


PATIENTS: Mapping[str, tuple[Callable[[Case], dict[str, Any]], str]] = {
    "fixed": (fixed, "plain"),
    "self_resolved": (self_resolved, "plain"),
    "expired": (expired, "plain"),
    "recurred": (recurred, "plain"),
    "worse": (worse, "plain"),
    "worse_later": (worse_later, "plain"),
    "worse_than_declared": (worse, "declared"),
    "unproven_as_declared": (unproven, "declared"),
    "spiking": (spiking, "patient"),
    "unproven": (unproven, "plain"),
    "not_asked": (not_asked, "unasked"),
}


@pytest.fixture(scope="module")
def told(rig: Rig, patient: Patient) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """What became of each patient, by name."""
    cases = {name: Case(rig, patient, f"verdict-{name}", kind) for name, (_, kind) in PATIENTS.items()}
    with ThreadPoolExecutor(len(PATIENTS)) as pool:
        yield {name: pool.submit(lives, cases[name]) for name, (lives, _) in PATIENTS.items()}
    for case in cases.values():
        case.set(None)


@pytest.mark.parametrize(
    ("name", "state", "verdict", "reason"),
    [
        ("fixed", "succeeded", "fixed", "held_watch"),
        ("self_resolved", "skipped", "self_resolved", "self_resolved"),
        ("expired", "ineffective", "expired", "series_gone"),
        ("recurred", "ineffective", "recurred", "recurred"),
        ("worse", "ineffective", "worse", "worsened"),
        ("worse_later", "ineffective", "worse", "worsened"),
        ("worse_than_declared", "ineffective", "worse", "worsened"),
        ("unproven_as_declared", "ineffective", "unproven", "not_proven"),
        ("spiking", "succeeded", "fixed", "proven"),
        ("unproven", "ineffective", "unproven", "not_proven"),
        ("not_asked", "succeeded", "not_asked", "proof_not_asked"),
    ],
)
def test_every_verdict_ends_in_its_state_for_its_reason(
    told: dict[str, Future[dict[str, Any]]], name: str, state: str, verdict: str, reason: str
) -> None:
    detail = told[name].result()

    assert (detail["state"], detail["verdict"], detail["reason"]) == (state, verdict, reason)
    assert len(detail["steps"]) == (0 if name == "self_resolved" else 1)


def samples(detail: dict[str, Any], phase: str) -> dict[str, Any]:
    found: dict[str, Any] = [each["body"]["samples"] for each in detail["evidence"] if each["phase"] == phase][-1]
    return found


@pytest.mark.parametrize(("name", "last"), [("fixed", 0), ("worse", 20), ("unproven", 9.3), ("recurred", 9)])
def test_what_was_measured_before_and_after_is_kept_with_the_time_of_the_effects(
    told: dict[str, Future[dict[str, Any]]], name: str, last: float
) -> None:
    detail = told[name].result()

    before, after = samples(detail, "before"), samples(detail, "after")
    (was,), (became,) = before["series"], after["series"]
    begun, ended = after["effects"]
    assert before["effects"] == [begun, ended]
    assert was["quantity"] == became["quantity"]
    assert f'item="verdict-{name}"' in was["quantity"]
    assert (was["threshold"], was["worse"]) == (0, 1)
    assert [value for _, value in was["points"]][-1] == 9
    assert 0 in [value for _, value in was["points"]]
    assert was["points"][-1][0] == pytest.approx(begun, abs=0.002)
    assert begun <= ended
    assert became["points"][-1][1] == last
    assert began_after(became["points"], begun)
    assert max(len(was["points"]), len(became["points"])) <= 120


def began_after(points: list[list[float]], begun: float) -> bool:
    return all(at >= begun - 0.002 for at, _ in points)


def test_a_worse_one_ends_before_its_time_is_over(told: dict[str, Future[dict[str, Any]]]) -> None:
    body = [each["body"] for each in told["worse"].result()["evidence"] if each["phase"] == "after"][-1]

    assert body["healthy"] is False
    assert body["now"] - body["end"] < 6
