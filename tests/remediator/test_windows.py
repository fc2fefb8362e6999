"""Maintenance windows: open from their start to just before their end, in their own zone, across summer time."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model import OpenWindow, Window
from remediator.windows import Windows, check_cron, check_span, covers, look, zone

BERLIN = "Europe/Berlin"
HOUR = 3_600.0
NIGHT = Window("night", "0 2 * * *", 2 * HOUR, BERLIN, "backup")


def at(text: str, name: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-11-21T01:59:59.9", None),
        ("2026-11-21T02:00:00", "2026-11-21T04:00:00"),
        ("2026-11-21T03:59:59.9", "2026-11-21T04:00:00"),
        ("2026-11-21T04:00:00", None),
    ],
)
def test_a_window_is_open_from_its_start_to_just_before_its_end(moment: str, until: str | None) -> None:
    open_until, _ = look(NIGHT, at(moment))

    assert open_until == (None if until is None else at(until))


def test_the_same_times_in_another_zone_are_another_window() -> None:
    seoul = Window("night", "0 2 * * *", 2 * HOUR, "Asia/Seoul")

    assert look(seoul, at("2026-11-21T02:30:00"))[0] is None
    assert look(seoul, at("2026-11-21T02:30:00", "Asia/Seoul"))[0] == at("2026-11-21T04:00:00", "Asia/Seoul")


def test_a_time_that_summer_time_skips_opens_when_the_clock_goes_on_and_lasts_as_long() -> None:
    window = Window("half", "30 2 * * *", 2 * HOUR, BERLIN)
    # at 02:00 the clock goes to 03:00
    opens = at("2026-03-29T03:00:00")

    assert look(window, opens - 0.1) == (None, opens)
    assert look(window, opens)[0] == opens + 2 * HOUR
    assert look(window, opens + 2 * HOUR)[0] is None


def test_a_time_that_comes_twice_opens_once() -> None:
    window = Window("half", "30 2 * * *", 0.5 * HOUR, BERLIN)
    # at 03:00 the clock goes back to 02:00
    first, second = at("2026-10-25T02:30:00"), at("2026-10-25T02:30:00", fold=1)

    assert second - first == HOUR
    assert look(window, first)[0] == first + 0.5 * HOUR
    assert look(window, second)[0] is None


def test_a_window_across_the_end_of_summer_time_lasts_its_span_in_real_time() -> None:
    window = Window("long", "0 1 * * *", 4 * HOUR, BERLIN)
    opens = at("2026-10-25T01:00:00")

    assert look(window, opens + 4 * HOUR - 1)[0] == opens + 4 * HOUR == at("2026-10-25T04:00:00")
    assert look(window, opens + 4 * HOUR)[0] is None


def test_of_several_the_one_that_ends_last_is_told() -> None:
    windows = Windows([NIGHT, Window("day", "0 1 * * *", 8 * HOUR, BERLIN, "move")])

    found = windows.open("any", "web-1/service:shop", at("2026-11-21T02:30:00"))

    assert found == OpenWindow("day", "move", at("2026-11-21T09:00:00"))


@pytest.mark.parametrize(
    ("playbooks", "targets", "covered"),
    [
        ((), (), True),
        (("restart_*",), (), True),
        (("clean_*", "restart_*"), (), True),
        (("clean_*",), (), False),
        ((), ("web-?/*",), True),
        ((), ("db-*",), False),
        (("restart_*",), ("db-*",), False),
        (("Restart_*",), (), False),
    ],
)
def test_a_window_covers_what_its_patterns_fit(
    playbooks: tuple[str, ...], targets: tuple[str, ...], covered: bool
) -> None:
    window = Window("w", "0 2 * * *", HOUR, "UTC", "", playbooks, targets)

    assert covers(window, "restart_service", "web-1/service:shop[1]") is covered


@settings(deadline=None, max_examples=60)
@given(
    moments=st.lists(st.integers(0, 400 * 86_400), min_size=1, max_size=8),
    cron=st.sampled_from(["0 2 * * *", "*/30 * * * *", "15 1,13 * * 1-5", "0 0 1 * *", "30 2 * 3,10 0"]),
    span=st.sampled_from([60.0, 600.0, 1_800.0]),
    name=st.sampled_from([BERLIN, "UTC", "Australia/Lord_Howe", "America/New_York"]),
)
def test_what_is_remembered_is_what_would_be_found_anew_also_when_the_clock_goes_back(
    moments: list[int], cron: str, span: float, name: str
) -> None:
    window = Window("w", cron, span, name)
    kept = Windows([window])
    begin = at("2026-01-01T00:00:00", "UTC")

    for moment in moments:
        for now in (begin + moment, begin + moment + span / 2):
            found = kept.open("p", "t", now)
            until, opens = look(window, now)

            assert (None if found is None else found.until) == until
            assert until is None or now < until <= now + span
            assert opens > now


def test_no_opening_is_missed_by_looking_only_a_little_back() -> None:
    window = Window("w", "0 2 * * *", 23 * HOUR, "UTC")

    assert look(window, at("2026-11-21T00:59:59", "UTC"))[0] == at("2026-11-21T01:00:00", "UTC")
    assert look(window, at("2026-11-21T01:00:00", "UTC"))[0] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0 2 * *", "'0 2 * *' has 4 fields instead of five"),
        ("0 0 2 * * *", "'0 0 2 * * *' has 6 fields instead of five"),
        ("61 2 * * *", "'61 2 * * *' is no cron expression (Bad minute)"),
        ("0 0 30 2 *", "'0 0 30 2 *' is no cron expression (Bad day-of-month)"),
        ("@daily", "'@daily' has 1 fields instead of five"),
    ],
)
def test_what_is_no_cron_expression_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_cron(text)

    assert str(caught.value) == f"{told}; write minute hour day month weekday, for example 0 2 * * 6"


@pytest.mark.parametrize(
    ("cron", "span", "fits"),
    [
        ("0 2 * * *", 24 * HOUR - 1, True),
        ("0 2 * * *", 24 * HOUR, False),
        ("0 0 * * 0,6", 24 * HOUR, True),
        ("0 0 * * 0,6", 24 * HOUR + 1, False),
        ("*/5 * * * *", 299.0, True),
        ("*/5 * * * *", 300.0, False),
        ("0 0 29 2 *", 30 * 24 * HOUR, True),
    ],
)
def test_a_window_that_opens_again_before_it_has_ended_is_refused(cron: str, span: float, fits: bool) -> None:
    if fits:
        check_span(cron, span)
        return
    with pytest.raises(ValueError, match=r"opens it again after .*; shorten for, or pause instead"):
        check_span(cron, span)


@pytest.mark.parametrize("name", ["Berlin", "", "../etc/passwd", "Europe/Atlantis", "/etc/localtime"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone that is known here; write for example Europe/Berlin"):
        zone(name)


def test_without_a_window_neither_cron_nor_zones_are_loaded() -> None:
    code = (
        "import sys; from remediator.windows import Windows; Windows(()).open('p', 't', 0.0);"
        "print([name for name in ('cronsim', 'zoneinfo') if name in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert told.stdout == "[]\n"
