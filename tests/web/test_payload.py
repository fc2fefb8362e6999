"""Webhook bodies, judged alert by alert."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model import fingerprint
from remediator.web.payload import LABELS_LIMIT, MALFORMED_LIMIT, VALUE_LIMIT, NotAPayload, cut, parse
from tests.web.site import alert, payload


def deliver(*alerts: Any, **more: Any) -> Any:
    return parse(json.dumps(payload(*alerts, **more)).encode())


def test_what_alertmanager_sends_is_read_whole() -> None:
    found = deliver(alert(), alert(status="resolved", endsAt="2026-01-01T00:01:00Z"), truncatedAlerts=3)

    assert (found.receiver, found.version, found.truncated, found.malformed) == ("selfheal", "4", 3, ())
    first, second = found.alerts
    assert (first.status, second.status) == ("firing", "resolved")
    assert first.labels == {"alertname": "ProcessMemoryLeak", "instance": "web-1", "groupname": "worker"}
    assert first.annotations == {"summary": "worker leaks"}
    assert first.starts_at == 1_767_225_600.123456
    assert first.fingerprint == "abcdef0123456789"
    assert first.generator_url == "http://127.0.0.1:9090/graph?g0.expr=up"
    assert (first.ends_at, second.ends_at) == (None, 1_767_225_660.0)


@pytest.mark.parametrize(
    ("status", "told", "ended"),
    [
        pytest.param("resolved", "2026-01-01T00:01:00.5Z", 1_767_225_660.5, id="told"),
        pytest.param("resolved", "0001-01-01T00:00:00Z", None, id="the zero time"),
        pytest.param("resolved", None, None, id="null"),
        pytest.param("resolved", "later", None, id="no time"),
        pytest.param("resolved", 1_767_225_660, None, id="a number"),
        pytest.param("firing", "2026-01-01T00:01:00Z", None, id="the time limit of one that fires"),
    ],
)
def test_when_it_ended_is_known_only_of_a_resolved_alert_that_says_so(
    status: str, told: Any, ended: float | None
) -> None:
    found = deliver(alert(status=status, endsAt=told))

    assert found.malformed == ()
    assert [each.ends_at for each in found.alerts] == [ended]


def test_grafana_and_unknown_fields_do_not_disturb() -> None:
    extra = alert(values={"A": 1.5}, silenceURL="http://x", dashboardURL=None, panelURL=7)

    found = deliver(extra, version="1", orgId=1, title="[FIRING:1]", state="alerting", message="m")

    assert len(found.alerts) == 1
    assert found.version == "1"


def test_absent_optional_fields_are_allowed() -> None:
    bare = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-01-01T00:00:00Z"}

    found = parse(json.dumps({"alerts": [bare]}).encode())

    assert found.malformed == ()
    assert found.alerts[0].annotations == {}
    assert found.alerts[0].fingerprint == fingerprint({"alertname": "A"})


def test_a_computed_fingerprint_is_alertmanagers() -> None:
    # FNV-1a over "alertname" ff "a" ff, worked out by hand from the published constants
    expected = 0xCBF29CE484222325
    for byte in b"alertname\xffa\xff":
        expected = ((expected ^ byte) * 0x100000001B3) % 2**64

    assert fingerprint({"alertname": "a"}) == f"{expected:016x}"
    assert fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "12", "b": ""})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not UTF-8"),
        (b"[]", "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b'"alerts"', "the body is not a JSON object"),
        (b"{}", "the body has no list named alerts"),
        (b'{"alerts": null}', "the body has no list named alerts"),
        (b'{"alerts": {}}', "the body has no list named alerts"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"alerts": ' + b"[" * 100_000, "the body is not JSON"),
    ],
    ids=["empty", "half", "bytes", "list", "null", "text", "object", "alerts-null", "alerts-object", "deep", "deep-in"],
)
def test_what_is_no_payload_is_refused_with_what_is_missing(body: bytes, message: str) -> None:
    with pytest.raises(NotAPayload) as caught:
        parse(body)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("text", "the alert is not an object"),
        (None, "the alert is not an object"),
        (alert(status="pending"), "status must be firing or resolved"),
        (alert(status=["firing"]), "status must be firing or resolved"),
        (alert(labels=None), "labels must be an object"),
        (alert(labels=[["alertname", "a"]]), "labels must be an object"),
        (alert(labels={}), "there is no label alertname"),
        (alert(labels={"alertname": ""}), "there is no label alertname"),
        (alert(labels={"alertname": "A", "n": 5}), "label 'n' must be text"),
        (alert(labels={"alertname": "A", "n": None}), "label 'n' must be text"),
        (alert(labels={"alertname": "A", "n": {}}), "label 'n' must be text"),
        (alert(labels={"alertname": "A", "n": "\ud800"}), "label 'n' holds half a character (a lone surrogate)"),
        (alert(labels={"alertname": "A", "\ud800": "n"}), "a label's name holds half a character (a lone surrogate)"),
        (alert(annotations=[]), "annotations must be an object"),
        (alert(annotations={"summary": 1}), "annotation 'summary' must be text"),
        (alert(startsAt=None), "startsAt must be an RFC 3339 time"),
        (alert(startsAt=1767225600), "startsAt must be an RFC 3339 time"),
        (alert(startsAt="yesterday"), "startsAt must be an RFC 3339 time"),
        (alert(startsAt="2026-01-01T00:00:00"), "startsAt must be an RFC 3339 time"),
        (alert(startsAt="0001-01-01T00:00:00Z"), "startsAt must lie between the years 1970 and 9998"),
        (alert(startsAt="9999-12-31T23:59:59-14:00"), "startsAt must lie between the years 1970 and 9998"),
        (alert(fingerprint=7), "fingerprint must be at most 64 letters and digits"),
        (alert(fingerprint="a" * 65), "fingerprint must be at most 64 letters and digits"),
        (alert(fingerprint="../../etc"), "fingerprint must be at most 64 letters and digits"),
        (alert(generatorURL=5), "generatorURL must be text"),
    ],
)
def test_a_bad_alert_is_kept_with_its_problem_and_the_good_one_lives(bad: Any, problem: str) -> None:
    found = deliver(bad, alert())

    assert len(found.alerts) == 1
    assert [text for _, text in found.malformed] == [problem]
    # half characters could not be stored
    assert found.malformed[0][0].encode("utf-8")


@pytest.mark.parametrize(("size", "kept"), [(VALUE_LIMIT, True), (VALUE_LIMIT + 1, False)], ids=["at", "above"])
def test_a_label_beyond_the_limit_makes_the_alert_malformed(size: int, kept: bool) -> None:
    found = deliver(alert(labels={"alertname": "A", "big": "x" * size}))

    assert len(found.alerts) == int(kept)
    if not kept:
        text, problem = found.malformed[0]
        assert problem == f"label 'big' is {size} bytes long, at most {VALUE_LIMIT} are taken"
        assert len(text.encode()) <= VALUE_LIMIT
        assert "[cut: " in text


def test_a_megabyte_in_a_label_does_not_hide_what_follows_it() -> None:
    found = deliver(alert(labels={"alertname": "A", "big": "x" * 1_000_000, "z": "after"}))

    text = found.malformed[0][0]
    assert " [cut: 1000000 bytes]" in text
    assert '"z": "after"' in text
    assert len(text.encode()) <= VALUE_LIMIT


def test_all_labels_together_are_bounded() -> None:
    many = {"alertname": "A"} | {f"l{index}": "x" * 60_000 for index in range(5)}

    found = deliver(alert(labels=many))

    assert sum(map(len, many.values())) > LABELS_LIMIT
    assert "the labels are" in found.malformed[0][1]


def test_a_long_annotation_is_cut_with_the_cut_marked_and_the_alert_lives() -> None:
    found = deliver(alert(annotations={"summary": "ü" * 50_000}))

    kept = found.alerts[0].annotations["summary"]
    assert kept.endswith(" [cut: 100000 bytes]")
    assert len(kept.encode()) <= VALUE_LIMIT


@pytest.mark.parametrize("length", [63, 64, 65])
def test_a_cut_keeps_within_its_limit(length: int) -> None:
    found = cut("x" * length, 64)

    assert len(found) <= 64
    assert (found == "x" * length) is (length <= 64)


def test_a_flood_of_malformed_alerts_becomes_one_entry_that_counts_them() -> None:
    found = deliver(*[0] * (MALFORMED_LIMIT + 5))

    assert len(found.malformed) == MALFORMED_LIMIT + 1
    assert found.malformed[-1] == ("", "5 more malformed alerts of this delivery were not kept one by one")


def test_a_number_of_ten_thousand_digits_spoils_only_its_own_alert() -> None:
    body = json.dumps(payload(alert(), "PLACE")).replace('"PLACE"', '{"status": ' + "9" * 10_000 + "}")

    found = parse(body.encode())

    assert (len(found.alerts), len(found.malformed)) == (1, 1)


@pytest.mark.parametrize(("given", "kept"), [(3, 3), (-1, 0), (True, 0), ("3", 0), (2**40, 0), (None, 0)])
def test_truncated_alerts_must_be_a_believable_number(given: Any, kept: int) -> None:
    assert deliver(alert(), truncatedAlerts=given).truncated == kept


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20)
JSON_VALUES = st.deferred(
    lambda: leaves | st.lists(JSON_VALUES, max_size=4) | st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4)
)
FIELDS = ["status", "labels", "annotations", "startsAt", "fingerprint", "generatorURL", "endsAt"]


@settings(max_examples=200, deadline=None)
@given(changed=st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES), beside=JSON_VALUES)
def test_no_alert_however_wrong_spoils_its_neighbour_or_what_can_be_stored(changed: Any, beside: Any) -> None:
    found = deliver(alert(**changed), beside, alert())

    assert found.alerts[-1].labels["instance"] == "web-1"
    for text, problem in found.malformed:
        assert len(text.encode("utf-8")) <= VALUE_LIMIT
        assert problem.encode("utf-8")
    for each in found.alerts:
        assert all(isinstance(value, str) for value in each.labels.values())
        json.dumps([dict(each.labels), dict(each.annotations)], ensure_ascii=False).encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_delivery_or_no_payload(body: bytes) -> None:
    try:
        found = parse(body)
    except NotAPayload as error:
        assert str(error).startswith("the body")
    else:
        assert found.alerts == ()
