"""The page behind a signed link, before a real program: what it shows, what it changes, and who cannot use it."""

from __future__ import annotations

import http.client
import logging
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from remediator.app import App
from remediator.config import DEFAULT_LISTEN_ADDRESS
from remediator.config.reading import load
from remediator.web import Access, Metrics, WebServer, links, make_app
from selfheal.common.clock import ManualClock
from selfheal.common.keys import ApiKey, Role, digest_of, new_key
from selfheal.common.problems import ConfigError
from selfheal.common.secrets import Secret
from tests.pipeline.sources import Bench, Sources, alert, playbook
from tests.pipeline.test_approving import Steady
from tests.web.program import running
from tests.web.site import API_TOKEN, Answer
from tests.web.test_page import Page

EVIL = "<script>alert(1)</script>"
ASKS = "mode: approve\nverify: none\n"
URL = "https://selfheal.example/behind"


@dataclass
class Linked:
    """A program with one request, the server before it, and the way to the request's page."""

    bench: Bench
    act: Steady
    server: WebServer
    path: str

    @property
    def app(self) -> App:
        assert self.bench.app is not None
        return self.bench.app

    def ask(self, method: str = "GET", path: str | None = None, form: dict[str, str] | None = None) -> Answer:
        """Send one request as a browser does, from anywhere: without any credential but the address."""
        connection = http.client.HTTPConnection(*self.server.address, timeout=20)
        headers = {"X-Forwarded-For": "203.0.113.9"}
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path or self.path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def say(self, answer: str = "approve", **more: str) -> Answer:
        """Send the form."""
        found = self.ask("POST", self.path + "?lang=en", {"answer": answer, "who": "Kim", "why": ""} | more)
        self.bench.rest()
        return found

    def state(self) -> str:
        state: str = self.app.approvals()["items"][0]["state"]
        return state


@pytest.fixture
def linked(tmp_path: Path, clock: ManualClock) -> Iterator[Linked]:
    sources, act = Sources(clock), Steady()
    bench = Bench(tmp_path, sources, clock, act)
    bench.careful += f"\napproval: {{url: '{URL}'}}"
    sources.firing = sources.listed = [alert(EVIL)]
    app = bench.start(playbook("{action: test.act, with: {note: '{{ $labels.item }}'}}", ASKS))
    server = WebServer(("127.0.0.1", 0), make_app(app, Access(api=(Secret(API_TOKEN),)), Metrics("1")), threads=4)
    server.start()
    link = app.approvals()["items"][0]["link"]
    assert link.startswith(URL + links.PATH)
    yield Linked(bench, act, server, urlsplit(link).path.removeprefix("/behind"))
    server.stop()
    bench.stop()
    sources.close()


def test_the_page_shows_the_plan_and_a_plain_form_in_both_languages(linked: Linked) -> None:
    for language, title in (("en", "May this be done?"), ("ko", "이 조치를 해도 될까요?")):
        answer = linked.ask(path=f"{linked.path}?lang={language}")

        assert answer.status == 200
        assert answer.headers["content-language"] == language
        assert title in Page(answer.text).text
        assert_shows_the_plan(Page(answer.text), language)


def assert_shows_the_plan(page: Page, language: str) -> None:
    for shown in ("test", "test.act", "heal", "h1/item:", EVIL, "2023-11-14 22:43:20 UTC"):
        assert shown in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    (form,) = page.named("form")
    assert form == {"method": "post", "action": f"?lang={language}"}
    assert [button["value"] for button in page.named("button")] == ["approve", "refuse"]
    assert re.search(r"Yes, do it\s+No\b" if language == "en" else r"승인\s+거절", page.text)
    labels = {label["for"] for label in page.named("label")}
    assert labels == {entry["id"] for entry in page.named("input")}


def test_everything_that_a_yes_is_for_stands_on_the_page(linked: Linked) -> None:
    linked.act.things = [f"number{count}" for count in range(50)]
    linked.say()
    newest = linked.app.approvals()["items"][0]
    path = urlsplit(newest["link"]).path.removeprefix("/behind")

    page = linked.ask(path=path + "?lang=en").text

    assert [count for count in range(50) if f"number{count} test" not in page] == []
    assert "<summary>and 30 more</summary>" in page


def test_what_the_plan_leaves_out_and_what_its_dry_run_wrote_stand_on_the_page(linked: Linked) -> None:
    left_out = {"files": [{"path": f"a{EVIL}", "class": "secret", "why": "is a key"}], "classes": {"secret": 1}}
    linked.act.detail = {"left_out": left_out, "checked": {"output": f"would write{EVIL}"}}
    linked.act.things = ["another"]
    linked.say()
    path = urlsplit(linked.app.approvals()["items"][0]["link"]).path.removeprefix("/behind")

    page = Page(linked.ask(path=path + "?lang=en").text)

    assert f"left out: a{EVIL} (secret: is a key)" in page.text
    assert f"would write{EVIL}" in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_only_this_page_lets_a_form_send_and_nothing_keeps_or_frames_it(linked: Linked) -> None:
    headers = linked.ask().headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "set-cookie" not in headers
    connection = http.client.HTTPConnection(*linked.server.address, timeout=20)
    connection.request("GET", "/")
    assert "form-action 'none'" in str(connection.getresponse().getheader("content-security-policy"))
    connection.close()


def test_nothing_but_the_form_changes_anything(linked: Linked) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        for path in (linked.path, linked.path + "?answer=approve&who=Kim", linked.path + "?lang=ko"):
            linked.ask(method, path)
    linked.bench.rest()

    assert linked.state() == "open"
    assert linked.bench.states() == [("held", "approval_needed")]


def test_a_yes_lets_it_begin_and_the_page_says_so_ever_after(linked: Linked) -> None:
    answer = linked.say()

    assert (answer.status, answer.headers["location"]) == (303, linked.path + "?lang=en")
    assert len(linked.act.ran) == 1
    again = linked.ask(path=linked.path + "?lang=en")
    assert again.status == 200
    assert "approved and begun" in again.text
    assert "Kim said yes at" in again.text
    assert "<form" not in again.text
    assert linked.app.approvals()["items"][0]["how"] == "link"


def test_a_no_calls_it_off_with_its_reason(linked: Linked) -> None:
    answer = linked.say("refuse", why=f"not now {EVIL}")

    assert answer.status == 303
    assert linked.bench.states() == [("cancelled", "approval_refused")]
    assert linked.act.ran == []
    assert f"Reason: not now {EVIL}" in Page(linked.ask(path=linked.path + "?lang=en").text).text


def test_a_second_click_counts_not_and_says_what_became_of_the_first(linked: Linked) -> None:
    linked.say()

    second = linked.say(who="Lee")
    other = linked.say("refuse", who="Lee")

    assert (second.status, other.status) == (409, 409)
    assert "Your answer was not counted" in second.text
    assert "Kim said yes at" in second.text
    assert len(linked.act.ran) == 1


@pytest.mark.parametrize("how", ["expired", "void"])
def test_a_link_whose_time_is_over_says_so_and_decides_nothing(linked: Linked, how: str) -> None:
    if how == "expired":
        linked.bench.clock.advance(1_800)
    else:
        linked.bench.deliver(alert(EVIL, status="resolved"))

    page = linked.ask(path=linked.path + "?lang=en")
    answer = linked.say()

    assert page.status == 410
    assert ("Its time ended" if how == "expired" else "The plan changed, or what asked for it is over") in page.text
    assert "<form" not in page.text
    assert answer.status == 409
    assert linked.act.ran == []


def test_a_token_that_is_not_ours_to_the_last_sign_opens_nothing(linked: Linked) -> None:
    number, _, signature = linked.path.removeprefix(links.PATH).partition(".")
    flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
    own = linked.app.approvals()["items"][0]
    others = Secret("x" * 64)
    tokens = [
        f"{number}.{flipped}",
        f"{number}.{signature}=",
        f"{number}.",
        f"{int(number) + 1}.{signature}",
        f"0{number}.{signature}",
        signature,
        links.token_of(own, others),
        f"{'9' * 19}.{signature}",
        f"{number}.{signature}%00",
        "..%2f",
        "é",
    ]

    for token in tokens:
        path = links.PATH + token.encode("ascii", "ignore").decode()
        page, answer = linked.ask(path=path), linked.ask("POST", path, {"answer": "approve", "who": "Kim"})
        assert (page.status, answer.status) == (404, 404), token
        assert "test.act" not in page.text
    linked.bench.rest()
    assert linked.state() == "open"


@pytest.mark.parametrize("bound", ["id", "plan_hash", "expires_at"])
def test_a_token_is_bound_to_request_plan_and_time(bound: str) -> None:
    request = {"id": "7", "plan_hash": "0" * 64, "expires_at": "2026-01-01T00:30:00.000Z"}
    key = Secret("k" * 64)
    token = links.token_of(request, key)

    assert links.is_signed(token, request, key)
    assert not links.is_signed(token, request | {bound: "1x"}, key)


def test_a_form_that_says_nothing_clear_decides_nothing(linked: Linked) -> None:
    for form in (
        {"answer": "approve", "who": ""},
        {"answer": "approve", "who": "  "},
        {"answer": "approve", "who": "a\nb"},
        {"answer": "approve", "who": "x" * 257},
        {"answer": "maybe", "who": "Kim"},
        {"who": "Kim"},
        {"answer": "approve"},
        {"answer": "refuse", "who": "Kim", "why": "x" * 257},
    ):
        assert linked.ask("POST", linked.path, form).status == 400, form
    linked.bench.rest()

    assert linked.state() == "open"


def test_neither_link_nor_key_reaches_a_log(linked: Linked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    linked.ask()
    linked.say()
    linked.say()
    linked.ask(path=links.PATH + "1.wrong")
    linked.bench.advance(5)
    told = " ".join(str(vars(record)) for record in caplog.records)

    secret = linked.path.partition(".")[2]
    key = (linked.bench.folder / "state" / links.KEY).read_text().strip()
    assert "remediation started" in told
    assert secret not in told
    assert key not in told
    assert secret not in str(linked.bench.detail())


def test_the_api_shows_links_only_to_those_who_may_answer(linked: Linked) -> None:
    secrets = {role: new_key() for role in Role}
    keys = tuple(ApiKey(role.value, role, digest_of(secret)) for role, secret in secrets.items())
    server = WebServer(("127.0.0.1", 0), make_app(linked.app, Access(keys=lambda: keys), Metrics("1")), threads=2)
    server.start()
    shown = {}
    for role, secret in secrets.items():
        connection = http.client.HTTPConnection(*server.address, timeout=20)
        connection.request("GET", "/api/v1/approvals", headers={"X-API-Key": secret})
        shown[role.value] = "/approve/1." in connection.getresponse().read().decode()
        connection.close()
    server.stop()

    assert shown == {"viewer": False, "operator": False, "approver": True, "admin": True}


def test_the_key_is_made_once_private_and_refused_when_it_is_not(tmp_path: Path) -> None:
    first = links.own_key(tmp_path)
    path = tmp_path / links.KEY

    assert re.fullmatch(r"[0-9a-f]{64}", first.reveal())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert links.own_key(tmp_path) == first
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read or written by others"):
        links.own_key(tmp_path)


def test_a_key_that_is_not_private_is_found_at_the_start_and_not_after_a_yes(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    key = tmp_path / "state" / links.KEY
    key.write_text("k" * 64)
    key.chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"), running(tmp_path):
        pass


def test_a_key_of_ones_own_is_read_from_its_private_file(tmp_path: Path) -> None:
    config, key = tmp_path / "remediator.yml", tmp_path / "link.key"
    config.write_text(
        "hosts: {h: {instances: [h]}}\napproval: {link_key_file: link.key, valid_for: 10m, url: 'https://x/'}\n"
    )
    key.write_text("k" * 32 + "\n")
    key.chmod(0o600)

    found = load(config, DEFAULT_LISTEN_ADDRESS)

    assert found.approval_link_key == Secret("k" * 32)
    assert (found.approval_valid_for, found.approval_url) == (600.0, "https://x")
    key.write_text("short\n")
    with pytest.raises(ConfigError, match="holds a key shorter than 32 characters"):
        load(config, DEFAULT_LISTEN_ADDRESS)
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(config, DEFAULT_LISTEN_ADDRESS)


def test_without_an_address_for_people_there_are_no_links(tmp_path: Path, clock: ManualClock) -> None:
    sources = Sources(clock)
    bench = Bench(tmp_path, sources, clock, Steady())
    sources.firing = sources.listed = [alert()]
    app = bench.start(playbook("{action: test.act}", ASKS))

    found = [request["link"] for request in app.approvals()["items"]]

    bench.stop()
    sources.close()
    assert found == [None]
