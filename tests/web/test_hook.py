"""The hook against a real server: who may deliver, what is answered, and that nothing hostile gets a traceback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.web import Intake
from remediator.web.server import BODY_LIMIT
from tests.web.site import API_TOKEN, HOOK_TOKEN, Site, alert, payload, read_all, until

HOSTILE = [
    "'; DROP TABLE occurrence; --",
    '"quoted"',
    "$(touch /tmp/owned)",
    "`id`",
    "{{ $labels.x }}",
    "{placeholder} {0} %s",
    "line\nbreak\r\nand: header",
    "<script>alert(1)</script>",
    "\x00\x1b[2J",
    "../../etc/passwd",
    "한국어 레이블",
    "x" * 60_000,
]


def results(site: Site) -> dict[str, float]:
    names = ("stored", "malformed", "too_large", "unauthorized", "unavailable")
    return {name: count for name in names if (count := site.value("selfheal_deliveries_total", result=name) or 0.0)}


def test_an_alert_is_stored_before_the_200(site: Site) -> None:
    answer = site.deliver(payload(alert()))

    assert (answer.status, answer.body) == (200, b"")
    assert site.service.deliveries[0].alerts[0].name == "ProcessMemoryLeak"
    assert results(site) == {"stored": 1.0}


def test_put_is_taken_too_for_grafana(site: Site) -> None:
    answer = site.ask("PUT", "/hooks/alertmanager", json.dumps(payload(alert())).encode())

    assert answer.status == 200
    assert len(site.service.deliveries) == 1


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_label_text_arrives_as_the_data_it_is(site: Site, text: str) -> None:
    answer = site.deliver(payload(alert(labels={"alertname": "A", "evil": text}, annotations={"evil": text})))

    assert answer.status == 200
    assert site.service.deliveries[0].alerts[0].labels["evil"] == text
    assert site.service.deliveries[0].alerts[0].annotations["evil"] == text


def test_one_bad_alert_is_stored_as_malformed_beside_the_good_one(site: Site) -> None:
    answer = site.deliver(payload(alert(labels={"alertname": 5}), alert()))

    delivery = site.service.deliveries[0]
    assert answer.status == 200
    assert (len(delivery.alerts), len(delivery.malformed)) == (1, 1)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b"GET / HTTP/1.1\r\n\r\n"], ids=range(6))
def test_only_a_body_that_is_no_payload_is_a_400(site: Site, body: bytes) -> None:
    answer = site.deliver(body)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Bad Request"
    assert site.service.deliveries == []
    assert results(site) == {"malformed": 1.0}


def test_get_is_told_to_post(site: Site) -> None:
    answer = site.ask("GET", "/hooks/alertmanager")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_store_that_is_full_is_a_503_that_alertmanager_retries(site: Site) -> None:
    site.service.full = True

    answer = site.deliver(payload(alert()))

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert results(site) == {"unavailable": 1.0}
    assert site.value("selfheal_store_errors_total") == 1.0


def test_a_mistake_of_ours_is_a_503_without_a_word_of_it(site: Site) -> None:
    site.service.broken = True

    answer = site.deliver(payload(alert()))

    assert answer.status == 503
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert site.value("selfheal_stage_errors_total", stage="receive") == 1.0


@pytest.mark.parametrize(
    "credential",
    [None, "", "Bearer", "Bearer ", f"Bearer {HOOK_TOKEN}x", f"Basic {HOOK_TOKEN}", f"Bearer {API_TOKEN}", HOOK_TOKEN],
    ids=["none", "empty", "scheme", "blank", "longer", "basic", "the-apis", "bare"],
)
def test_a_wrong_credential_is_a_401_and_counted(guarded: Site, credential: str | None) -> None:
    headers = {} if credential is None else {"Authorization": credential}

    answer = guarded.deliver(payload(alert()), **headers)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.service.deliveries == []
    assert results(guarded) == {"unauthorized": 1.0}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_hooks_token_lets_in(guarded: Site, scheme: str) -> None:
    answer = guarded.deliver(payload(alert()), Authorization=f"{scheme} {HOOK_TOKEN}")

    assert answer.status == 200


def test_a_page_in_a_browser_cannot_deliver(site: Site) -> None:
    answer = site.deliver(payload(alert()), Origin="http://evil.example")

    assert answer.status == 403
    assert site.service.deliveries == []


def test_without_a_token_a_proxy_in_between_is_not_loopback(site: Site) -> None:
    answer = site.deliver(payload(alert()), X_Forwarded_For="203.0.113.7")

    assert answer.status == 401


def test_too_large_is_refused_before_the_body_is_read(site: Site) -> None:
    head = f"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n"

    answer = site.raw(head.encode())

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert results(site) == {"too_large": 1.0}


def test_a_body_just_below_the_limit_is_taken(site: Site) -> None:
    filler = "x" * (BODY_LIMIT - len(json.dumps(payload(alert(), filler=""))))

    answer = site.deliver(payload(alert(), filler=filler))

    assert answer.status == 200
    assert len(site.service.deliveries) == 1


def test_a_chunked_body_is_taken_and_one_beyond_the_limit_is_a_413(site: Site) -> None:
    head = b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = json.dumps(payload(alert())).encode()

    taken = site.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    refused = site.raw(head + b"%x\r\n" % (BODY_LIMIT + 1) + b"x")
    broken = site.raw(head + b"zz\r\nxx\r\n")

    assert taken.startswith(b"HTTP/1.1 200 ")
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert broken.startswith(b"HTTP/1.1 400 ")
    assert results(site) == {"stored": 1.0, "too_large": 1.0, "malformed": 1.0}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: +1\r\n", b"400"),
        (b"Content-Length: 1e3\r\n", b"400"),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"Transfer-Encoding: gzip\r\n", b"501"),
        (b"X: " + b"y" * 200_000 + b"\r\n", b"413"),
        (b"no colon\r\n", b"400"),
    ],
    ids=["negative", "signed", "float", "both-lengths", "gzip", "long-header", "no-colon"],
)
def test_requests_that_lie_about_themselves_are_refused(site: Site, headers: bytes, status: bytes) -> None:
    answer = site.raw(b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n{}")

    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"Traceback" not in answer
    assert site.service.deliveries == []


def test_an_underscore_cannot_shadow_a_real_header(guarded: Site) -> None:
    body = json.dumps(payload(alert())).encode()
    request = b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: 1\r\nContent_Length: 1\r\n"
    request += b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (HOOK_TOKEN.encode(), len(body))

    assert guarded.raw(request + body).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_ends_early_is_not_taken(site: Site) -> None:
    answer = site.raw(b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert site.service.deliveries == []


def test_expect_100_continue_is_answered_before_the_body(site: Site) -> None:
    body = json.dumps(payload(alert())).encode()
    with site.connect() as client:
        client.sendall(
            b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(body)

        assert read_all(client).startswith(b"HTTP/1.1 200 ")


def test_thirty_two_kept_connections_deliver_at_once(start: Callable[..., Site]) -> None:
    site = start(threads=48)
    body = json.dumps(payload(alert())).encode()
    request = b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def one_client(_: int) -> int:
        answered = 0
        with site.connect() as client:
            for _round in range(10):
                client.sendall(request)
                answered += client.recv(4096).startswith(b"HTTP/1.1 200 ")
        return answered

    with ThreadPoolExecutor(32) as pool:
        answered = list(pool.map(one_client, range(32)))

    assert answered == [10] * 32
    assert len(site.service.deliveries) == 320


def test_more_deliveries_at_once_than_there_are_places_are_a_503(start: Callable[..., Site]) -> None:
    intake = Intake(at_once=2)
    site = start(intake=intake, threads=8)
    site.service.gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(site.deliver, payload(alert())) for _ in range(2)]
        try:
            until(lambda: intake.in_flight() == 2)
            refused = site.deliver(payload(alert()))
            healthy = site.ask("GET", "/-/healthy")
        finally:
            site.service.gate.set()
        answers = [each.result().status for each in waiting]

    assert (refused.status, healthy.status) == (503, 200)
    assert answers == [200, 200]
    assert intake.in_flight() == 0


def test_bytes_in_flight_are_bounded_but_one_is_always_let_in() -> None:
    intake = Intake(at_once=10, bytes_at_once=100)

    assert intake.enter(1_000)
    assert not intake.enter(1)
    intake.leave(1_000)
    assert intake.enter(60)
    assert intake.enter(40)
    assert not intake.enter(1)
    assert intake.in_flight() == 2


TEXT = st.text(max_size=30)
WRONG = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXT | st.lists(TEXT, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.dictionaries(st.sampled_from(["alerts", "receiver", "truncatedAlerts", "version", "status"]), WRONG),
    part=st.dictionaries(st.sampled_from(["status", "labels", "annotations", "startsAt", "fingerprint"]), WRONG),
    end=st.integers(0, 400),
)
def test_whatever_is_sent_is_200_or_400_and_never_a_traceback(site: Site, whole: Any, part: Any, end: int) -> None:
    body = json.dumps(payload(alert(**part)) | whole).encode()

    for sent in (body, body[:end]):
        answer = site.deliver(sent)
        assert answer.status in (200, 400)
        assert b"Traceback" not in answer.body
