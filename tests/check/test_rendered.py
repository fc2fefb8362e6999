"""What `selfheal up` renders is clean too: with the demo's patient at either pace, and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediator.check import run
from selfheal.stack.config import Settings, render, wanted_ports
from selfheal.stack.layout import Layout

HEALED_ON_AND_ON = "limits.cooldown: is 0s"
"""Of the demo's patient, who falls ill again as soon as it is well."""
BEFORE_THE_PATIENT_LIVES = ("is no folder on this machine", "so no process may be signalled until it does")


@pytest.mark.parametrize("demo", [True, False], ids=["demo", "host"])
@pytest.mark.parametrize("scrape", [1.0, 5.0, 15.0])
def test_what_is_rendered_is_clean(demo: bool, scrape: float, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "상태")
    layout.make()
    layout.patient.mkdir(exist_ok=True)
    render(Settings(layout, wanted_ports(demo), scrape, demo, "0123abcd" if demo else ""))

    report = run(layout.config / "remediator.yml")

    errors = [str(problem) for problem in report.problems if problem.level == "error"]
    left = [str(problem) for problem in report.problems if not problem.what.endswith(BEFORE_THE_PATIENT_LIVES)]
    if demo:
        left = [text for text in left if "/playbooks/patient_" not in text or HEALED_ON_AND_ON not in text]
    assert errors == []
    assert left == []
