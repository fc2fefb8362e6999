"""Who may ask what: every route with no credential, with each lesser role, with the right one; keys and their file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from werkzeug.test import create_environ

from remediator.web import Access
from remediator.web.access import Caller
from remediator.web.api import Api
from remediator.web.api.routes import ROUTES
from selfheal.common.keys import ApiKey, Role, add_key, digest_of, find_key, new_key, read_keys
from selfheal.common.secrets import Secret
from tests.web.program import Program, running
from tests.web.site import API_TOKEN, FakeService

V, OP, AP, A = Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.ADMIN
LEAST = {
    "GET /status": V,
    "GET /metrics/current": V,
    "GET /dashboard": V,
    "GET /remediations": V,
    "GET /remediations/<id>": V,
    "POST /remediations/<id>/settle": OP,
    "POST /remediations/<id>/cancel": OP,
    "GET /alerts": V,
    "GET /playbooks": V,
    "GET /playbooks/<name>": V,
    "POST /playbooks/<name>/run": OP,
    "GET /approvals": V,
    "GET /approvals/<id>": V,
    "POST /approvals/<id>/grant": AP,
    "POST /approvals/<id>/refuse": AP,
    "GET /pause": V,
    "PUT /pause": OP,
    "DELETE /pause": OP,
    "GET /trust": V,
    "GET /trust/<name>": V,
    "POST /trust/<name>/promote": A,
    "POST /trust/<name>/demote": OP,
    "GET /breakers": V,
    "POST /breakers/<name>/reset": OP,
    "GET /policy": V,
    "GET /audit": OP,
    "GET /audit/verify": OP,
    "GET /audit/export": OP,
    "GET /events": V,
    "POST /control/monitoring/stop": A,
    "POST /control/monitoring/start": A,
    "POST /control/healing/stop": OP,
    "POST /control/healing/start": OP,
    "GET /openapi.json": V,
}
"""Written out a second time on purpose: whoever changes what a role may do changes it here too."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("access")) as found:
        yield found


def split(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    return method, path.replace("<id>", "4711").replace("<name>", "nobody")


def body(method: str) -> dict[str, str] | None:
    return None if method == "GET" else {}


def test_the_table_of_roles_is_the_table_of_routes() -> None:
    assert {f"{route.method} {route.path}": route.role for route in ROUTES} == LEAST


@pytest.mark.parametrize("route", LEAST)
def test_without_a_credential_nothing_is_answered(program: Program, route: str) -> None:
    method, path = split(route)

    for headers in ({}, {"X_API_Key": ""}, {"X_API_Key": new_key()}, {"Authorization": f"Bearer {new_key()}"}):
        answer = program.ask(method, path, body(method), role=None, **headers)

        assert answer.status == 401
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", LEAST)
def test_a_lesser_role_is_refused_by_name(program: Program, route: str) -> None:
    method, path = split(route)

    for role in Role:
        if not role.may(LEAST[route]):
            answer = program.ask(method, path, body(method), role)

            assert answer.status == 403
            assert answer.json()["detail"] == f"this needs the role {LEAST[route].value}; {role.value} is {role.value}"


@pytest.mark.parametrize("route", LEAST)
def test_the_least_role_and_every_greater_one_is_let_in_by_both_headers(program: Program, route: str) -> None:
    method, path = split(route)

    for role in Role:
        if role.may(LEAST[route]):
            key = program.keys[role]

            assert program.ask(method, path, body(method), role).status not in (401, 403)
            bearer = program.ask(method, path, body(method), None, Authorization=f"Bearer {key}")
            assert bearer.status not in (401, 403)


@pytest.mark.parametrize(
    "path", ["/nothing", "/", "", "/remediations/1/nothing", "//status", "/status/", "/%2e%2e/status"]
)
def test_unknown_places_are_refused_to_strangers_and_missing_for_the_known(program: Program, path: str) -> None:
    assert program.ask("GET", path, role=None).status == 401
    assert program.ask("GET", path).status == 404


def test_a_method_that_is_not_in_the_table_is_refused_with_those_that_are(program: Program) -> None:
    answer = program.ask("PATCH", "/pause")

    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")
    assert program.ask("PATCH", "/pause", role=None).status == 401


def test_a_key_is_not_taken_as_a_password_or_from_the_address(program: Program) -> None:
    key = program.keys[Role.ADMIN]

    assert program.ask("GET", "/status", role=None, Authorization=f"Basic {key}").status == 401
    assert program.ask("GET", f"/status?api_key={key}", role=None).status == 401


def test_history_names_the_key_whatever_the_request_says(program: Program) -> None:
    program.ask("PUT", "/pause", {"why": "a", "who": "somebody"}, Role.OPERATOR)
    said = program.ask("GET", "/pause").json()["paused"]["who"]
    program.ask("DELETE", "/pause")
    program.ask("PUT", "/pause", {"why": "a"}, Role.OPERATOR)
    unsaid = program.ask("GET", "/pause").json()["paused"]["who"]
    program.ask("DELETE", "/pause")

    assert (said, unsaid) == ("somebody (operator)", "operator")


def test_a_key_is_rotated_without_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        path = tmp_path / "api.keys"
        second = add_key(path, "viewer", Role.VIEWER)
        both = [program.ask("GET", "/status", role=None, X_API_Key=key).status for key in (program.keys[V], second)]
        lines = [line for line in path.read_text().splitlines() if digest_of(program.keys[V]) not in line]
        path.write_text("\n".join(lines))
        left = [program.ask("GET", "/status", role=None, X_API_Key=key).status for key in (program.keys[V], second)]
        path.chmod(0o644)
        open_to_others = program.ask("GET", "/status", role=None, X_API_Key=second).status
        path.chmod(0o600)

        assert (both, left, open_to_others) == ([200, 200], [401, 200], 401)
        assert program.ask("GET", "/status", role=None, X_API_Key=second).status == 200


def test_the_one_token_of_before_is_an_admin_and_may_say_who_it_is(tmp_path: Path) -> None:
    (tmp_path / "api.token").write_text(API_TOKEN)
    (tmp_path / "api.token").chmod(0o600)
    with running(tmp_path, "api: {token_file: api.token}", keys=False) as program:
        token = {"Authorization": f"Bearer {API_TOKEN}"}
        answer = program.ask("POST", "/control/monitoring/stop", {"who": "kim"}, None, **token)

        assert answer.json()["monitoring_stopped"]["who"] == "kim"
        assert program.ask("GET", "/status", role=None, X_API_Key=API_TOKEN).status == 200
        assert program.ask("GET", "/status", role=None).status == 401


def test_roles_are_ordered() -> None:
    assert [[role.may(least) for least in Role] for role in Role] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_a_new_key_is_stored_as_its_hash_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = add_key(path, "kim", Role.APPROVER), add_key(path, "kim", Role.APPROVER)

    text = path.read_text()
    assert first not in text
    assert second not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"selfheal_[\w-]{43}", first)
    assert find_key(first, read_keys(path)) == ApiKey("kim", Role.APPROVER, digest_of(first))
    assert find_key(second, read_keys(path)) is not None
    assert find_key(first[:-1], read_keys(path)) is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("kim admin", "keys line 2 must hold name, role and hash; make one with: selfheal key new NAME --role viewer"),
        ("kim boss sha256:" + "0" * 64, "keys line 2 has an unknown role; known are viewer, operator, approver, admin"),
        (
            "kim admin selfheal_secret",
            "keys line 2 holds no hash of a key; make one with: selfheal key new NAME --role viewer",
        ),
        (
            "k/m admin sha256:" + "0" * 64,
            "keys line 2 names its key wrongly; use letters, digits and . _ @ -, at most 63",
        ),
    ],
    ids=["short", "role", "key itself", "name"],
)
def test_a_wrong_line_of_keys_is_told_without_what_stands_there(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# ours\n{line}\n")
    path.chmod(0o600)

    with pytest.raises(ValueError) as caught:
        read_keys(path)

    assert str(caught.value) == f"{tmp_path}/{told}"


def test_a_caller_of_several_people_says_who_and_a_key_only_adds() -> None:
    assert Caller("api token", A, True).who("kim") == "kim"
    assert Caller("api token", A, True).who(None) == "api token"
    assert Caller("ci", OP).who("kim") == "kim (ci)"
    assert Caller("ci", OP).who("ci") == "ci"


def test_an_empty_credential_matches_nothing() -> None:
    access = Access((), (Secret(API_TOKEN),), keys=lambda: (ApiKey("none", A, digest_of("x")),))

    assert access.caller("", "", "127.0.0.1") is None
    assert access.caller("Bearer ", "", "127.0.0.1") is None


@pytest.mark.parametrize(
    ("peer", "host", "status"),
    [("10.0.0.9", "web-1:9977", "200"), ("127.0.0.1", "web-1:9977", "403"), ("127.0.0.1", "localhost:9977", "200")],
)
def test_a_client_certificate_reads_under_any_name_and_this_machine_under_its_own(
    peer: str, host: str, status: str
) -> None:
    door = SimpleNamespace(asks_passwords=False, verifies_clients=True, knows=lambda _credential: None)
    environ = create_environ("/api/v1/remediations", f"https://{host}/") | {"REMOTE_ADDR": peer}
    told: list[str] = []

    Api(FakeService(), Access(door=door))(environ, lambda line, *_: told.append(line[:3]))  # type: ignore[arg-type]

    assert told == [status]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_what_came_through_a_proxy_is_not_from_this_machine(header: str) -> None:
    environ = create_environ("/api/v1/remediations", "http://localhost:9977/", headers={header: "a"})
    told: list[str] = []

    Api(FakeService(), Access())(environ | {"REMOTE_ADDR": "127.0.0.1"}, lambda line, *_: told.append(line[:3]))  # type: ignore[arg-type]

    assert told == ["403"]
