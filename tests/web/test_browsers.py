"""Pages of other sites, and caching: who may read, who may change, and what need not be sent again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remediator.web.api.routes import ROUTES
from selfheal.common.keys import Role
from tests.web.program import Program, running

OURS = "https://grafana.example"
THEIRS = "https://evil.example"
CACHE = {
    "/status": "private, max-age=1",
    "/dashboard": "private, max-age=2",
    "/playbooks": "private, max-age=5",
    "/policy": "private, max-age=30",
    "/openapi.json": "private, max-age=300",
    "/alerts": "private, no-cache",
    "/remediations": "private, no-cache",
    "/approvals": "private, no-cache",
    "/pause": "private, no-cache",
    "/audit": "private, no-cache",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("browsers"), f"api: {{keys_file: api.keys, cors: ['{OURS}']}}") as found:
        yield found


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("closed")) as found:
        yield found


def preflight(program: Program, origin: str, path: str = "/pause", method: str = "PUT") -> tuple[int, dict[str, str]]:
    asked = {"Origin": origin, "Access_Control_Request_Method": method}
    answer = program.ask("OPTIONS", path, role=None, **asked)
    return answer.status, {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


def test_a_listed_origin_is_told_what_it_may_without_a_credential(program: Program) -> None:
    status, headers = preflight(program, OURS)

    assert status == 204
    assert headers == {
        "access-control-allow-origin": OURS,
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PUT",
        "access-control-allow-headers": (
            "Authorization, X-API-Key, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"
        ),
        "access-control-max-age": "600",
        "access-control-expose-headers": "ETag, Retry-After",
    }


@pytest.mark.parametrize("origin", [THEIRS, "null", "https://grafana.example.evil.example", "http://grafana.example"])
def test_another_origin_is_told_nothing(program: Program, closed: Program, origin: str) -> None:
    assert preflight(program, origin) == (403, {})
    assert preflight(closed, origin) == (403, {})
    assert preflight(closed, OURS) == (403, {})


def test_beforehand_too_a_place_that_is_not_there_is_missing(program: Program) -> None:
    assert preflight(program, OURS, "/nothing") == (
        404,
        {"access-control-allow-origin": OURS, "access-control-expose-headers": "ETag, Retry-After"},
    )


def test_a_page_of_a_listed_origin_may_read_and_change(program: Program) -> None:
    read = program.ask("GET", "/status", Origin=OURS)
    changed = program.ask("PUT", "/pause", {}, Origin=OURS)
    program.ask("DELETE", "/pause")

    assert (read.status, changed.status) == (200, 200)
    assert read.headers["access-control-allow-origin"] == OURS
    assert "Origin" in read.headers["vary"]
    assert "access-control-allow-credentials" not in read.headers


def test_a_page_of_another_origin_may_change_nothing_and_read_nothing(program: Program) -> None:
    read = program.ask("GET", "/status", Origin=THEIRS)
    changed = program.ask("PUT", "/pause", {}, Origin=THEIRS)

    assert "access-control-allow-origin" not in read.headers
    assert changed.status == 403
    assert program.ask("GET", "/pause").json()["paused"] is None


def test_our_own_pages_may_change(closed: Program) -> None:
    host, port = closed.app.server.address

    assert closed.ask("PUT", "/pause", {}, Origin=f"http://{host}:{port}").status == 200
    assert closed.ask("DELETE", "/pause", Origin=f"http://{host}:{port + 1}").status == 403
    closed.ask("DELETE", "/pause")


@pytest.mark.parametrize("path", CACHE)
def test_what_has_not_changed_is_not_sent_again(program: Program, path: str) -> None:
    if path == "/status":
        program.app.engine.idle()
    first = program.ask("GET", path)
    again = program.ask("GET", path, If_None_Match=first.headers["etag"])
    other = program.ask("GET", path, If_None_Match='"something-else"')

    assert (first.status, first.headers["cache-control"]) == (200, CACHE[path])
    if again.headers["etag"] == first.headers["etag"]:
        assert (again.status, again.body) == (304, b"")
    assert other.status == 200
    assert {"Authorization", "X-API-Key"} <= {part.strip() for part in first.headers["vary"].split(",")}


def test_what_has_changed_is_sent_with_another_tag(program: Program) -> None:
    first = program.ask("GET", "/pause")
    program.ask("PUT", "/pause", {"why": "new"})
    second = program.ask("GET", "/pause", If_None_Match=first.headers["etag"])
    program.ask("DELETE", "/pause")
    third = program.ask("GET", "/pause", If_None_Match=first.headers["etag"])

    assert (second.status, second.json()["paused"]["why"]) == (200, "new")
    assert third.status == 304


def test_a_refusal_and_what_changes_something_are_never_cached(program: Program) -> None:
    assert program.ask("GET", "/remediations/4711").headers["cache-control"] == "no-store"
    assert program.ask("POST", "/control/healing/start", {}).headers["cache-control"] == "no-store"
    assert program.ask("GET", "/status", role=None).headers["cache-control"] == "no-store"


def test_head_tells_the_same_without_a_body(program: Program) -> None:
    got, told = program.ask("GET", "/policy"), program.ask("HEAD", "/policy")

    assert (told.status, told.body, told.headers["etag"]) == (200, b"", got.headers["etag"])


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET" and r.query], ids=lambda r: str(r.path))
def test_every_list_is_read_in_pages_and_knows_its_questions(program: Program, route: object) -> None:
    path = route.path  # type: ignore[attr-defined]

    assert program.ask("GET", f"{path}?limit=1").json().keys() >= {"items", "next"}
    for wrong in ("limit=0", "limit=501", "limit=x", "limit=1&limit=2", "cursor=x", "cursor=-1", "nonsense=1"):
        assert program.ask("GET", f"{path}?{wrong}").status == 400


def test_a_body_that_is_too_large_or_no_json_is_refused(program: Program) -> None:
    assert program.ask("PUT", "/pause", b"{" + b" " * 70_000 + b"}").status == 413
    for body in (b"", b"{", b"[]", b"7", b'{"hard": NaN}', b"\xff", b"[" * 60_000):
        assert program.ask("PUT", "/pause", body).status == 400
    assert program.ask("PUT", "/pause", b"{}", Content_Type="text/plain").status == 415


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"hard": "true"},
        {"for": "soon"},
        {"for": "0s"},
        {"for": 30},
        {"why": "two\nlines"},
        {"why": "x" * 1025},
        {"who": ""},
        {"why": "half \ud800"},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_kind_is_a_400_that_names_it(program: Program, body: dict[str, object]) -> None:
    answer = program.ask("PUT", "/pause", body)

    assert answer.status == 400
    assert next(iter(body)) in answer.json()["detail"]
    assert program.ask("GET", "/pause", role=Role.VIEWER).json()["paused"] is None
