"""HTTP is asked within a deadline, whatever the server does, and judged as configured."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.probe import dial
from exporter.probe.model import HeaderRule, Http, Probe, Reason
from exporter.probe.run import Prober, Verdict
from selfheal.common.clock import SystemClock
from selfheal.common.re2 import Expression, compile_re2
from tests.exporter.probing import Service, answering, http_answer, read_head, serving


def ask(wanted: Http, timeout: float = 10) -> Verdict:
    return Prober(Probe("test", wanted, 15, timeout), SystemClock()).run()


def ask_for(answer: bytes, wanted: Http | None = None) -> Verdict:
    """Ask a server that gives this answer to everyone."""
    with serving(answering(answer)) as service:
        return ask(replace(wanted or Http(""), url=f"{service.url}/"))


def body_pattern(text: str) -> tuple[Expression, ...]:
    return (compile_re2(text),)


def test_a_good_answer_is_told_with_all_its_facts_and_phases() -> None:
    modified = "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT"
    with serving(answering(http_answer(b"hello", "200 OK", modified))) as service:
        verdict = ask(Http(f"{service.url}/health?x=1"))

    assert (verdict.reason, verdict.text) == (None, "")
    facts = dict(verdict.found.facts)
    assert facts.pop("dns_lookup_time") > 0
    assert facts == {
        "failed_due_to_regex": 0,
        "http_content_length": 5,
        "http_last_modified": 1640995200.0,
        "http_redirects": 0,
        "http_ssl": 0,
        "http_status_code": 200,
        "http_uncompressed_body_length": 5,
        "http_version": 1.1,
        # as blackbox_exporter has it for 127.0.0.1
        "ip_addr_hash": 3_668_918_509,
        "ip_protocol": 4,
    }
    assert set(verdict.found.phases) == {"resolve", "connect", "processing", "transfer"}
    assert 0 < sum(verdict.found.phases.values()) <= verdict.seconds
    assert service.asked[0].startswith(b"GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("status", "valid", "reason"),
    [
        ("199 X", (), "the status is 199, not 2xx"),
        ("200 OK", (), ""),
        ("299 X", (), ""),
        ("300 X", (), "the status is 300, not 2xx"),
        ("404 Not Found", (200, 404), ""),
        ("200 OK", (204, 404), "the status is 200, not 204, 404"),
    ],
)
def test_the_status_decides(status: str, valid: tuple[int, ...], reason: str) -> None:
    # a number below 200 announces another answer, so it stands before one that never is one
    verdict = ask_for(http_answer(b"", status), Http("", valid_status_codes=valid))

    assert (verdict.text, verdict.reason) == (reason, Reason.STATUS if reason else None)
    assert verdict.found.facts["http_status_code"] == int(status[:3])


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Http("", fail_if_body_matches=body_pattern("err")), "the body matches err"),
        (Http("", fail_if_body_matches=body_pattern("fatal")), ""),
        (Http("", fail_if_body_not_matches=body_pattern("an err.r$")), ""),
        (Http("", fail_if_body_not_matches=body_pattern("fine")), "the body does not match fine"),
        (Http("", fail_if_header_matches=(HeaderRule("x-mode", compile_re2("^debug$")),)),
         "the header x-mode matches ^debug$"),
        (Http("", fail_if_header_not_matches=(HeaderRule("X-Mode", compile_re2("production")),)),
         "the header X-Mode does not match production"),
        (Http("", fail_if_header_not_matches=(HeaderRule("X-Mode", compile_re2("debug")),)), ""),
        (Http("", fail_if_header_not_matches=(HeaderRule("X-None", compile_re2("x")),)),
         "the header X-None is missing"),
        (Http("", fail_if_header_matches=(HeaderRule("X-None", compile_re2("x")),)), "the header X-None is missing"),
        (Http("", fail_if_header_matches=(HeaderRule("X-None", compile_re2("x"), allow_missing=True),)), ""),
    ],
    ids=[
        "body-matches", "body-matches-not", "body-needed-there", "body-needed-missing", "header-matches",
        "header-differs", "header-fine", "header-missing", "header-missing-forbidden", "header-may-miss",
    ],
)  # fmt: skip
def test_patterns_decide_and_say_so(wanted: Http, text: str) -> None:
    verdict = ask_for(http_answer(b"an error", "200 OK", "X-Mode: debug"), wanted)

    assert (verdict.text, verdict.reason) == (text, Reason.REGEX if text else None)
    assert verdict.found.facts["failed_due_to_regex"] == int(bool(text))


@pytest.mark.parametrize("pattern", ["(a+)+$", ".*a.*a.*b", r"(?:\pL|a)+!$"])
def test_no_body_can_keep_the_program_from_going_on(pattern: str) -> None:
    wanted = Http("", fail_if_body_matches=body_pattern(pattern))
    begun = time.process_time()

    assert ask_for(http_answer(b"a" * 1_000_000 + b"\xff?"), wanted).text == ""
    assert time.process_time() - begun < 5


def test_a_body_that_is_no_utf_8_is_searched_as_in_go() -> None:
    assert ask_for(http_answer(b"caf\xe9 closed"), Http("", fail_if_body_matches=body_pattern("caf. closed$"))).text


@pytest.mark.parametrize(
    ("wanted", "reason", "text"),
    [
        (Http("", fail_if_not_ssl=True), Reason.TLS, "the connection is not encrypted"),
        (Http("", valid_http_versions=("HTTP/1.0",)), Reason.STATUS, "the version is HTTP/1.1, not HTTP/1.0"),
    ],
)
def test_version_and_encryption_decide(wanted: Http, reason: Reason, text: str) -> None:
    verdict = ask_for(http_answer(), wanted)

    assert (verdict.reason, verdict.text) == (reason, text)


def test_a_request_is_sent_as_configured_and_its_secrets_are_read_each_time(tmp_path: Path) -> None:
    password = tmp_path / "password"
    with serving(answering(http_answer())) as service:
        prober = Prober(
            Probe("test", Http(
                service.url, "POST", (("X-Key", "a"), ("user-agent", "me")), b'{"a":1}', username="monitor",
                password_file=password,
            ), 15, 10),
            SystemClock(),
        )  # fmt: skip
        for text in ("first", "second\n"):
            password.write_text(text)
            assert prober.run().reason is None

    head, _, body = service.asked[1].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST / HTTP/1.1"
    assert {"X-Key: a", "User-Agent: me", "Content-Length: 7", "Connection: close"} <= set(lines)
    assert f"Authorization: Basic {base64.b64encode(b'monitor:second').decode()}" in lines
    assert body == b'{"a":1}'


def test_a_token_is_sent_as_a_bearer(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    with serving(answering(http_answer())) as service:
        ask(Http(service.url, token_file=tmp_path / "token"))

    assert b"\r\nAuthorization: Bearer abc\r\n" in service.asked[0]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read {}: FileNotFoundError"),
        ("", "{} must hold one line"),
        ("hush\r\nX: 1", "{} must hold one line"),
    ],
    ids=["missing", "empty", "two-lines"],
)
def test_a_bad_secret_fails_the_probe_and_is_not_told(tmp_path: Path, content: str | None, text: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    verdict = ask(Http("http://127.0.0.1:1/", token_file=file))

    assert (verdict.reason, verdict.text) == (Reason.SECRET, text.format(file))


def test_redirects_are_followed_and_counted() -> None:
    answers = [
        http_answer(b"", "302 Found", "Location: /b?x=ü"),
        http_answer(b"", "301 Moved", "Location: c"),
        http_answer(),
    ]
    with serving(answering(*answers)) as service:
        verdict = ask(Http(f"{service.url}/a/", "POST", body=b"x"))

    assert verdict.reason is None
    assert verdict.found.facts["http_redirects"] == 2
    assert [asked.split(b" HTTP")[0] for asked in service.asked] == [b"POST /a/", b"GET /b?x=%C3%BC", b"GET /c"]


@pytest.mark.parametrize(("status", "line"), [(307, b"POST /b"), (308, b"POST /b"), (303, b"GET /b")])
def test_only_307_and_308_repeat_a_request(status: int, line: bytes) -> None:
    with serving(answering(http_answer(b"", f"{status} X", "Location: /b"), http_answer())) as service:
        ask(Http(service.url, "POST", body=b"x"))

    assert service.asked[1].startswith(line)


def test_a_redirect_loop_ends() -> None:
    with serving(answering(http_answer(b"", "302 Found", "Location: /"))) as service:
        verdict = ask(Http(service.url))

    assert (verdict.reason, verdict.text) == (Reason.REDIRECT, "more than 10 redirects")
    assert len(service.asked) == 11


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://", "http://[", "javascript:alert(1)"])
def test_a_redirect_to_what_is_no_http_url_is_not_followed(location: str) -> None:
    verdict = ask_for(http_answer(b"", "302 Found", f"Location: {location}"))

    assert verdict.reason is Reason.REDIRECT


def test_a_redirect_is_judged_when_it_is_not_to_be_followed() -> None:
    wanted = Http("", follow_redirects=False, valid_status_codes=(302,))

    assert ask_for(http_answer(b"", "302 Found", "Location: /"), wanted).reason is None


def test_passwords_and_headers_go_to_no_other_server(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    with serving(answering(http_answer())) as other:
        away = http_answer(b"", "302 Found", f"Location: {other.url}/")
        with serving(answering(away)) as service:
            wanted = Http(service.url, token_file=tmp_path / "token", headers=(("X-Key", "hush"),))
            assert ask(wanted).reason is None

    assert b"Bearer abc" in service.asked[0]
    assert b"hush" in service.asked[0]
    assert b"Authorization" not in other.asked[0]
    assert b"hush" not in other.asked[0]


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        (b"", Reason.PROTOCOL, "the answer is no HTTP: the connection was closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL, "the answer is no HTTP: BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", Reason.PROTOCOL, "the answer is no HTTP: HTTPException"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70000 + b"\r\n\r\n", Reason.PROTOCOL, "the answer is no HTTP: LineTooLong"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", Reason.PROTOCOL,
         "the body is broken: 5 bytes are missing"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Reason.PROTOCOL,
         "the body is broken: it ends too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx", Reason.PROTOCOL, None),
        (http_answer(b"x" * (1 << 20)), None, ""),
        (http_answer(b"x" * ((1 << 20) + 1)), Reason.SIZE, "the body is larger than 1048576 bytes"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (1 << 21), Reason.SIZE, "the body is larger than 1048576 bytes"),
    ],
    ids=[
        "nothing", "ssh", "many-headers", "long-header", "short", "chunk", "huge-length", "at-limit", "above",
        "endless",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_or_too_large_fails(answer: bytes, reason: Reason | None, text: str | None) -> None:
    verdict = ask_for(answer)

    if text is None:
        # Python's versions judge such a length differently; none of them is fooled
        assert verdict.found.facts["http_content_length"] in (0, -1)
    else:
        assert (verdict.reason, verdict.text) == (reason, text)


def drip(service: Service, sock: socket.socket) -> None:
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not service.ended.wait(0.01):
        sock.sendall(b"x")


def drip_head(service: Service, sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
    while not service.ended.wait(0.01):
        sock.sendall(b"x")


def hang(service: Service, sock: socket.socket) -> None:
    read_head(sock)
    service.ended.wait(20)


@pytest.mark.parametrize(
    ("handle", "text"),
    [(hang, "no answer in time"), (drip_head, "no answer in time"), (drip, "the body did not end in time")],
    ids=["hanging", "dripping-head", "dripping-body"],
)
def test_a_slow_server_does_not_win_time(handle: object, text: str) -> None:
    with serving(handle) as service:  # type: ignore[arg-type]
        verdict = ask(Http(service.url), timeout=0.3)

    assert verdict.reason is Reason.TIMEOUT
    assert verdict.text in (text, "it did not end in time")
    assert 0.3 <= verdict.seconds < 5


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, kept from others."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_nobody_at_the_address_fails_and_every_fact_is_there(closed_port: int) -> None:
    verdict = ask(Http(f"http://127.0.0.1:{closed_port}/"))

    assert (verdict.reason, verdict.text) == (
        Reason.CONNECT, f"cannot connect to 127.0.0.1:{closed_port}: connection refused",
    )  # fmt: skip
    assert verdict.found.facts["http_status_code"] == 0


def test_a_name_without_address_fails() -> None:
    verdict = ask(Http("http://nobody.invalid/"))

    assert verdict.reason is Reason.RESOLVE
    assert verdict.text.startswith("cannot resolve nobody.invalid: ")


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hang) as service:
        monkeypatch.setattr(dial, "_look_up", lambda *_: service.ended.wait(20) and [])
        verdict = ask(Http("http://name.test/"), timeout=0.05)

    assert (verdict.reason, verdict.text) == (Reason.TIMEOUT, "name.test was not resolved in time")


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(http_answer())) as service:
        places = [
            dial.Address(socket.AF_INET6, "::1", service.port),
            dial.Address(socket.AF_INET, "127.0.0.1", service.port),
        ]
        monkeypatch.setattr(dial, "_look_up", lambda *_: places)
        verdict = ask(Http(f"http://name.test:{service.port}/"))

    assert verdict.reason is None
    assert verdict.found.facts["ip_protocol"] == 4


@pytest.mark.parametrize(
    ("prefer", "fall_back", "protocol"), [("ip4", True, 4), ("ip6", True, 4), ("ip6", False, None), (None, True, 4)]
)
def test_the_wanted_kind_of_address_comes_first(prefer: str | None, fall_back: bool, protocol: int | None) -> None:
    with serving(answering(http_answer())) as service:
        probe = Probe("test", Http(service.url), 15, 10, prefer, fall_back)  # type: ignore[arg-type]
        verdict = Prober(probe, SystemClock()).run()

    assert verdict.found.facts["ip_protocol"] == (protocol or 0)
    assert verdict.reason is (None if protocol else Reason.RESOLVE)
