"""The web configuration on the remediator: TLS, passwords, headers; read again at once; broken lets nobody in."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import pytest

from remediator import address
from remediator.web import door as doors
from remediator.web.door import Bucket, Door
from selfheal.cli.place import Place
from selfheal.cli.source import ApiSource
from selfheal.common.clock import ManualClock, SystemClock
from selfheal.common.keys import Role
from selfheal.common.problems import ConfigError
from selfheal.common.secrets import Secret
from selfheal.common.web_config import Rate
from selfheal.common.web_config_file import read_web_config
from tests.exporter.certificates import Certificate, client_context, issue, make_authority
from tests.web.program import Program, running
from tests.web.site import Answer, alert, payload, read_all, until

PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{kim: '{HASH}'}}\n"
DELIVERY = json.dumps(payload(alert())).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def own(authority: Certificate) -> Certificate:
    return issue(authority, "remediator")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "LOOK_EVERY", 0.0)


def tls(own: Certificate, more: str = "") -> str:
    return f"tls_server_config: {{cert_file: {own.cert}, key_file: {own.key}{more}}}\n"


def basic(name: str = "kim", password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, own: Certificate) -> Iterator[Program]:
    """A remediator with TLS and a password."""
    tmp_path = tmp_path_factory.mktemp("secured")
    headers = "http_server_config: {headers: {Strict-Transport-Security: max-age=60}}\n"
    (tmp_path / "web.yml").write_text(tls(own) + USERS + headers)
    with running(tmp_path, "web_config_file: web.yml") as program:
        yield program


def ask(
    program: Program, context: ssl.SSLContext | None, method: str, path: str, body: bytes | None = None, **headers: str
) -> Answer:
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(*program.app.server.address, timeout=15)
    else:
        connection = http.client.HTTPSConnection(*program.app.server.address, timeout=15, context=context)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def test_over_tls_a_password_delivers_and_reads_but_changes_nothing(secured: Program, authority: Certificate) -> None:
    context = client_context(authority)
    kim = {"Authorization": basic()}
    delivered = ask(secured, context, "POST", "/hooks/alertmanager", DELIVERY, **kim)
    read = ask(secured, context, "GET", "/api/v1/alerts", **kim)
    changed = ask(secured, context, "PUT", "/api/v1/pause", b"{}", Content_Type="application/json", **kim)
    page, metrics = ask(secured, context, "GET", "/", **kim), ask(secured, context, "GET", "/metrics", **kim)

    assert secured.app.server.url.startswith("https://")
    assert (delivered.status, read.status, changed.status) == (200, 200, 403)
    assert (page.status, metrics.status) == (200, 200)
    assert read.json()["items"] != []
    assert read.headers["strict-transport-security"] == "max-age=60"


@pytest.mark.parametrize(
    "credential", ["", basic("kim", "wrong"), basic("lee"), "Basic !!", "Bearer " + PASSWORD], ids=str
)
@pytest.mark.parametrize("path", ["/hooks/alertmanager", "/api/v1/status", "/", "/metrics"])
def test_without_the_password_nobody_gets_in_from_this_machine_either(
    secured: Program, authority: Certificate, path: str, credential: str
) -> None:
    method = "POST" if path.startswith("/hooks") else "GET"
    answer = ask(secured, client_context(authority), method, path, b"{}", Authorization=credential)

    assert answer.status == 401
    assert 'Basic realm="selfheal"' in answer.headers["www-authenticate"]


def test_a_key_opens_the_api_beside_the_passwords(secured: Program, authority: Certificate) -> None:
    key = {"X_API_Key": secured.keys[Role.OPERATOR], "Content_Type": "application/json"}

    assert ask(secured, client_context(authority), "PUT", "/api/v1/pause", b"{}", **key).status == 200


def test_the_commands_of_this_machine_find_their_way_through_tls(secured: Program) -> None:
    state = secured.app.config.state
    place = Place(None, state, Secret(secured.keys[Role.VIEWER]))
    url = address.read(state)

    assert url == secured.app.server.url
    assert ApiSource(place, url).status()["host"] == "h1"


def test_many_requests_go_through_one_connection(secured: Program, authority: Certificate) -> None:
    connection = http.client.HTTPSConnection(*secured.app.server.address, timeout=15, context=client_context(authority))
    for size in (10, 9_000, 40_000, 200_000):
        body = json.dumps(payload(alert(annotations={"summary": "x" * size}))).encode()
        connection.request("POST", "/hooks/alertmanager", body, {"Authorization": basic()})
        assert connection.getresponse().read() == b""
    connection.close()


def test_two_requests_in_one_record_are_both_answered(secured: Program, authority: Certificate) -> None:
    # the first fills the reader's buffer to its last byte, so that the second lies decrypted, while nothing more comes
    # through the socket
    head = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-Long: "
    request = head + b"x" * (io.DEFAULT_BUFFER_SIZE - len(head) - 4) + b"\r\n\r\n"
    last = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    raw = socket.create_connection(secured.app.server.address, timeout=15)
    with client_context(authority).wrap_socket(raw, server_hostname="127.0.0.1") as client:
        client.sendall(request + last)
        text = b""
        while part := client.recv(65_536):
            text += part

    assert text.count(b"HTTP/1.1 200 ") == 2


def test_mute_and_half_handshakes_keep_nobody_waiting(secured: Program, authority: Certificate) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(secured.app.server.address, timeout=15))
        for _ in range(20):
            half = stack.enter_context(socket.create_connection(secured.app.server.address, timeout=15))
            half.sendall(b"\x16\x03\x01\x02\x00\x01")
        clock = SystemClock()
        begun = clock.monotonic()

        assert ask(secured, client_context(authority), "GET", "/-/healthy").status == 200
        assert clock.monotonic() - begun < 3.0


def test_plain_http_is_told_that_this_is_https(secured: Program) -> None:
    with socket.create_connection(secured.app.server.address, timeout=15) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        text = read_all(client)

    assert text.startswith(b"HTTP/1.0 400 ")
    assert text.endswith(b"this port speaks HTTPS\n")


def test_events_are_streamed_over_tls(
    secured: Program, authority: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.web.streams.LOOK_EVERY", 0.02)
    connection = http.client.HTTPSConnection(*secured.app.server.address, timeout=15, context=client_context(authority))
    with secured.app.store.read() as reader:
        before = reader.audit_head().id
    connection.request(
        "GET", f"/api/v1/events?cursor={before}", headers={"Accept": "text/event-stream", "Authorization": basic()}
    )
    answer = connection.getresponse()
    for number in range(300):
        secured.app.store.write(lambda tx, n=number: tx.record_act("test", f"{n} {'x' * 2_000}", 1.0))
    ids: list[int] = []
    while len(ids) < 300:
        line = answer.readline()
        if line.startswith(b"id: "):
            ids.append(int(line[4:]))
    answer.close()
    connection.close()

    assert ids == list(range(before + 1, before + 301))
    until(lambda: len(secured.app._streams) == 0)


def test_the_file_is_read_again_without_a_restart(tmp_path: Path, authority: Certificate, own: Certificate) -> None:
    web = tmp_path / "web.yml"
    web.write_text("")
    with running(tmp_path, web_config=web) as p:
        plain = ask(p, None, "POST", "/hooks/alertmanager", DELIVERY).status
        web.write_text(USERS)
        until(lambda: ask(p, None, "POST", "/hooks/alertmanager", DELIVERY).status == 401)
        known = ask(p, None, "POST", "/hooks/alertmanager", DELIVERY, Authorization=basic()).status
        web.write_text(tls(own) + USERS)

        def is_secure() -> bool:
            try:
                context = client_context(authority)
                return ask(p, context, "POST", "/hooks/alertmanager", DELIVERY, Authorization=basic()).status == 200
            except OSError:
                # the file is looked at once a second at most: until then it speaks plainly
                return False

        until(is_secure)

        assert (plain, known) == (200, 200)


def test_a_broken_file_lets_nobody_in_and_tells_alertmanager_to_try_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web = tmp_path / "web.yml"
    web.write_text(USERS)
    with running(tmp_path, web_config=web) as program:
        web.write_text("basic_auth_users: {kim: not-a-hash}\n")
        until(lambda: ask(program, None, "GET", "/-/healthy", Authorization=basic()).status == 503)
        broken = ask(program, None, "POST", "/hooks/alertmanager", DELIVERY, Authorization=basic())
        api = ask(program, None, "GET", "/api/v1/status", X_API_Key=program.keys[Role.ADMIN])
        web.write_text(USERS)
        until(lambda: ask(program, None, "GET", "/-/healthy", Authorization=basic()).status == 200)
        mended = ask(program, None, "POST", "/hooks/alertmanager", DELIVERY, Authorization=basic())

        assert (broken.status, api.status, mended.status) == (503, 503, 200)
        assert broken.headers["retry-after"] == "1"
        assert "not-a-hash" not in broken.text + caplog.text
        assert (
            program.app.metrics.registry.get_sample_value("selfheal_deliveries_total", {"result": "unavailable"}) == 1.0
        )


def test_a_rate_limit_is_a_503_and_never_a_429(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("rate_limit: {interval: 1h, burst: 2}\n")
    with running(tmp_path, web_config=tmp_path / "web.yml") as program:
        found = [ask(program, None, "POST", "/hooks/alertmanager", DELIVERY).status for _ in range(4)]

    assert found == [200, 200, 503, 503]


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(Rate(2.0, 2), 0.0)

    assert [bucket.take(at) for at in (0.0, 0.0, 1.9, 2.0, 3.9, 4.0)] == [True, True, False, True, False, True]


def test_client_certificates_are_a_credential_where_no_other_is(
    tmp_path: Path, authority: Certificate, own: Certificate
) -> None:
    client = issue(authority, "client", "DNS:alertmanager")
    stranger = make_authority(tmp_path, "stranger")
    more = f", client_auth_type: RequireAndVerifyClientCert, client_ca_file: {authority.cert}"
    (tmp_path / "web.yml").write_text(tls(own, more + ", client_allowed_sans: [alertmanager]"))
    with running(tmp_path, "web_config_file: web.yml", keys=False) as program:
        far = {"X_Forwarded_For": "203.0.113.7"}
        known = client_context(authority, client)

        assert ask(program, known, "POST", "/hooks/alertmanager", DELIVERY, **far).status == 200
        assert ask(program, known, "GET", "/metrics", **far).status == 200
        for wrong in (None, stranger, own):
            with pytest.raises(OSError):
                ask(program, client_context(authority, wrong), "GET", "/metrics")


def test_a_reachable_address_wants_hook_and_api_to_ask_somebody(tmp_path: Path, own: Certificate) -> None:
    from remediator.config.reading import load

    web, config = tmp_path / "web.yml", tmp_path / "remediator.yml"
    config.write_text(f"state: {tmp_path}/state\nhosts: {{h1: {{instances: [h1]}}}}\nweb_config_file: web.yml\n")
    web.write_text(tls(own))
    with pytest.raises(ConfigError) as caught:
        load(config, "0.0.0.0:9977")
    web.write_text(tls(own) + USERS)
    loaded = load(config, "0.0.0.0:9977")

    assert [problem.path for problem in caught.value.problems] == ["hook", "api"]
    assert loaded.web_config == web
    # later too: what lets in everybody is a broken file
    door = Door(web, must_ask=True, read=read_web_config)
    web.write_text("")
    assert door.refusal() == "the web configuration is broken; the log tells more"


def test_a_broken_file_is_read_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "LOOK_EVERY", 1.0)
    web, clock = tmp_path / "web.yml", ManualClock()
    web.write_text("")
    times: list[float] = []

    def read(path: Path) -> object:
        times.append(clock.monotonic())
        return read_web_config(path)

    door = Door(web, clock, read=read)  # type: ignore[arg-type]
    web.write_text("nonsense: 1\n")
    for _ in range(50):
        door.refusal()
        clock.advance(0.1)

    assert len(times) <= 1 + 5
    assert door.refusal() is not None
