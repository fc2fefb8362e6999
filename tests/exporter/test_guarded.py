"""The door with a web configuration file, over real sockets and with real TLS."""

from __future__ import annotations

import base64
import http.client
import logging
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from exporter.guarded import GuardedDoor
from exporter.limits import Bucket
from exporter.listening import open_listeners
from exporter.registry import Registry
from exporter.routes import Routes
from exporter.server import Limits, Server
from selfheal.common.clock import SystemClock
from selfheal.common.problems import ConfigError
from tests.exporter.certificates import Certificate, client_context, issue, make_authority
from tests.exporter.trees import values, wait_until

PASSWORD = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode()
DROPPED = 'selfheal_exporter_http_connections_dropped_total{{reason="{}"}}'
BROKEN = "selfheal_exporter_web_config_failures_total"


@dataclass(frozen=True)
class Certificates:
    """Two authorities, and what they signed."""

    authority: Certificate
    server: Certificate
    renewed: Certificate
    client: Certificate
    stranger: Certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """All certificates of this file's tests."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = make_authority(folder, "authority"), make_authority(folder, "other")
    return Certificates(
        authority,
        issue(authority, "server"),
        issue(authority, "renewed"),
        issue(authority, "client", "DNS:prometheus.example,IP:::1,URI:spiffe://a/b"),
        issue(other, "stranger", "DNS:prometheus.example"),
    )


class Site:
    """A server behind a guarded door, and the file that says how it is guarded."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.file = folder / "web.yml"
        self.cert, self.key = folder / "current.crt", folder / "current.key"
        self.certificates = certificates
        self.use(certificates.server)
        self.server: Server

    def use(self, certificate: Certificate) -> None:
        """Put a certificate where the file says."""
        shutil.copyfile(certificate.cert, self.cert)
        shutil.copyfile(certificate.key, self.key)

    def write(self, tls: str | None = "", users: bool = False, more: str = "") -> None:
        """Write the file: TLS with these further keys, or none; with alice as user, or nobody."""
        text = "" if tls is None else f"tls_server_config: {{cert_file: current.crt, key_file: current.key{tls}}}\n"
        text += f"basic_auth_users: {{alice: {PASSWORD}}}\n" if users else ""
        self.file.write_text(text + more)

    @contextmanager
    def open(self, limits: Limits | None = None, allows_anyone: bool = True) -> Iterator[Server]:
        """Serve as the file says."""
        door = GuardedDoor(self.file, SystemClock(), allows_anyone)
        self.server = Server(open_listeners([("127.0.0.1", 0)]), SystemClock(), limits, door)
        routes = Routes(Registry({}, SystemClock()), "/metrics", self.server.families)
        thread = threading.Thread(target=self.server.serve, args=(routes.answer,))
        thread.start()
        try:
            yield self.server
        finally:
            self.server.stop()
            thread.join(10)
            assert not thread.is_alive()

    def own(self, series: str) -> int:
        """Read one of the server's own values."""
        return int(values(self.server.families())[series])

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """Connect, through TLS if there is a context."""
        if context is None:
            return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        return http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=10, context=context)

    def ask(self, context: ssl.SSLContext | None = None, login: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """Ask once over a connection of its own."""
        connection = self.connect(context)
        try:
            return ask(connection, login)
        finally:
            connection.close()

    def trusting(self, own: Certificate | None = None) -> ssl.SSLContext:
        """Return a client's context that trusts this server."""
        return client_context(self.certificates.authority, own)


def ask(connection: http.client.HTTPConnection, login: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """Ask over an open connection."""
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.fixture
def site(tmp_path: Path, certificates: Certificates) -> Site:
    """A site that is not open yet."""
    return Site(tmp_path, certificates)


def test_pages_come_through_tls_over_one_connection(site: Site) -> None:
    site.write()
    with site.open(), ExitStack() as stack:
        connection = site.connect(site.trusting())
        stack.callback(connection.close)
        for _ in range(3):
            assert ask(connection)[0] == 200
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert (connection.sock.version(), connection.sock.selected_alpn_protocol()) == ("TLSv1.3", None)
        assert site.own("selfheal_exporter_http_connections") == 1


def test_the_end_is_said_within_tls(site: Site) -> None:
    site.write()
    with (
        site.open(),
        socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as plain,
        # an end that is not said would be an error
        site.trusting().wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as sock,
    ):
        sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data = b"".join(iter(lambda: sock.recv(65536), b""))

    assert data.startswith(b"HTTP/1.1 200 OK")


def test_who_speaks_plainly_to_tls_is_told(site: Site) -> None:
    site.write()
    with site.open():
        assert site.ask()[::2] == (400, b"400: this port speaks HTTPS\n")
        wait_until(lambda: site.own(DROPPED.format("handshake")) == 1)


def test_an_older_version_is_refused(site: Site) -> None:
    site.write(", min_version: TLS13")
    old = site.trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with site.open():
        with pytest.raises(ssl.SSLError):
            site.ask(old)
        wait_until(lambda: site.own(DROPPED.format("handshake")) == 1)
        assert site.ask(site.trusting())[0] == 200


@pytest.mark.parametrize(
    ("auth", "who", "comes_in"),
    [
        ("RequireAndVerifyClientCert", None, False),
        ("RequireAndVerifyClientCert", "stranger", False),
        ("RequireAndVerifyClientCert", "client", True),
        ("VerifyClientCertIfGiven", None, True),
        ("VerifyClientCertIfGiven", "stranger", False),
        ("VerifyClientCertIfGiven", "client", True),
        ("RequestClientCert", None, True),
        ("RequestClientCert", "stranger", True),
        ("NoClientCert", "stranger", True),
    ],
)
def test_a_clients_certificate_is_asked_for(site: Site, auth: str, who: str | None, comes_in: bool) -> None:
    verifies = "Verify" in auth
    site.write(f", client_auth_type: {auth}" + (f", client_ca_file: {site.certificates.authority.cert}" * verifies))
    context = site.trusting(getattr(site.certificates, who) if who else None)
    with site.open(allows_anyone=auth != "RequireAndVerifyClientCert"):
        if comes_in:
            assert site.ask(context)[0] == 200
        else:
            with pytest.raises(OSError):
                site.ask(context)
            wait_until(lambda: site.own(DROPPED.format("handshake")) == 1)


@pytest.mark.parametrize(
    ("names", "comes_in"),
    [
        ("[other.example, prometheus.example]", True),
        ("['::1']", True),
        ("['spiffe://a/b']", True),
        ("[example]", False),
    ],
)
def test_a_clients_certificate_must_have_one_of_the_names(site: Site, names: str, comes_in: bool) -> None:
    authority = site.certificates.authority.cert
    site.write(
        f", client_auth_type: VerifyClientCertIfGiven, client_ca_file: {authority}, client_allowed_sans: {names}"
    )
    with site.open():
        if comes_in:
            assert site.ask(site.trusting(site.certificates.client))[0] == 200
        else:
            with pytest.raises((OSError, http.client.HTTPException)):
                site.ask(site.trusting(site.certificates.client))
        # no certificate has none of the names
        with pytest.raises((OSError, http.client.HTTPException)):
            site.ask(site.trusting())


def test_a_password_is_asked_for(site: Site) -> None:
    headers = "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=60}}"
    site.write(None, users=True, more=headers)
    with site.open(allows_anyone=False), ExitStack() as stack:
        connection = site.connect()
        stack.callback(connection.close)
        asked = [None, "alice", "alice:", "alice:Wonderland", "bob:wonderland", ":wonderland", "alice:wonderland"]
        found = [ask(connection, login) for login in asked]

    assert [status for status, _, _ in found] == [401] * 6 + [200]
    for status, set_headers, body in found:
        assert set_headers["x-frame-options"] == "deny"
        assert set_headers["strict-transport-security"] == "max-age=60"
        assert ("www-authenticate" in set_headers, b"selfheal_" in body) == (status == 401, status == 200)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic YQ==", "Bearer YWxpY2U6d29uZGVybGFuZA==", "Basic \xff"]
)
def test_what_is_no_login_is_no_login(site: Site, header: str) -> None:
    site.write(None, users=True)
    with site.open():
        connection = site.connect()
        connection.request("GET", "/metrics", headers={"Authorization": header})
        assert connection.getresponse().status == 401
        connection.close()


def test_a_removed_user_is_out_at_once_also_over_a_kept_connection(site: Site) -> None:
    site.write(None, users=True)
    with site.open(), ExitStack() as stack:
        connection = site.connect()
        stack.callback(connection.close)
        assert ask(connection, "alice:wonderland")[0] == 200
        site.file.write_text(f"basic_auth_users: {{bob: {PASSWORD}}}\n")

        assert ask(connection, "alice:wonderland")[0] == 401
        assert ask(connection, "bob:wonderland")[0] == 200


def test_too_many_requests_are_a_429(site: Site) -> None:
    site.write(None, more="rate_limit: {interval: 1h, burst: 2}")
    with site.open():
        assert [site.ask()[0] for _ in range(4)] == [200, 200, 429, 429]


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(2.0, 3, now=10.0)

    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(11.9), bucket.take(12.0), bucket.take(12.1)] == [False, True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def serial(context: ssl.SSLContext, port: int) -> str:
    """Return the serial number of the certificate that the server shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
    ):
        certificate = sock.getpeercert()
        assert certificate
        return str(certificate["serialNumber"])


def test_a_renewed_certificate_is_shown_without_a_restart(site: Site) -> None:
    site.write()
    with site.open() as server:
        kept = site.connect(site.trusting())
        assert ask(kept)[0] == 200
        before = serial(site.trusting(), server.port)
        site.use(site.certificates.renewed)

        assert serial(site.trusting(), server.port) != before
        # a kept connection was made on older terms, and ends before its next answer; a client then connects anew
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(kept)
        kept.close()
        assert site.ask(site.trusting())[0] == 200


def test_tls_that_is_switched_on_ends_connections_without_it(site: Site) -> None:
    site.write(None)
    with site.open():
        kept = site.connect()
        assert ask(kept)[0] == 200
        site.write()

        with pytest.raises((OSError, http.client.HTTPException)):
            ask(kept)
        kept.close()
        assert site.ask(site.trusting())[0] == 200


def test_nobody_comes_in_while_the_file_is_broken_and_it_is_told_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write(None, users=True)
    caplog.set_level(logging.INFO)
    with site.open():
        assert site.ask(None, "alice:wonderland")[0] == 200
        site.file.write_text("basic_auth_users: {alice: wonderland}")
        for _ in range(3):
            assert site.ask(None, "alice:wonderland")[0] == 500
        assert site.own(BROKEN) == 1
        site.write(None, users=True)

        assert site.ask(None, "alice:wonderland")[0] == 200
        assert site.own(BROKEN) == 1

    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("ERROR", "web configuration is broken"),
        ("INFO", "web configuration is in order again"),
    ]
    assert "is no bcrypt hash" in caplog.records[0].reason  # type: ignore[attr-defined]


def test_with_tls_a_broken_file_lets_no_connection_in(site: Site) -> None:
    site.write()
    with site.open():
        kept = site.connect(site.trusting())
        assert ask(kept)[0] == 200
        site.key.write_text("none")

        with pytest.raises((OSError, http.client.HTTPException)):
            site.ask(site.trusting())
        assert ask(kept)[0] == 500
        kept.close()
        site.use(site.certificates.server)
        assert site.ask(site.trusting())[0] == 200


def test_a_file_that_asks_nobody_any_more_lets_nobody_in_where_others_can_come(site: Site) -> None:
    site.write(None, users=True)
    with site.open(allows_anyone=False):
        assert site.ask(None, "alice:wonderland")[0] == 200
        site.write(None)

        assert site.ask(None, "alice:wonderland")[0] == 500


def test_such_a_file_is_refused_at_the_start(site: Site) -> None:
    site.write(", client_auth_type: RequestClientCert")

    with pytest.raises(ConfigError) as caught:
        GuardedDoor(site.file, SystemClock(), allows_anyone=False)

    assert str(caught.value) == (
        f"{site.file}: lets in everybody, and others can reach --web.listen-address; "
        "add basic_auth_users or client certificates, or start with --web.allow-anyone"
    )


def test_slow_handshakes_hold_up_nobody_and_end_in_time(site: Site) -> None:
    site.write()
    with site.open(Limits(connections=20, head_seconds=2.0)), ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", site.server.port), timeout=10))
            for _ in range(10)
        ]
        for sock in slow[:5]:
            # the beginning of a greeting, and no more
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        for _ in range(5):
            assert site.ask(site.trusting())[0] == 200
        assert site.own(DROPPED.format("slow")) == 0

        wait_until(lambda: site.own(DROPPED.format("slow")) == 10)
        assert [sock.recv(100) for sock in slow] == [b""] * 10


def test_slow_handshakes_give_up_their_places(site: Site) -> None:
    site.write()
    with site.open(Limits(connections=3, head_seconds=60)), ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", site.server.port), timeout=10)) for _ in range(3)
        ]
        wait_until(lambda: site.own("selfheal_exporter_http_connections") == 3)

        assert site.ask(site.trusting())[0] == 200
        assert slow[0].recv(100) == b""
        assert site.own(DROPPED.format("evicted")) == 1


def test_passwords_without_tls_where_others_can_come_are_warned_of(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write(None, users=True)
    GuardedDoor(site.file, SystemClock(), allows_anyone=False)
    site.write("", users=True)
    GuardedDoor(site.file, SystemClock(), allows_anyone=False)

    assert [record.getMessage() for record in caplog.records] == ["passwords are readable on the way"]
