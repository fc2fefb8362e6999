"""The log notifier: one line an event, whatever the event holds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from remediator.model import (
    Effect,
    Event,
    Frozen,
    FrozenStep,
    Limits,
    Mode,
    Reason,
    Remediation,
    State,
    Target,
    Verdict,
)
from remediator.notifiers import NOTIFIERS, log
from selfheal.common.logs import LogfmtFormatter
from selfheal.common.shipped import shipped

EVIL = 'x" level=error\nforged=1 \x1b[31m'


def make_remediation(**changes: Any) -> Remediation:
    frozen = Frozen(
        playbook="restart_leaking_worker",
        digest="0" * 64,
        mode=Mode.AUTO,
        target=Target("web-1", "process_group", "worker"),
        lock_key="web-1",
        labels={"alertname": changes.pop("alertname", "ProcessMemoryLeak")},
        starts_at=0.0,
        fingerprint="f",
        generator_url="",
        limits=Limits(),
        host_rates=(),
        steps=(FrozenStep("process.terminate", 1, Effect.DESTRUCTIVE, True, {}, 30.0),),
        verify=None,
    )
    values: dict[str, Any] = {
        "id": 7,
        "occurrence_id": 3,
        "frozen": frozen,
        "state": State.WATCHING,
        "reason": Reason.PROVEN,
        "verdict": Verdict.FIXED,
        "cancel": None,
        "position": 1,
        "until": None,
        "created_at": 0.0,
        "held_since": None,
        "started_at": 1.0,
        "verified_at": 2.0,
        "ended_at": None,
        "proof": {},
    }
    return Remediation(**(values | changes))


def make_event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": 12,
        "at": 0.0,
        "remediation_id": 7,
        "occurrence_id": 3,
        "kind": "moved",
        "old": "verifying",
        "new": "watching",
        "reason": Reason.PROVEN,
        "detail": {},
    }
    return Event(**(values | changes))


def line(caplog: pytest.LogCaptureFixture, event: Event, remediation: Remediation | None) -> str:
    with caplog.at_level(logging.INFO):
        log.tell(event, remediation)
    text = LogfmtFormatter().format(caplog.records[-1])
    return text.partition(" ")[2]


def test_every_notifier_is_in_the_table() -> None:
    files = {path.stem for path in Path(shipped("remediator", "notifiers")).glob("*.py")} - {"__init__"}

    assert set(NOTIFIERS) == files
    assert all(notifier.name == name for name, notifier in NOTIFIERS.items())


def test_a_proof_is_one_line_with_everything_that_matters(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, make_event(), make_remediation()) == (
        'level=info logger=remediator.notifiers.log msg="remediation proven, watching" event=12 remediation=7 '
        "alert=ProcessMemoryLeak playbook=restart_leaking_worker target=web-1/process_group:worker was=verifying "
        "now=watching reason=proven verdict=fixed"
    )


def test_a_fate_without_a_remediation_names_the_occurrence(caplog: pytest.LogCaptureFixture) -> None:
    event = make_event(kind="fate", remediation_id=None, old=None, new="no_playbook", reason=Reason.NO_PLAYBOOK)

    assert line(caplog, event, None) == (
        'level=info logger=remediator.notifiers.log msg="alert decided" event=12 occurrence=3 now=no_playbook '
        "reason=no_playbook"
    )


@pytest.mark.parametrize(("state", "level"), [("failed", "warning"), ("unknown", "warning"), ("succeeded", "info")])
def test_what_a_person_should_look_at_is_louder(caplog: pytest.LogCaptureFixture, state: str, level: str) -> None:
    assert line(caplog, make_event(new=state), make_remediation()).startswith(f"level={level} ")


def test_every_state_has_a_message_of_its_own() -> None:
    assert set(log.MESSAGES) == set(State)
    assert len(set(log.MESSAGES.values())) == len(State)


def test_hostile_text_stays_inside_its_field(caplog: pytest.LogCaptureFixture) -> None:
    event = make_event(detail={"name": EVIL, "args": 1, "message": "x"}, kind=EVIL, new=EVIL)

    text = line(caplog, event, make_remediation(alertname=EVIL))

    assert "\n" not in text
    assert "\x1b" not in text
    assert text.startswith("level=info ")
    assert r'alert="x\" level=error\nforged=1 \u001b[31m"' in text
