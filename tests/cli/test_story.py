"""One remediation told on a terminal: what it would have touched, what held it until when, who approved it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from remediator.locale import catalog
from selfheal.cli.answers import Screen
from selfheal.cli.story import ITEMS, tell_remediation

RUN: dict[str, Any] = {
    "id": "7",
    "playbook": "clean_folder",
    "target": "web-1/directory:/srv/a",
    "state": "observed",
    "reason": "observe_mode",
    "verdict": None,
    "mode": "observe",
    "alert": {"alertname": "DirectoryTooLarge"},
    "created_at": None,
    "started_at": None,
    "verified_at": None,
    "ended_at": None,
    "decisions": [],
    "steps": [],
    "evidence": [],
    "events": [],
}


def told(run: dict[str, Any], language: str = "en") -> str:
    out = StringIO()
    tell_remediation(Screen(out), RUN | run, catalog(language))
    return out.getvalue()


def test_what_an_observed_remediation_would_have_touched_is_listed_and_the_rest_counted() -> None:
    items = [{"kind": "file", "path": f"/srv/a/{number}"} for number in range(20)]
    detail = {"answer": "allow", "reason": "allowed", "items": items, "count": 25}
    moved = {"at": None, "kind": "moved", "from": "pending", "to": "observed", "reason": "observe_mode"}

    text = told({"events": [moved | {"detail": detail}]})

    assert "What would be touched" in text
    assert text.count("file /srv/a/") == ITEMS
    assert f"and {25 - ITEMS} more" in text
    assert "What would be touched" not in told({})


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "who: kim, until: 2026-01-01 00:00:00 UTC, sources: prometheus, alertmanager, odd: 1"),
        ("ko", "지시한 사람: kim, 기한: 2026-01-01 00:00:00 UTC, 출처: prometheus, alertmanager, odd: 1"),
    ],
)
def test_what_holds_it_is_told_in_words_and_what_is_empty_is_left_out(language: str, expected: str) -> None:
    detail = {
        "who": "kim",
        "why": "",
        "until": 1_767_225_600.0,
        "hard": None,
        "sources": ["prometheus", "alertmanager"],
        "odd": 1,
    }
    answer = {"at": None, "guard": "pause", "answer": "hold", "reason": "paused", "until": None, "detail": detail}

    assert told({"decisions": [answer]}, language).splitlines()[-1].endswith(f" – {expected}")


def test_the_history_names_who_approved_it() -> None:
    asked = {"at": None, "kind": "approval", "from": None, "to": "open", "reason": None, "detail": {"approval": 3}}
    granted = asked | {"from": "open", "to": "granted", "detail": {"approval": 3, "who": "kim"}}

    assert told({"events": [asked, granted]}).splitlines()[-1].split() == ["approved", "kim"]


def test_each_probe_has_a_line_of_its_own_that_says_what_it_saw_or_why_nothing() -> None:
    probes = [
        {"probe": "disk", "arguments": {}, "found": {"bytes": 1}},
        {"probe": "http", "arguments": {}, "problem": "refused"},
    ]

    text = told({"evidence": [{"at": None, "phase": "diagnose", "body": {"occasion": "hold", "probes": probes}}]})

    assert 'disk: {"found": {"bytes": 1}}' in text
    assert 'http: {"problem": "refused"}' in text
