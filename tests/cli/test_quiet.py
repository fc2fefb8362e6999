"""What is on or not over is told whatever came and went after it: by `status` from API and store, and by the page."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

import pytest

from remediator import address
from remediator.model import Reason, State
from remediator.store import Tx
from remediator.web.page import ALERTS_SHOWN
from selfheal.cli.status import SHOWN
from tests.cli.conftest import NOW, Home, StoreService, make_alert, make_frozen

SOURCES = ["store", "api"]


@pytest.fixture(params=SOURCES)
def source(home: Home, request: pytest.FixtureRequest) -> str:
    if request.param == "api":
        request.getfixturevalue("served")
    assert home.store is not None
    return str(request.param)


def pass_by(tx: Tx) -> None:
    """More alerts than are shown, each with its remediation, come and end."""
    for number in range(SHOWN + 5):
        alert = make_alert("Short", f"{number:016x}", item=str(number))
        occurrence, _ = tx.open_occurrence(alert, NOW + 50)
        tx.move(tx.add_remediation(occurrence, make_frozen(alert), NOW + 50), State.SKIPPED, Reason.SELF_RESOLVED, NOW)
        tx.close_occurrence(alert.fingerprint, NOW + 51, "resolved")


def storm(tx: Tx) -> None:
    """More alerts than are shown come and stay, and a heartbeat with them."""
    for number in range(SHOWN + 5):
        alert = make_alert("Short", f"{number:016x}", item=str(number))
        occurrence, _ = tx.open_occurrence(alert, NOW + 50)
        tx.add_remediation(occurrence, make_frozen(alert), NOW + 50)
    tx.open_occurrence(make_alert("Watchdog", "dddddddddddddddd", severity="none"), NOW + 60)


def page(home: Home) -> str:
    url = address.read(home.own)
    assert url is not None
    with urllib.request.urlopen(f"{url}/?lang=en", timeout=20) as answer:
        return str(answer.read().decode())


def test_status_tells_an_old_alert_behind_hundreds_that_ended(home: Home, source: str) -> None:
    home.store.write(pass_by)

    told = home.selfheal("status")
    found = home.selfheal("status", "--json").json()

    assert "DiskFilling" in told.out
    assert "Nothing is known to be wrong." not in told.out
    assert (found["source"], found["wrong_count"], found["under_way_count"]) == (source, 2, 1)
    assert [alert["alertname"] for alert in found["wrong"]] == ["DiskFilling", "ServiceDown"]
    assert [run["state"] for run in found["under_way"]] == ["unknown"]


def test_status_is_not_quiet_while_an_old_remediation_is_unknown(home: Home, source: str) -> None:
    home.store.write(pass_by)
    for fingerprint in ("bbbbbbbbbbbbbbbb", "cccccccccccccccc"):
        home.store.write(lambda tx, which=fingerprint: tx.close_occurrence(which, NOW + 52, "resolved"))  # type: ignore[misc]

    told = home.selfheal("status")

    assert "No alert is on, but remediations are not over: 1" in told.out
    assert "outcome not known" in told.out
    assert source in SOURCES


def test_status_after_a_storm_shows_the_newest_and_counts_the_others(home: Home, source: str) -> None:
    home.store.write(storm)

    told = home.selfheal("status")
    found = home.selfheal("status", "--json").json()

    # with the two alerts, and the one remediation, that were there before
    assert (len(found["wrong"]), found["wrong_count"]) == (SHOWN, SHOWN + 7)
    assert (len(found["under_way"]), found["under_way_count"]) == (SHOWN, SHOWN + 6)
    assert told.out.count("and 7 more") == told.out.count("and 6 more") == 1
    assert "Watchdog" not in told.out
    assert found["source"] == source


@pytest.mark.parametrize(("came", "count", "more"), [(pass_by, 2, 0), (storm, SHOWN + 7, SHOWN + 7 - ALERTS_SHOWN)])
def test_the_page_counts_what_is_on_and_shows_it(
    home: Home, served: StoreService, came: Callable[[Tx], None], count: int, more: int
) -> None:
    home.store.write(came)

    text = page(home)

    assert served.store is home.store
    assert f"Alerts firing: {count}" in text
    assert "Nothing is known to be wrong." not in text
    assert "Watchdog" not in text
    assert (f"and {more} more" in text) is bool(more)
    assert ("DiskFilling" in text) is (came is pass_by)
