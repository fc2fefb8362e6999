"""http.request against a real server: the plan sends nothing, and each answer is told for what is known by it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator.actions import ACTIONS
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Alert
from remediator.playbooks.arguments import argument_faults, render_arguments
from remediator.policy import Policy
from remediator.policy.addresses import read_address
from remediator.policy.values import METHODS, Url
from tests.actions.about import Hands

ACTION = ACTIONS["http.request"]


class Far:
    """A server that answers `/STATUS` by that status, and shows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        far = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                far.asked.append((self.command, self.path, dict(self.headers.items()), body))
                status = int(self.path.strip("/").partition("?")[0])
                if status == 999:
                    # gone in the middle of the exchange
                    return
                self.send_response(status)
                self.send_header("Location", f"http://127.0.0.1:{far.port}/200")
                self.end_headers()
                self.wfile.write(f"asked with {self.headers.get('Authorization')}".encode())

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far()
    yield made
    made.server.shutdown()
    made.server.server_close()


def hands(far: Far, methods: tuple[str, ...] = METHODS, **more: Any) -> Hands:
    return Hands(Policy(urls=(Url(read_address(far.url()), methods, **more),), source="policy.yml"))


def ask(far: Far, method: str, status: int, **more: Any) -> Any:
    made = hands(far)
    url = far.url(f"/{status}")
    return made.run("http.request", made.plan("http.request", url=url, method=method, **more))


def test_the_plan_is_what_would_be_sent_and_sends_nothing(far: Far) -> None:
    body = {"who": "web-1", "list": [1, True, None]}

    plan = hands(far).plan("http.request", url=far.url("/200"), method="POST", body=body)

    assert plan.items == (
        {
            "kind": "request",
            "method": "POST",
            "url": far.url("/200"),
            "body": json.dumps(body),
            "content_type": "application/json",
        },
    )
    assert far.asked == []


def test_exactly_the_plan_is_sent_once(far: Far) -> None:
    outcome = ask(far, "POST", 200, body="line one", content_type="text/plain")

    ((method, path, headers, body),) = far.asked
    assert (method, path, headers["Content-Type"], body) == ("POST", "/200", "text/plain", b"line one")
    assert "Authorization" not in headers
    assert (outcome.ok, len(outcome.effects), outcome.detail["status"]) == (True, 1, 200)
    assert outcome.detail["body"] == "asked with None"


KNOWN = [
    ("POST", 400), ("POST", 401), ("POST", 409), ("POST", 429), ("POST", 501), ("POST", 505),
    ("POST", 307), ("PATCH", 308), ("DELETE", 404), ("PUT", 412), ("GET", 500), ("GET", 302),
]  # fmt: skip


@pytest.mark.parametrize(("method", "status"), KNOWN, ids=str)
def test_what_the_server_did_not_do_by_its_own_word_is_a_known_failure_without_effect(
    far: Far, method: str, status: int
) -> None:
    outcome = ask(far, method, status)

    assert (outcome.ok, outcome.effects, outcome.detail["status"]) == (False, (), status)
    assert "in_doubt" not in outcome.detail
    assert len(far.asked) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 301, 302, 303])
def test_an_answer_that_leaves_it_open_is_unknown_for_what_must_not_be_sent_twice(
    far: Far, method: str, status: int
) -> None:
    with pytest.raises(OutcomeUnknown, match=f"/{status} was answered by {status}, which leaves open what was done"):
        ask(far, method, status)
    assert [path for _, path, _, _ in far.asked] == [f"/{status}"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("status", [500, 503, 303, 999])
def test_the_same_is_a_known_failure_in_doubt_for_what_may_be_sent_again(far: Far, method: str, status: int) -> None:
    outcome = ask(far, method, status)

    assert (outcome.ok, len(outcome.effects), outcome.detail["in_doubt"]) == (False, 1, True)
    assert len(far.asked) == 1


def test_no_answer_to_a_post_is_unknown_and_it_is_not_sent_again(far: Far) -> None:
    with pytest.raises(OutcomeUnknown, match="the exchange failed"):
        ask(far, "POST", 999)
    assert len(far.asked) == 1


def test_nobody_there_is_a_known_failure() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    made = Hands(Policy(urls=(Url(read_address(url), METHODS),), source="policy.yml"))

    with pytest.raises(ActionFailed, match="cannot connect"):
        made.run("http.request", made.plan("http.request", url=url))


@pytest.mark.parametrize(("expect", "status", "ok"), [([204], 204, True), ([204], 200, False), (303, 303, True)])
def test_what_is_expected_is_what_the_playbook_says(far: Far, expect: object, status: int, ok: bool) -> None:
    outcome = ask(far, "POST", status, expect=expect)

    assert (outcome.ok, len(outcome.effects)) == (ok, 1)


def test_reading_touches_nothing(far: Far) -> None:
    assert ask(far, "GET", 200).effects == ()


def test_the_policys_method_holds_when_planning_and_again_when_acting(far: Far) -> None:
    made = hands(far, ("GET", "POST"))
    plan = made.plan("http.request", url=far.url("/200"), method="POST")
    made.policy = replace(made.policy, urls=(Url(read_address(far.url()), ("GET",)),))

    with pytest.raises(Refused, match="POST is not permitted at"):
        made.run("http.request", plan)
    with pytest.raises(Refused, match="POST is not permitted at"):
        made.plan("http.request", url=far.url("/200"), method="POST")
    assert far.asked == []


def test_the_authorization_stands_in_the_policys_file_and_in_nothing_that_is_kept(far: Far, tmp_path: Path) -> None:
    file = tmp_path / "far.authorization"
    file.write_text("Bearer 0123456789abcdef\n")
    file.chmod(0o600)
    made = hands(far, authorization_file=file)
    plan = made.plan("http.request", url=far.url("/200"))

    outcome = made.run("http.request", plan)
    file.write_text("Bearer fedcba9876543210\n")
    again = made.run("http.request", plan)

    sent = [headers["Authorization"] for _, _, headers, _ in far.asked]
    assert sent == ["Bearer 0123456789abcdef", "Bearer fedcba9876543210"]
    assert outcome.detail["body"] == again.detail["body"] == "asked with <secret>"
    assert "0123456789abcdef" not in repr((plan, outcome))


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("Bearer x", 0o640, "can be read or written by others"),
        ("", 0o600, "holds no header on one line"),
        ("Bearer x\r\nHost: y", 0o600, "holds no header on one line"),
        (None, 0o600, "cannot be read"),
    ],
    ids=["open", "empty", "two lines", "missing"],
)
def test_a_file_that_is_not_private_or_no_header_sends_nothing(
    far: Far, tmp_path: Path, text: str | None, mode: int, why: str
) -> None:
    file = tmp_path / "far.authorization"
    if text is not None:
        file.write_bytes(text.encode())
        file.chmod(mode)
    made = hands(far, authorization_file=file)

    with pytest.raises(Refused, match=why):
        made.run("http.request", made.plan("http.request", url=far.url("/200")))
    assert far.asked == []


def test_the_longest_permitted_path_says_which_secret_is_sent(far: Far, tmp_path: Path) -> None:
    file = tmp_path / "far.authorization"
    file.write_text("Bearer 0123456789abcdef")
    file.chmod(0o600)
    made = hands(far)
    inner = Url(read_address(far.url("/200")), METHODS, file)
    made.policy = replace(made.policy, urls=(inner, *made.policy.urls))

    for path in ("/200", "/201"):
        made.run("http.request", made.plan("http.request", url=far.url(path)))

    assert ["Authorization" in headers for _, _, headers, _ in far.asked] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"method": "TRACE"}, "method 'TRACE' is not known"),
        ({"method": "{{ $labels.x }}"}, "is not known"),
        ({"method": "GET", "body": "x"}, "GET takes no body"),
        ({"content_type": "text/plain"}, "there is none"),
        ({"body": {"a": 1}, "content_type": "text/plain"}, "a mapping is sent as JSON"),
        ({"body": "a={{ $labels.x }}", "content_type": "application/x-www-form-urlencoded"}, "may stand in plain text"),
        ({"body": {"{{ $labels.x }}": 1}}, "is a name with a template"),
        ({"body": "x", "content_type": "{{ $labels.x }}"}, "without a template"),
        ({"body": "x" * 16_385}, "is longer than 16384"),
        ({"expect": [99]}, "is no list of statuses"),
        ({"expect": []}, "is no list of statuses"),
        ({"expect": ["200"]}, "is no list of statuses"),
        ({"url": "http://{{ $labels.x }}/"}, "holds a template"),
        ({"body": "{{ x }}"}, "a template is malformed"),
    ],
    ids=str,
)
def test_what_is_wrong_in_a_playbook_is_told_when_it_is_loaded(arguments: dict[str, Any], why: str) -> None:
    faults = list(argument_faults(ACTION, {"url": "http://127.0.0.1:8080/", **arguments}))

    assert any(why in what for _, what, _ in faults), faults


def test_a_label_becomes_one_text_of_the_json_whatever_it_holds(far: Far) -> None:
    hostile = '", "admin": true, "x": "\\u0000 {{ $labels.y }}'
    alert = Alert("firing", {"x": hostile, "y": "second"}, {}, 0.0, "f")
    written = {
        "url": far.url("/200"),
        "body": {"text": "{{ $labels.x }}", "deep": [{"in": "a {{ $labels.y }}"}], "n": 1},
    }
    assert list(argument_faults(ACTION, written)) == []

    made = hands(far)
    made.run("http.request", made.plan("http.request", **render_arguments(ACTION, written, alert, "with")))

    ((_, _, headers, body),) = far.asked
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"text": hostile, "deep": [{"in": "a second"}], "n": 1}
