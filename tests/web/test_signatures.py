"""Grafana's signatures on the hook: what is signed, when, and not twice. Any one configured credential suffices."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest

from remediator.config import Hmac
from remediator.web import Access
from remediator.web.signatures import Signatures
from selfheal.common.clock import SystemClock
from selfheal.common.secrets import Secret
from tests.web.site import HOOK_TOKEN, Answer, Site, alert, payload

SECRET = "a-secret-of-grafana-and-us"
HEADER = "X-Grafana-Alerting-Signature"
STAMP = "X-Grafana-Alerting-Timestamp"
BODY = json.dumps(payload(alert(), version="1")).encode()
WITH_TIME = Hmac(Secret(SECRET), HEADER, STAMP, 300.0)
WITHOUT = Hmac(Secret(SECRET), HEADER, None, 300.0)


def sign(covered: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), covered, hashlib.sha256).hexdigest()


def now() -> int:
    return int(SystemClock().now())


def deliver(site: Site, signature: str, stamp: str | None = None, body: bytes = BODY, **more: str) -> Answer:
    headers = {HEADER.replace("-", "_"): signature} | more
    if stamp is not None:
        headers[STAMP.replace("-", "_")] = stamp
    return site.deliver(body, **headers)


@pytest.fixture
def timed(start: Callable[..., Site]) -> Site:
    return start(Access(hmac=WITH_TIME), threads=4)


@pytest.fixture
def untimed(start: Callable[..., Site]) -> Site:
    return start(Access(hmac=WITHOUT), threads=4)


def test_a_signed_delivery_is_stored(timed: Site) -> None:
    stamp = str(now())

    assert deliver(timed, sign(stamp.encode() + b":" + BODY), stamp).status == 200
    assert len(timed.service.deliveries) == 1


@pytest.mark.parametrize("away", [-310, 310, -86_400])
def test_a_signature_of_another_time_is_refused(timed: Site, away: int) -> None:
    stamp = str(now() + away)

    assert deliver(timed, sign(stamp.encode() + b":" + BODY), stamp).status == 401
    assert timed.service.deliveries == []


@pytest.mark.parametrize("away", [-290, 290])
def test_a_clock_may_differ_by_the_tolerance(timed: Site, away: int) -> None:
    stamp = str(now() + away)

    assert deliver(timed, sign(stamp.encode() + b":" + BODY), stamp).status == 200


def test_a_delivery_that_was_stored_is_not_taken_again(timed: Site) -> None:
    stamp = str(now())
    signature = sign(stamp.encode() + b":" + BODY)

    assert [deliver(timed, signature, stamp).status for _ in range(3)] == [200, 401, 401]
    assert len(timed.service.deliveries) == 1


def test_a_delivery_that_could_not_be_stored_may_come_again(timed: Site) -> None:
    stamp = str(now())
    signature = sign(stamp.encode() + b":" + BODY)
    timed.service.full = True
    refused = deliver(timed, signature, stamp).status
    timed.service.full = False

    assert (refused, deliver(timed, signature, stamp).status) == (503, 200)


STAMPED = str(now()).encode()


@pytest.mark.parametrize(
    ("signature", "stamp"),
    [
        (sign(BODY), str(now())),
        (sign(STAMPED + b":" + BODY), None),
        (sign(STAMPED + b":" + BODY).upper(), STAMPED.decode()),
        ("sha256=" + sign(STAMPED + b":" + BODY), STAMPED.decode()),
        (sign(STAMPED + b":" + BODY, "another-secret-entirely"), STAMPED.decode()),
        (sign(STAMPED + b":" + BODY + b" "), STAMPED.decode()),
        (sign(b"x:" + BODY), "x"),
        (sign(b"-1:" + BODY), "-1"),
        ("", STAMPED.decode()),
        ("0" * 64, STAMPED.decode()),
    ],
    ids=[
        "without its time",
        "time not sent",
        "capital digits",
        "prefix",
        "other secret",
        "other body",
        "no time",
        "negative time",
        "empty",
        "zeros",
    ],
)
def test_what_is_not_signed_so_is_refused(timed: Site, signature: str, stamp: str | None) -> None:
    assert deliver(timed, signature, stamp).status == 401
    assert timed.service.deliveries == []
    assert timed.value("selfheal_deliveries_total", result="unauthorized") == 1.0


def test_without_a_header_for_the_time_only_the_body_counts_and_may_repeat(untimed: Site) -> None:
    assert [deliver(untimed, sign(BODY)).status for _ in range(2)] == [200, 200]
    assert deliver(untimed, sign(BODY + b" ")).status == 401


def test_without_a_signature_a_large_body_is_not_even_read(timed: Site) -> None:
    head = b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"

    assert timed.raw(head).startswith(b"HTTP/1.1 401 ")


def test_the_bearer_token_or_the_signature_suffices(start: Callable[..., Site]) -> None:
    site = start(Access((Secret(HOOK_TOKEN),), hmac=WITHOUT), threads=4)

    assert site.deliver(BODY, Authorization=f"Bearer {HOOK_TOKEN}").status == 200
    assert deliver(site, sign(BODY)).status == 200
    assert deliver(site, sign(BODY), Authorization="Bearer wrong-token-of-sixteen").status == 200
    assert site.deliver(BODY).status == 401


def test_grafana_may_put(timed: Site) -> None:
    stamp = str(now())
    headers = {HEADER.replace("-", "_"): sign(stamp.encode() + b":" + BODY), STAMP.replace("-", "_"): stamp}

    assert timed.ask("PUT", "/hooks/alertmanager", BODY, **headers).status == 200


def test_of_more_signatures_than_can_be_remembered_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.web.signatures.REMEMBERED", 2)
    signatures = Signatures(WITH_TIME)

    def taken(body: bytes, at: float) -> bool:
        stamp = str(int(at))
        signature = sign(stamp.encode() + b":" + body)
        environ: dict[str, object] = {
            "HTTP_X_GRAFANA_ALERTING_SIGNATURE": signature,
            "HTTP_X_GRAFANA_ALERTING_TIMESTAMP": stamp,
        }
        right = signatures.are_right(environ, body, at)
        if right:
            signatures.keep(environ, at)
        return right

    found = [taken(body, 1_000.0) for body in (b"a", b"b", b"c")] + [taken(b"c", 1_601.0)]

    assert found == [True, True, False, True]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", BODY, b'{"alerts": [7]}', b"\xff"])
def test_the_hook_answers_with_nothing_but_its_seven(guarded: Site, method: str, body: bytes) -> None:
    for more in ({}, {"Authorization": f"Bearer {HOOK_TOKEN}"}, {"Origin": "http://evil.example"}):
        for full in (False, True):
            guarded.service.full = full
            answer = guarded.ask(method, "/hooks/alertmanager", body, **more)

            assert answer.status in (200, 400, 401, 403, 405, 413, 503)
