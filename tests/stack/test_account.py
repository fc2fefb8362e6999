"""What `selfheal up` writes: every event in words of both languages, calm, and nothing that steers a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import get_args

import pytest

from remediator.locale import catalog
from selfheal.cli.up import Account
from selfheal.common.clock import ManualClock
from selfheal.stack import events
from selfheal.stack.patient import FAULTS

EVENTS: list[events.Event] = [
    events.Unpacking("/t/.tools/debian"),
    events.PortMoved("prometheus", 9090, 40123),
    events.SettingPutBack("prometheus.url", "http://b", "http://a"),
    events.SettingPutBack("protected", "/t/logs", ""),
    events.ProgramReady("prometheus", "http://127.0.0.1:40123"),
    events.ProgramReady("patient", ""),
    events.ProgramDied("remediator", -9, 0.5, Path("/t/logs/remediator.log")),
    events.ProgramDied("remediator", 1, None, Path("/t/logs/remediator.log")),
    events.ProgramRestarted("remediator", 4711),
    events.Stopping(),
    events.Stopped(Path("/t")),
    events.RemediationChanged("1", "clean", "h/directory:x", "Full", "verifying", "", "allowed", 1.0, False),
    events.RemediationChanged("1", "clean", "h/directory:x", "Full", "held", "", "paused", 1.0, False),
    events.RemediationChanged("1", "clean", "h/directory:x", "Full", "observed", "", "observe_mode", 1.0, True),
    events.RemediationChanged("1", "clean", "h/directory:x", "Full", "watching", "fixed", "proven", 6.0, False),
    *[events.FaultInjected(fault.name, 1, 5) for fault in FAULTS],
    events.FaultHealed("zombies", 5.04),
    events.FaultNotHealed("zombies", 40.2),
    events.FaultNotHealed("zombies", 40.2, answered=False),
    events.PatientWell(5, 5),
]
SILENT: list[events.Event] = [
    events.ProgramStarted("prometheus", 4711),
    events.RemediationChanged("1", "clean", "h/directory:x", "Full", "pending", "", "", 1.0, False),
]


def written(event: events.Event, language: str) -> str:
    out = io.StringIO()
    Account(catalog(language), out, ManualClock()).tell(event)
    return out.getvalue()


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_is_lines_with_their_time(event: events.Event, language: str) -> None:
    text = written(event, language)

    # what follows the end of the demo is where to read on
    assert text.count("\n") == (2 if isinstance(event, events.PatientWell) else 1)
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d  (  )?\S.*", line) for line in text.splitlines())
    assert "{" not in text
    assert "\x1b" not in text  # no terminal, no colours


def test_the_list_of_events_here_is_complete() -> None:
    assert {type(event) for event in EVENTS + SILENT} == set(get_args(events.Event))


@pytest.mark.parametrize("event", SILENT, ids=lambda event: type(event).__name__)
def test_what_a_person_need_not_know_is_not_written(event: events.Event) -> None:
    assert written(event, "en") == ""


def test_a_reason_is_told_when_something_stands_in_the_way_and_not_when_all_goes_well() -> None:
    held = events.RemediationChanged("1", "clean", "t", "Full", "held", "", "paused", 1.0, False)
    going = events.RemediationChanged("1", "clean", "t", "Full", "verifying", "", "allowed", 1.0, False)

    assert written(held, "en").endswith("Full → clean: held back – remediation is paused (1.0 s after the alert)\n")
    assert written(going, "en").endswith("#1 Full → clean: gathering proof (1.0 s after the alert)\n")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "file /0"), (2, "file /0, file /1"), (7, "file /0, file /1 and 5 more")],
)
def test_what_was_touched_is_named_and_many_things_are_counted(count: int, expected: str) -> None:
    touched = tuple({"kind": "file", "path": f"/{number}"} for number in range(count))
    event = events.RemediationChanged("1", "clean", "t", "Full", "verifying", "", "allowed", 1.0, False, touched)

    line = written(event, "en")

    assert line.endswith(f"gathering proof – touched: {expected} (1.0 s after the alert)\n")


def test_the_end_of_the_watch_does_not_repeat_the_time_of_the_proof() -> None:
    event = events.RemediationChanged("3", "clean", "t", "Full", "succeeded", "fixed", "held_watch", 5.0, False)

    assert written(event, "en").endswith("  #3 Full → clean: healed, no relapse while it was watched\n")


def test_the_playbook_is_named_once_per_remediation() -> None:
    out = io.StringIO()
    account = Account(catalog("en"), out, ManualClock())
    for number, state in (("1", "running"), ("1", "verifying"), ("2", "running")):
        account.tell(events.RemediationChanged(number, "clean", "t", "Full", state, "", "allowed", 1.0, False))

    assert [line.split("#")[1].split(":")[0] for line in out.getvalue().splitlines()] == [
        "1 Full → clean",
        "1 Full",
        "2 Full → clean",
    ]


def test_where_to_read_on_names_the_program_and_the_state_folder() -> None:
    out = io.StringIO()
    Account(catalog("en"), out, ManualClock(), (".venv/bin/selfheal", " --state /t")).tell(events.PatientWell(5, 5))

    assert out.getvalue().endswith("the whole story of one of them: .venv/bin/selfheal why NUMBER --state /t\n")


def test_a_label_cannot_steer_the_terminal_or_forge_a_line() -> None:
    hostile = "h/directory:\x1b[2J\n00:00:00  all is well\u202e"
    event = events.RemediationChanged("1", "clean", hostile, "Full\r", "observed", "", "observe_mode", 1.0, True)

    line = written(event, "en")

    assert line.count("\n") == 1
    assert not set("\x1b\r\u202e") & set(line)


def test_when_the_last_program_is_ready_it_is_said_once_per_program() -> None:
    out = io.StringIO()
    account = Account(catalog("en"), out, ManualClock())
    for name in ("prometheus", "exporter"):
        account.tell(events.ProgramStarted(name, 1))
    for name in ("prometheus", "exporter"):
        account.tell(events.ProgramReady(name, f"http://{name}"))

    lines = [line[10:] for line in out.getvalue().splitlines()]

    assert lines == ["prometheus is ready: http://prometheus", "exporter is ready: http://exporter"]


@pytest.mark.parametrize(
    ("language", "was", "expected"),
    [
        ("en", "http://a", "prometheus.url is http://b again, because `selfheal up` decides it; http://a stood there"),
        ("en", "", "http://b is back under prometheus.url, because `selfheal up` needs it there"),
        ("ko", "http://a", "prometheus.url 값은 `selfheal up`이 정하므로 http://a에서 http://b(으)로 되돌렸습니다"),
        ("ko", "", "`selfheal up`에 필요한 http://b 값을 prometheus.url에 다시 넣었습니다"),
    ],
)
def test_what_was_put_back_is_told(language: str, was: str, expected: str) -> None:
    text = written(events.SettingPutBack("prometheus.url", "http://b", was), language)

    assert text.partition("  ")[2] == f"remediator.yml: {expected}\n"
