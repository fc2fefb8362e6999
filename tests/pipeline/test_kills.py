"""kill -9 at every named point between intent and result: nothing lost, nothing done twice, doubt is said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import crash, ledger
from benchmarks.rig import Rig, running, until
from tests.pipeline.conftest import FREE, LEDGER, PROOF, RULES, playbook
from tests.tools import tool

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

BEFORE, AFTER = 0, 1
POINTS = {
    "intent_stored": BEFORE,
    "effect_begun": BEFORE,
    "effect_ended": AFTER,
    "effect_done": AFTER,
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    tool("prometheus"), tool("alertmanager")
    books = [playbook("plain", f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\n{PROOF}\n")]
    limits = "limits: {rate: [1000/1h]}"
    with running(Rig(tmp_path_factory.mktemp("kills") / "r", RULES, playbooks=books, limits=limits)) as rig:
        rig.start()
        yield rig


def newest(rig: Rig, item: str) -> dict[str, Any] | None:
    items = rig.api("/api/v1/remediations?limit=50")["items"]
    return next((entry for entry in items if entry["alert"]["labels"]["item"] == item), None)


@pytest.mark.parametrize(("point", "done"), POINTS.items())
def test_a_kill_leaves_the_outcome_unknown_and_verifying_settles_what_it_can(rig: Rig, point: str, done: int) -> None:
    before = len(ledger.entries(rig.folder / "ledger"))
    rig.start_remediator("--kill-at", f"{point}:1")
    rig.gauges.text = f'sick{{item="{point}",case="plain"}} 1\n'
    assert rig.remediator is not None
    assert rig.remediator.wait(30) == -signal.SIGKILL
    if done:
        # the effect took place, so the fault is gone although nobody recorded it
        rig.gauges.text = f'sick{{item="{point}",case="plain"}} 0\n'
    rig.remediator = None
    rig.start_remediator()

    found = until(lambda: (r := newest(rig, point)) and r["state"] in ("watching", "succeeded", "unknown") and r, 40)
    if not done:
        # verifying looks once; not proven means that only a person can say
        found = until(lambda: (r := newest(rig, point)) and r["verdict"] == "unproven" and r, 40)
        assert found["state"] == "unknown"

    assert found["reason"] in ("outcome_unknown", "held_watch")
    assert len(ledger.entries(rig.folder / "ledger")) == before + done
    detail = rig.api(f"/api/v1/remediations/{found['id']}")
    assert [step["state"] for step in detail["steps"]] == ["unknown"]
    rig.gauges.text = ""
    rig.stop_remediator()


def test_kills_under_load_lose_and_double_nothing() -> None:
    tool("prometheus"), tool("alertmanager")

    figures = crash.measure(16, seed=3)

    assert (figures["kills"], figures["lost"], figures["doubled"]) == (16, 0, 0)
    # so few kills meet each point once or twice, by turns; those in between are just the quarter that makes it count
    assert figures["valid"], figures
    assert figures["by_point"] == {"random": 6, "receive": 2} | dict.fromkeys(crash.POINTS[1:], 1)
    assert figures["acknowledged"] > 200
    assert figures["effects"] > 0
