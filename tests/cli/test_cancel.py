"""`selfheal cancel`: what is said to the running remediator, and what comes back."""

from __future__ import annotations

import json

from tests.cli.conftest import Home, StoreService


def test_cancel_needs_the_daemon(home: Home) -> None:
    told = home.selfheal("cancel", "2")

    assert told.code == 3
    assert "no running remediator answers" in told.err


def test_cancel_tells_the_daemon_who_calls_it_off(home: Home, served: StoreService) -> None:
    told = home.selfheal("cancel", "2", "--who", "kim")

    assert told.code == 0
    assert served.cancelled == [(2, "kim")]
    assert told.out.splitlines() == [
        "Remediation 2: outcome not known, a person must settle it",
        "The step that runs now ends first; nothing more begins, and what was done is judged.",
    ]


def test_cancel_answers_in_json_too(home: Home, served: StoreService) -> None:
    told = home.selfheal("cancel", "2", "--who", "kim", "--json")

    assert json.loads(told.out)["id"] == "2"


def test_cancel_says_why_it_was_refused(home: Home, served: StoreService) -> None:
    served.not_unknown = True

    assert "nothing of it is left to call off" in home.selfheal("cancel", "2").err
    assert home.selfheal("cancel", "99").err == "selfheal: there is no remediation 99\n"
