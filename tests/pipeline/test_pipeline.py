"""The whole way of an alert, on a real Prometheus and a real Alertmanager: what is promised, seen from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.rig import Rig, until
from remediator.model import Pause
from remediator.pause import NAME, clear, write
from tests.pipeline.conftest import Case

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]


def answers(detail: dict[str, Any], guard: str) -> list[tuple[str, str]]:
    return [(said["answer"], said["reason"]) for said in detail["decisions"] if said["guard"] == guard]


@pytest.mark.case("plain")
def test_a_sick_series_is_healed_once_and_proven_by_fresh_samples(case: Case) -> None:
    case.set(1)
    case.wait_for_effects(1)
    case.set(0)

    detail = case.wait("watching")

    assert (detail["verdict"], detail["reason"]) == ("fixed", "proven")
    assert len(case.effects()) == 1
    assert {said["answer"] for said in detail["decisions"]} == {"allow"}
    after = next(entry["body"] for entry in detail["evidence"] if entry["phase"] == "after")
    assert after["healthy"] is True
    assert after["last_sample"] > after["end"]
    assert case.wait("succeeded")["reason"] == "held_watch"
    assert until(lambda: case.alerts()[0]["fate"] == "succeeded")


@pytest.mark.case("plain")
def test_an_effect_that_does_not_help_is_ineffective_however_well_it_ended(case: Case) -> None:
    case.set(1)

    detail = case.wait("ineffective")

    assert (detail["verdict"], detail["reason"]) == ("unproven", "not_proven")
    assert detail["steps"][0]["state"] == "done"


@pytest.mark.case("plain")
def test_a_series_that_vanishes_after_the_effect_is_expired_and_never_fixed(case: Case) -> None:
    case.set(1)
    case.wait_for_effects(1)
    case.set(None)

    detail = case.wait("ineffective")

    assert (detail["verdict"], detail["reason"]) == ("expired", "series_gone")


@pytest.mark.case("plain")
def test_a_fault_that_comes_back_within_the_watch_is_recurred(case: Case) -> None:
    case.set(1)
    case.wait_for_effects(1)
    case.set(0)
    case.wait("watching")
    case.set(1)

    found = until(lambda: [r for r in case.remediations() if r["verdict"] == "recurred"], 15)

    assert found[0]["state"] == "ineffective"


@pytest.mark.case("again")
def test_attempts_are_counted_and_end(case: Case) -> None:
    case.set(1)

    until(lambda: case.alerts() and case.alerts()[0]["reason"] == "attempts_used", 50, 0.2)

    assert len(case.effects()) == 2
    assert [remediation["state"] for remediation in case.remediations()] == ["ineffective", "ineffective"]


@pytest.mark.case("watching")
def test_a_playbook_without_a_mode_only_tells_what_it_would_have_done(case: Case) -> None:
    case.set(1)

    detail = case.wait("observed")

    assert case.effects() == []
    assert detail["steps"] == []
    assert answers(detail, "still_firing") == [("allow", "allowed")]
    moved = next(event for event in detail["events"] if event["to"] == "observed")
    assert moved["detail"]["answer"] == "allow"
    assert moved["detail"]["count"] == 1


@pytest.mark.case("unasked")
def test_proof_that_is_not_asked_for_is_never_called_success(case: Case) -> None:
    case.set(1)

    detail = case.wait("succeeded")

    assert (detail["verdict"], detail["reason"]) == ("not_asked", "proof_not_asked")


@pytest.mark.case("unasked")
def test_the_same_delivery_again_does_nothing_new(case: Case) -> None:
    case.set(1)
    case.wait("succeeded")
    delivered = {
        "status": "firing",
        "labels": case.labels(),
        "annotations": {},
        "startsAt": case.alerts()[0]["starts_at"],
        "fingerprint": case.alerts()[0]["fingerprint"],
    }

    statuses = [case.rig.deliver(delivered) for _ in range(5)]

    assert statuses == [200] * 5
    assert len(case.alerts()) == 1
    assert len(case.remediations()) == 1


@pytest.mark.case("cooling")
def test_a_target_that_was_just_touched_rests(case: Case) -> None:
    case.set(1)
    case.wait("succeeded")
    case.set(0)
    until(lambda: case.alerts()[0]["status"] == "resolved", 20)
    case.set(1)

    detail = case.wait("held")

    assert answers(detail, "cooldown")[-1] == ("hold", "cooldown")
    assert len(case.effects()) == 1


@pytest.mark.case("rated")
def test_a_rate_that_is_used_up_holds(case: Case, rig: Rig, patient: Any) -> None:
    other = Case(rig, patient, f"{case.item}b", "rated")
    case.set(1)
    case.wait("succeeded")
    other.set(1)

    detail = other.wait("held")

    assert answers(detail, "rate")[-1] == ("hold", "rate_limited")
    other.set(None)


@pytest.mark.case("plain")
def test_while_paused_nothing_begins_and_after_it_everything_goes_on(case: Case) -> None:
    path = case.rig.folder / "state" / NAME
    write(path, Pause("kim", "a deploy", None))
    try:
        case.set(1)
        detail = case.wait("held")
        assert detail["reason"] == "paused"
        assert case.effects() == []
    finally:
        clear(path)
    case.wait_for_effects(1)


@pytest.mark.case("plain")
def test_a_silenced_alert_is_not_acted_upon_until_the_silence_ends(case: Case) -> None:
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "item", "value": case.item, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "kim", "comment": "a test",
    }  # fmt: skip
    number = _alertmanager(case.rig, "POST", "/api/v2/silences", silence)["silenceID"]
    case.set(1)
    until(lambda: case.rig.query(f'ALERTS{{item="{case.item}",alertstate="firing"}}'))
    # Alertmanager does not deliver what it silences; a delivery from before the silence is what can arrive
    assert case.rig.deliver({"status": "firing", "labels": case.labels(), "startsAt": now.isoformat()}) == 200

    detail = case.wait("held")

    assert answers(detail, "still_firing")[-1] == ("hold", "silenced")
    assert case.effects() == []
    _alertmanager(case.rig, "DELETE", f"/api/v2/silence/{number}", None)
    case.wait_for_effects(1)


def _alertmanager(rig: Rig, method: str, path: str, body: dict[str, Any] | None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", rig.alertmanager_port, timeout=10)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content) if content else None
    finally:
        connection.close()


@pytest.mark.case("plain")
def test_an_alert_that_prometheus_never_had_is_refused(case: Case) -> None:
    labels = case.labels() | {"item": f"{case.item}-made-up"}

    assert case.rig.deliver({"status": "firing", "labels": labels, "startsAt": datetime.now(UTC).isoformat()}) == 200

    made_up = Case(case.rig, None, labels["item"], "plain")  # type: ignore[arg-type]
    detail = made_up.wait("skipped")
    assert detail["reason"] == "unknown_to_prometheus"
    assert detail["steps"] == []


@pytest.mark.case("plain")
def test_an_alert_of_another_host_is_refused(case: Case) -> None:
    labels = case.labels() | {"instance": "elsewhere:1"}

    case.rig.deliver({"status": "firing", "labels": labels, "startsAt": datetime.now(UTC).isoformat()})

    assert case.wait("skipped")["reason"] == "not_our_host"


@pytest.mark.case("plain")
def test_a_human_only_alert_and_one_without_a_playbook_have_their_fates(case: Case) -> None:
    case.set(1, "forgotten")
    case.set(1, "unmatched")

    def fates() -> dict[str, tuple[str, str]]:
        return {alert["alertname"]: (alert["fate"], alert["reason"]) for alert in case.alerts() if alert["fate"]}

    until(lambda: len(fates()) == 2, 20)

    assert fates() == {"Forgotten": ("human_only", "human_only"), "Unmatched": ("no_playbook", "no_playbook")}


@pytest.mark.case("refused")
def test_what_the_policy_does_not_list_is_not_done(case: Case) -> None:
    case.set(1)

    detail = case.wait("skipped")

    assert detail["reason"] == "policy"
    assert "nobody" in str([said["detail"] for said in detail["decisions"] if said["guard"] == "policy"])


@pytest.mark.case("two_steps")
def test_a_resolve_between_steps_drops_the_rest_but_not_what_must_always_run(case: Case) -> None:
    case.set(1)
    case.wait_for_effects(1)
    # the second step takes its time; meanwhile the fault goes away
    case.set(0)

    until(lambda: case.remediations()[0]["state"] in ("watching", "succeeded"), 30)

    states = [(step["position"], step["state"]) for step in case.detail()["steps"]]
    assert states == [(0, "done"), (1, "done"), (2, "skipped"), (3, "done")]


@pytest.mark.case("plain")
def test_a_malformed_alert_is_kept_and_its_good_neighbour_lives(case: Case) -> None:
    case.set(1)
    until(lambda: case.rig.query(f'ALERTS{{item="{case.item}"}}'))
    good = {"status": "firing", "labels": case.labels(), "startsAt": datetime.now(UTC).isoformat()}

    assert case.rig.deliver(good, {"status": "firing", "labels": {"alertname": 7}}) == 200

    case.wait_for_effects(1)
    kept = [alert for alert in case.rig.api("/api/v1/alerts?limit=200")["items"] if alert["status"] == "malformed"]
    assert kept
    assert kept[0]["fate"] == "malformed"


@pytest.mark.case("plain")
def test_blind_decisions_hold_and_go_on_when_prometheus_answers_again(case: Case) -> None:
    prometheus = case.rig._children[0]
    path = case.rig.folder / "state" / NAME
    write(path, Pause("kim", "wait for the blindness", None))
    try:
        case.set(1)
        case.wait("held")
        os.kill(prometheus.pid, signal.SIGSTOP)
        clear(path)
        detail = until(lambda: case.remediations()[0]["reason"] == "blind" and case.detail(), 40)
        assert case.effects() == []
    finally:
        os.kill(prometheus.pid, signal.SIGCONT)
        clear(path)
    assert detail["state"] == "held"
    case.wait_for_effects(1, 30)
