"""People are told by the policy's command when the remediator is in trouble; what it prints stays out of the log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from remediator.alarm import Alarm, Alarmed
from remediator.policy import Command, Policy
from selfheal.common.clock import SystemClock

SECRET = "token-7f3a9c"


@pytest.mark.parametrize("code", [1, 0])
def test_what_the_command_prints_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int) -> None:
    script = f"import sys; print('cannot post with {SECRET}'); sys.exit({code})"
    argv = (sys.executable, "-c", script)
    policy = Policy(commands=(Command("tell", argv, argv, argv, 20.0),), source="policy.yml")
    alarm = Alarm(tmp_path, SystemClock(), lambda: policy, "tell")
    caplog.set_level(logging.DEBUG)

    assert alarm.tell(Alarmed.AUDIT, problem="altered", event=1)

    failed = [record for record in caplog.records if record.getMessage() == "people not told by command"]
    assert not any(SECRET in str(vars(record)) for record in caplog.records)
    assert [(vars(record)["code"], vars(record)["output_characters"]) for record in failed] == (
        [(1, len(f"cannot post with {SECRET}"))] if code else []
    )
