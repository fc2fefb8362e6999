"""The API, the health routes and the metrics against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from remediator.model import ENDS, Mode, Reason, Verdict
from remediator.web import Metrics, Readings
from remediator.web.metrics import COUNTERS, GAUGES
from selfheal.common.shipped import shipped
from tests.web.site import ALERT, API_TOKEN, DETAIL, HOOK_TOKEN, RUN, Answer, Site

ROUTES = ["/api/v1/remediations", "/api/v1/remediations/7", "/api/v1/alerts", "/api/v1/status"]
LOOKED = ["/", "/runs/7", "/metrics"]


def is_problem(answer: Answer, status: int) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["type"]) == (answer.status, "about:blank")
    assert body["title"]
    assert body["detail"]
    return answer.status == status


def test_lists_have_items_and_a_cursor(site: Site) -> None:
    site.service.runs = [RUN, RUN | {"id": "6"}]

    answer = site.ask("GET", "/api/v1/remediations?limit=1&state=succeeded&cursor=9")

    assert answer.json() == {"items": [RUN], "next": "6"}
    assert site.service.asked == [(1, 9, "succeeded")]


def test_alerts_come_with_their_fate(site: Site) -> None:
    assert site.ask("GET", "/api/v1/alerts").json() == {"items": [ALERT], "next": None}


def test_what_is_open_is_asked_for_and_counted(site: Site) -> None:
    live = RUN | {"id": "6", "state": "unknown"}
    over = ALERT | {"id": "2", "status": "resolved", "closed_at": "2026-01-01T00:01:00.000Z"}
    site.service.runs, site.service.alerts = [RUN, live], [over, ALERT]

    runs = site.ask("GET", "/api/v1/remediations?open=true&limit=9&cursor=8").json()
    alerts = site.ask("GET", "/api/v1/alerts?open=true").json()
    everything = site.ask("GET", "/api/v1/alerts?open=false").json()

    assert runs == {"items": [live], "next": None, "count": 1}
    assert alerts == {"items": [ALERT], "next": None, "count": 1}
    assert everything == {"items": [over, ALERT], "next": None}
    assert site.service.asked == [(9, 8, None, "open"), (50, None, "open"), (50, None)]


def test_one_remediation_comes_with_everything(site: Site) -> None:
    assert site.ask("GET", "/api/v1/remediations/7").json() == DETAIL


def test_status_is_what_the_program_says(site: Site) -> None:
    assert site.ask("GET", "/api/v1/status").json() == site.service.status()


@pytest.mark.parametrize("id", ["8", "x", "-7", "7.0", "%2e%2e", "99999999999999999999", "٧", "07x"])
def test_an_id_that_is_not_there_is_a_404(site: Site, id: str) -> None:
    from urllib.parse import quote

    assert is_problem(site.ask("GET", f"/api/v1/remediations/{quote(id, safe='%')}"), 404)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=x",
        "limit=",
        "cursor=",
        "cursor=x",
        "cursor=-1",
        "state=gone",
        "open=yes",
    ],
)
def test_a_wrong_question_is_a_400_that_says_what_is_right(site: Site, query: str) -> None:
    assert is_problem(site.ask("GET", f"/api/v1/remediations?{query}"), 400)


def test_a_route_that_is_not_there_and_a_wrong_method_are_problems_too(site: Site) -> None:
    assert is_problem(site.ask("GET", "/api/v1/nothing"), 404)
    assert is_problem(site.ask("DELETE", "/api/v1/alerts"), 405)


def test_a_store_that_is_full_is_a_503(site: Site) -> None:
    site.service.full = True

    for route in ROUTES[:3]:
        assert is_problem(site.ask("GET", route), 503)


def test_a_mistake_of_ours_is_a_500_without_a_word_of_it(site: Site) -> None:
    site.service.broken = True

    for route in (ROUTES[0], "/"):
        answer = site.ask("GET", route)
        assert is_problem(answer, 500)
        assert b"secret" not in answer.body
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize("credential", ["", f"Bearer {HOOK_TOKEN}", f"Basic {API_TOKEN}", "Bearer x"])
@pytest.mark.parametrize("route", ROUTES)
def test_the_api_wants_its_own_token(guarded: Site, route: str, credential: str) -> None:
    answer = guarded.ask("GET", route, Authorization=credential)

    assert is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", ROUTES)
def test_the_apis_token_opens_every_route(guarded: Site, route: str) -> None:
    assert guarded.ask("GET", route, Authorization=f"Bearer {API_TOKEN}").status == 200


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_token_only_this_machine_may_ask_and_only_by_its_own_name(site: Site, route: str) -> None:
    assert is_problem(site.ask("GET", route, X_Forwarded_For="203.0.113.7"), 403)
    assert is_problem(site.ask("GET", route, Host="rebound.example"), 403)
    for host in ("localhost:9977", "127.0.0.1", "[::1]:9977", "[::1]"):
        assert site.ask("GET", route, Host=host).status == 200


@pytest.mark.parametrize("route", LOOKED)
def test_page_and_metrics_are_open_on_loopback_and_want_the_token_elsewhere(guarded: Site, route: str) -> None:
    assert guarded.ask("GET", route).status == 200
    assert is_problem(guarded.ask("GET", route, X_Forwarded_For="203.0.113.7"), 401)
    far = guarded.ask("GET", route, X_Forwarded_For="203.0.113.7", Authorization=f"Bearer {API_TOKEN}")
    assert far.status == 200


def settle(site: Site, body: bytes, id: str = "7", **headers: str) -> Answer:
    sent = {"Content_Type": "application/json"} | headers
    return site.ask("POST", f"/api/v1/remediations/{id}/settle", body, **sent)


@pytest.mark.parametrize("how", ["done", "not-done", "give-up"])
def test_an_unknown_outcome_can_be_settled(site: Site, how: str) -> None:
    answer = settle(site, b'{"as": "%s", "who": "kim"}' % how.encode())

    assert (answer.status, answer.json()["id"]) == (200, "7")
    assert site.service.settled == [(7, how, "kim")]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"as": "well"}', b'{"as": 1}', b'{"as": "done", "who": 5}']
)
def test_a_settlement_that_says_nothing_is_a_400(site: Site, body: bytes) -> None:
    assert is_problem(settle(site, body), 400)
    assert site.service.settled == []


def test_only_json_and_no_browser_settles(site: Site) -> None:
    assert is_problem(settle(site, b'{"as": "done"}', Content_Type="text/plain"), 415)
    assert is_problem(settle(site, b'{"as": "done"}', Origin="http://evil.example"), 403)
    assert site.service.settled == []


def test_who_is_one_printable_line(site: Site) -> None:
    assert is_problem(settle(site, b'{"as": "done", "who": "a\\nb"}'), 400)
    assert is_problem(settle(site, b'{"as": "done", "who": "%s"}' % (b"x" * 257)), 400)


def test_what_is_not_unknown_is_a_conflict(site: Site) -> None:
    site.service.not_unknown = True

    answer = settle(site, b'{"as": "done"}')

    assert is_problem(answer, 409)
    assert answer.json()["detail"] == "remediation 7 is not waiting to be settled"


def test_a_large_body_outside_the_hook_is_refused(site: Site) -> None:
    assert is_problem(settle(site, b'{"as": "done", "who": "' + b"x" * 70_000 + b'"}'), 413)


def test_health_is_open_but_names_problems_only_here(guarded: Site) -> None:
    guarded.service.troubles = ["the store is being opened"]

    near = guarded.ask("GET", "/-/ready")
    far = guarded.ask("GET", "/-/ready", X_Forwarded_For="203.0.113.7")

    assert guarded.ask("GET", "/-/healthy").text == "healthy\n"
    assert (near.status, near.text) == (503, "the store is being opened\n")
    assert (far.status, far.text) == (503, "not ready\n")


def test_ready_is_200_without_problems(site: Site) -> None:
    assert (site.ask("GET", "/-/ready").status, site.ask("GET", "/-/ready").text) == (200, "ready\n")


def test_every_answer_keeps_browsers_careful(site: Site) -> None:
    for route in (*ROUTES, *LOOKED, "/-/healthy", "/api/v1/nothing"):
        headers = site.ask("GET", route).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]


def samples(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_metrics_begin_at_zero_for_every_known_label_value(site: Site) -> None:
    found = samples(site.ask("GET", "/metrics").body)

    for reason in Reason:
        assert found["selfheal_decisions_total", frozenset({("reason", reason.value)})] == 0.0
    for stage in ("receive", "decide", "run", "verify", "announce", "reconcile"):
        assert found["selfheal_stage_errors_total", frozenset({("stage", stage)})] == 0.0
    assert found["selfheal_build_info", frozenset({("version", "1.2.3")})] == 1.0
    assert found["selfheal_store_errors_total", frozenset()] == 0.0


def test_playbooks_are_shown_with_their_mode_and_those_that_left_are_gone() -> None:
    metrics = Metrics("1")
    metrics.show_playbooks({"old": Mode.AUTO})
    metrics.show_playbooks({"new": Mode.OBSERVE})

    found = samples(metrics.render())

    modes = {labels: value for (name, labels), value in found.items() if name == "selfheal_playbook_mode"}
    assert modes == {
        frozenset({("playbook", "new"), ("mode", mode.value)}): float(mode is Mode.OBSERVE) for mode in Mode
    }
    for state in ENDS:
        labels = frozenset({("playbook", "new"), ("state", state.value)})
        assert found["selfheal_remediations_ended_total", labels] == 0.0
    for verdict in Verdict:
        labels = frozenset({("playbook", "new"), ("verdict", verdict.value)})
        assert found["selfheal_verdicts_total", labels] == 0.0
    assert found["selfheal_recovery_seconds_count", frozenset({("playbook", "new")})] == 0.0


def test_gauges_of_the_moment_are_read_at_the_scrape_and_a_broken_one_takes_only_itself_away() -> None:
    metrics = Metrics("1")

    def broken() -> int:
        raise RuntimeError("no")

    metrics.read_from(Readings(lambda: {"held": 2}, broken, lambda: 1.5, lambda: True))
    found = samples(metrics.render())

    assert found["selfheal_remediations", frozenset({("state", "held")})] == 2.0
    assert found["selfheal_remediations", frozenset({("state", "watching")})] == 0.0
    assert found["selfheal_queue_oldest_seconds", frozenset()] == 1.5
    assert found["selfheal_paused", frozenset()] == 1.0
    assert ("selfheal_queue_depth", frozenset()) not in found


def test_counting_and_observing_by_short_name() -> None:
    metrics = Metrics("1")

    metrics.count("verdicts", playbook="p", verdict="fixed")
    metrics.count("store_errors")
    metrics.observe("recovery_seconds", 3.0, playbook="p")
    metrics.observe("watchdog_last_seen", 5.0)

    found = samples(metrics.render())
    assert found["selfheal_verdicts_total", frozenset({("playbook", "p"), ("verdict", "fixed")})] == 1.0
    assert found["selfheal_store_errors_total", frozenset()] == 1.0
    assert found["selfheal_recovery_seconds_bucket", frozenset({("playbook", "p"), ("le", "5.0")})] == 1.0
    assert found["selfheal_watchdog_last_seen_timestamp_seconds", frozenset()] == 5.0


def test_every_name_that_the_program_counts_by_is_in_the_table() -> None:
    known = {*COUNTERS, *GAUGES, "recovery_seconds"}
    sources = [path.read_text() for path in sorted(Path(shipped("remediator")).rglob("*.py"))]
    used = {
        name for text in sources for name in re.findall(r'\b(?:counters|metrics)\.(?:count|observe)\(\s*"(\w+)"', text)
    }

    assert "decisions" in used
    assert used <= known
