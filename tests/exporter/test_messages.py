"""HTTP messages, the good and the bad, without a socket."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.messages import BadRequestError, Request, Response, parse_request, render_response

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("head", "path", "query", "keep_alive"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: a", "/metrics", "", True),
        (b"GET /m%65trics?a=%41 HTTP/1.1\r\nhost:a\r\nConnection: close", "/metrics", "a=%41", False),
        (b"GET http://a:1/-/healthy HTTP/1.1\r\nHost: a", "/-/healthy", "", True),
        (b"GET / HTTP/1.0", "/", "", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", "/", "", True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5", "/", "", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked", "/", "", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0", "/", "", True),
    ],
)
def test_a_good_head_is_read(head: bytes, path: str, query: str, keep_alive: bool) -> None:
    request = parse_request(head)

    assert (request.path, request.query, request.keep_alive) == (path, query, keep_alive)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET /", 400),
        (b"GET / HTTP/1.1 x", 400),
        (b"G ET / HTTP/1.1", 400),
        (b"G\x01T / HTTP/1.1\r\nHost: a", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET / FTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/2.0\r\nHost: a", 505),
        (b"GET x HTTP/1.1\r\nHost: a", 400),
        (b"GET file:///etc HTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost a", 400),
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/1.1\r\n folded: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        # what a proxy may take for the end of a line, and for a length that is not ours
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nContent-Length: 5", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0", 400),
        (b"GET /\nX HTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 2", 400),
    ],
)
def test_a_bad_head_is_refused_with_its_status(head: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_request(head)

    assert caught.value.status == status


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(head: bytes) -> None:
    try:
        parse_request(head)
    except BadRequestError as error:
        assert error.status in (400, 505)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ("gzip", True),
        ("identity, GZIP;q=0.5", True),
        ("gzip;q=1.0", True),
        ("x-gzip", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_used_only_when_offered(offered: str, taken: bool) -> None:
    assert Request("GET", "/", "", {"accept-encoding": offered}, True).takes_gzip is taken


def test_a_response_is_one_run_of_bytes_with_its_length() -> None:
    request = Request("GET", "/", "", {}, True)

    assert render_response(Response(404, b"no\n", headers={"X-A": "b"}), request, NOW) == (
        b"HTTP/1.1 404 Not Found\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 3\r\nConnection: keep-alive\r\nX-Content-Type-Options: nosniff\r\nX-A: b\r\n\r\nno\n"
    )


def test_a_head_request_gets_the_length_and_no_body() -> None:
    answer = render_response(Response(200, b"body"), Request("HEAD", "/", "", {}, False), NOW)

    assert b"Content-Length: 4\r\n" in answer
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_large_body_is_compressed_and_a_small_one_is_not() -> None:
    request = Request("GET", "/", "", {"accept-encoding": "gzip"}, True)
    large = render_response(Response(200, b"x" * 5000), request, NOW)

    assert b"Content-Encoding: gzip\r\n" in large
    assert b"Vary: Accept, Accept-Encoding\r\n" in large
    assert gzip.decompress(large.partition(b"\r\n\r\n")[2]) == b"x" * 5000
    assert b"gzip" not in render_response(Response(200, b"x" * 500), request, NOW)


def test_more_headers_are_added_and_an_answers_own_win() -> None:
    response = Response(200, b"", headers={"X-A": "own"})

    assert response.with_headers({"X-A": "other", "X-B": "b"}).headers == {"X-A": "own", "X-B": "b"}
    assert response.with_headers({}) is response


def test_a_status_of_a_collectors_page_may_be_any() -> None:
    assert render_response(Response(207, b""), None, NOW).startswith(b"HTTP/1.1 207 Other\r\n")
