"""The exporter-toolkit's file: what it may say, and every error with its key and its remedy."""

from __future__ import annotations

import ssl
from pathlib import Path

import bcrypt
import pytest

from selfheal.common.clock import ManualClock
from selfheal.common.passwords import Passwords
from selfheal.common.problems import ConfigError
from selfheal.common.tls import server_context
from selfheal.common.tls_names import CIPHERS, CURVES
from selfheal.common.watched import Watched
from selfheal.common.web_config import ClientAuth, Rate
from selfheal.common.web_config_file import read_web_config
from tests.exporter.certificates import Certificate, issue, lock, make_authority

HASH = "$2b$10$" + "a" * 53
OTHER_HASH = bcrypt.hashpw(b"other", bcrypt.gensalt(5)).decode()
TLS = "tls_server_config: {cert_file: c, key_file: k"


def written(tmp_path: Path, text: str) -> Path:
    """Write a file of this text."""
    path = tmp_path / "web.yml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1."""
    return issue(make_authority(tmp_path_factory.mktemp("certificates"), "authority"), "server")


def test_the_whole_file_is_read(tmp_path: Path) -> None:
    text = f"""
tls_server_config:
  cert_file: server.crt
  key_file: /keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example, 127.0.0.1]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  curve_preferences: [CurveP384]
  prefer_server_cipher_suites: false
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  alice: {HASH}
rate_limit: {{interval: 100ms, burst: 20}}
"""
    config = read_web_config(written(tmp_path, text))

    tls = config.tls
    assert tls is not None
    assert config.files == (
        tmp_path / "web.yml", tmp_path / "server.crt", Path("/keys/server.key"), tmp_path / "ca.crt"
    )  # fmt: skip
    assert (tls.client_auth, tls.client_names) == (ClientAuth.VERIFIED, ("prometheus.example", "127.0.0.1"))
    assert (tls.oldest, tls.newest, tls.curves, tls.prefers_own_ciphers) == ("TLS13", "TLS13", ("CurveP384",), False)
    assert config.headers == {"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "deny"}
    assert (config.users, config.rate) == ({"alice": HASH}, Rate(0.1, 20))
    assert HASH not in repr(config)


@pytest.mark.parametrize(
    ("text", "asks_who"),
    [
        ("", False),
        ("tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\n", False),
        ("rate_limit: {interval: 0s}", False),
        (f"{TLS}}}", False),
        (f"{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca}}", False),
        (f"{TLS}, client_auth_type: RequestClientCert}}", False),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca: ca}}", True),
        (f"basic_auth_users: {{a: {HASH}}}", True),
    ],
)
def test_it_is_known_whether_everybody_is_asked(tmp_path: Path, text: str, asks_who: bool) -> None:
    config = read_web_config(written(tmp_path, text))

    assert (config.asks_who, config.rate) == (asks_who, None)


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("[]", ["must be a mapping, not a list; write its keys below it"]),
        ("a: [", ["line 1, column 5: expected the node content, but found '<stream end>'; mend the YAML there"]),
        ("tls_config: {}", ["tls_config: unknown key; did you mean tls_server_config?"]),
        (
            "{tls_server_config: {certfile: a}, basic_auth_users: [a], rate_limit: {interval: 5, burst: 0}}",
            [
                "tls_server_config.certfile: unknown key; did you mean cert_file?",
                "basic_auth_users: must be a mapping, not a list; write its keys below it",
                "rate_limit.interval: must be a duration, not a number; write for example 30s, 5m or 1h30m",
                "rate_limit.burst: must be at least 1; raise it",
            ],
        ),
        (
            "{tls_server_config: {cert: x}, basic_auth_users: {bob: secret, 'a:b': '"
            + HASH
            + "'}, http_server_config: {headers: {X-A: b, X-Frame-Options: maybe, X-XSS-Protection: \"1\\n2\"}}}",
            [
                "http_server_config.headers.X-A: is a header that cannot be set here; known are "
                "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, "
                "X-XSS-Protection",
                "http_server_config.headers.X-Frame-Options: cannot be 'maybe'; write deny or sameorigin",
                "http_server_config.headers.X-XSS-Protection: holds signs that a header cannot carry; "
                "use printable ASCII on one line",
                "basic_auth_users.bob: is no bcrypt hash; make one with: htpasswd -nBC 10 NAME",
                "basic_auth_users.a:b: is no name that basic authentication can carry; choose one without a colon",
                "tls_server_config.key_file: is missing; TLS needs a certificate and its key: add both",
            ],
        ),
        (
            "basic_auth_users: {a: $2y$31$%s}" % ("a" * 53),
            ["basic_auth_users.a: has a bcrypt cost of 31; choose one from 4 to 18"],
        ),
        (
            f"{TLS}, cert: inline}}",
            ["tls_server_config.cert: is given twice, here and as cert_file; keep one of the two"],
        ),
        (
            f"{TLS}, client_auth_type: Maybe}}",
            [
                "tls_server_config.client_auth_type: 'Maybe' is not known; known are NoClientCert, RequestClientCert, "
                "RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"
            ],
        ),
        (
            f"{TLS}, client_auth_type: RequireClientCert}}",
            [
                "tls_server_config.client_auth_type: RequireAnyClientCert is not offered: it lets in every "
                "certificate, also self-made ones; set RequireAndVerifyClientCert with client_ca_file"
            ],
        ),
        (
            f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}",
            [
                "tls_server_config.client_ca_file: is missing, and RequireAndVerifyClientCert needs it; "
                "name the authority's file"
            ],
        ),
        (
            f"{TLS}, client_ca_file: ca}}",
            [
                "tls_server_config.client_auth_type: is not set, so that client_ca_file would do nothing; "
                "set RequireAndVerifyClientCert"
            ],
        ),
        (
            f"{TLS}, client_auth_type: RequestClientCert, client_allowed_sans: [a]}}",
            [
                "tls_server_config.client_allowed_sans: says nothing with RequestClientCert, which verifies no "
                "certificate; set client_auth_type: RequireAndVerifyClientCert"
            ],
        ),
        (
            f"{TLS}, min_version: SSL3}}",
            ["tls_server_config.min_version: 'SSL3' is not known; known are TLS10, TLS11, TLS12, TLS13"],
        ),
        (
            f"{TLS}, max_version: TLS11}}",
            [
                "tls_server_config.max_version: is older than TLS12, which nobody should speak; set TLS12 or TLS13"
            ],
        ),
        (
            f"{TLS}, min_version: TLS13, max_version: TLS12}}",
            ["tls_server_config.min_version: is newer than max_version TLS12; exchange them"],
        ),
        (
            f"{TLS}, cipher_suites: [RC4], curve_preferences: [CurveP256, X25519]}}",
            [
                f"tls_server_config.cipher_suites[0]: 'RC4' is not known; known are {', '.join(CIPHERS)}",
                "tls_server_config.curve_preferences: holds more than one curve; keep the one to be used",
            ],
        ),
    ],
)  # fmt: skip
def test_everything_wrong_is_named_with_its_remedy(tmp_path: Path, text: str, errors: list[str]) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        read_web_config(path)

    assert str(caught.value).splitlines() == [f"{path}: {error}" for error in errors]
    assert "secret" not in str(caught.value)


def context_of(tmp_path: Path, text: str) -> ssl.SSLContext:
    """Read a file of this text and build what it asks for."""
    config = read_web_config(written(tmp_path, text))
    assert config.tls is not None
    return server_context(config.tls, config.file)


def test_every_cipher_and_curve_that_go_knows_openssl_knows(tmp_path: Path, certificate: Certificate) -> None:
    own = f"cert_file: {certificate.cert}, key_file: {certificate.key}"
    for curve in CURVES:
        context_of(tmp_path, f"tls_server_config: {{{own}, curve_preferences: [{curve}]}}")
    context = context_of(tmp_path, f"tls_server_config: {{{own}, cipher_suites: [{', '.join(CIPHERS)}]}}")

    assert {cipher["name"] for cipher in context.get_ciphers()} == set(CIPHERS.values())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_modern_ciphers_mean_only_the_newest_version(tmp_path: Path, certificate: Certificate) -> None:
    own = f"cert_file: {certificate.cert}, key_file: {certificate.key}"

    context = context_of(tmp_path, f"tls_server_config: {{{own}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}")

    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(ConfigError, match="holds none that TLS12 knows"):
        text = f"tls_server_config: {{{own}, cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12}}"
        context_of(tmp_path, text)


def indented(text: str) -> str:
    """Return a text as a YAML block."""
    return "".join(f"\n    {line}" for line in text.splitlines())


def test_certificates_may_stand_in_the_file_itself(tmp_path: Path, certificate: Certificate) -> None:
    cert, key = certificate.cert.read_text(), certificate.key.read_text()
    authority = certificate.cert.with_name("authority.crt").read_text()
    before = set(tmp_path.parent.iterdir())

    context = context_of(
        tmp_path,
        f"tls_server_config:\n  cert: |{indented(cert)}\n  key: |{indented(key)}\n  client_ca: |{indented(authority)}\n"
        "  client_auth_type: VerifyClientCertIfGiven\n",
    )

    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert len(context.get_ca_certs()) == 1
    # the key was nowhere but here
    assert set(tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("cert", "key", "more", "error"),
    [
        ("none", "{key}", "", "cert_file: {folder}/none cannot be read (No such file or directory); "),
        ("{cert}", "{cert}", "", "cert_file: and tls_server_config.key_file are no certificate with its key in PEM"),
        ("{cert}", "{other}", "", "(KEY_VALUES_MISMATCH); the key must be unencrypted, and the certificate's own"),
        ("{cert}", "{locked}", "", "the key must be unencrypted, and the certificate's own"),
        (
            "{cert}", "{key}", ", client_ca_file: '{key}', client_auth_type: RequireAndVerifyClientCert",
            "tls_server_config.client_ca_file: holds no certificates in PEM (NO_CERTIFICATE_OR_CRL_FOUND); "
        ),
        (
            "{cert}", "{key}", ", client_ca_file: none, client_auth_type: RequireAndVerifyClientCert",
            "tls_server_config.client_ca_file: {folder}/none cannot be read (No such file or directory); ",
        ),
    ],
    ids=["no_file", "no_key", "anothers_key", "locked_key", "no_authority", "no_authority_file"],
)  # fmt: skip
def test_a_certificate_that_cannot_be_used_is_named(
    tmp_path: Path, certificate: Certificate, cert: str, key: str, more: str, error: str
) -> None:
    locked = lock(certificate.key, tmp_path)
    words = {
        "cert": certificate.cert, "key": certificate.key, "other": certificate.cert.with_name("authority.key"),
        "locked": locked, "folder": tmp_path,
    }  # fmt: skip
    text = f"tls_server_config: {{cert_file: '{cert}', key_file: '{key}'{more}}}"
    for name, value in words.items():
        text = text.replace("{" + name + "}", str(value))
        error = error.replace("{" + name + "}", str(value))

    with pytest.raises(ConfigError) as caught:
        context_of(tmp_path, text)

    assert error in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/web.yml: tls_server_config.")


USERS = {"alice": bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode(), "bob": OTHER_HASH}


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        ("alice", "wonderland", True),
        ("alice", "Wonderland", False),
        ("alice", "", False),
        ("bob", "wonderland", False),
        ("bob", "other", True),
        # what is compared for a name that is not there is another's hash
        ("carol", "other", False),
        ("", "other", False),
        ("alice", "wonder\0land", False),
        ("alice", "\udcff", False),
    ],
)
def test_only_the_right_password_of_a_name_that_is_there_is_right(name: str, password: str, right: bool) -> None:
    passwords = Passwords()

    assert [passwords.are_right(USERS, name, password) for _ in range(2)] == [right, right]


def test_hashes_of_other_tools_and_long_passwords_are_understood() -> None:
    long = "x" * 100
    hashed = bcrypt.hashpw(long[:72].encode(), bcrypt.gensalt(4)).decode()

    assert Passwords().are_right({"a": "$2y$" + hashed[4:]}, "a", long)
    assert not Passwords().are_right({}, "a", long)


def test_a_verdict_is_found_once_and_forgotten_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def compare(password: bytes, hashed: bytes) -> bool:
        asked.append(hashed)
        return password == b"right"

    monkeypatch.setattr(bcrypt, "checkpw", compare)
    passwords = Passwords()
    users = {"a": HASH, "b": OTHER_HASH}

    assert passwords.are_right(users, "a", "right")
    for number in range(1000):
        assert not passwords.are_right(users, "a", f"guess {number}")
    count = len(asked)

    # however many guesses came in between
    assert passwords.are_right(users, "a", "right")
    assert not passwords.are_right(users, "a", "guess 999")
    assert len(asked) == count == 1001
    assert len(passwords._wrong) <= 256
    # a new hash is a new question, and a name that is not there costs as much as the most costly one
    assert passwords.are_right({"a": OTHER_HASH}, "a", "right")
    assert not passwords.are_right(users, "nobody", "right")
    assert asked[count:] == [OTHER_HASH.encode(), HASH.encode()]


class Files:
    """A value that says which files it was read from."""

    def __init__(self, folder: Path) -> None:
        self.main, self.second = folder / "main", folder / "second"
        self.main.write_text("one")
        self.second.write_text("two")
        self.reads = 0

    def read(self) -> tuple[str, str]:
        """Return both contents; the first may not be empty."""
        self.reads += 1
        if not self.main.read_text():
            raise ValueError(f"broken {self.reads}")
        return self.main.read_text(), self.second.read_text()

    def watched(self, clock: ManualClock) -> Watched[tuple[str, str]]:
        """Watch both."""
        return Watched(self.read, lambda _: (self.main, self.second), clock)


def test_files_that_do_not_change_are_read_no_more(tmp_path: Path) -> None:
    files, clock = Files(tmp_path), ManualClock(now=tmp_path.stat().st_mtime + 60)
    watched = files.watched(clock)
    first = watched.current()
    reads = files.reads

    assert all(watched.current() is first for _ in range(10))
    assert files.reads == reads <= 2


@pytest.mark.parametrize("later", [0.0, 60.0], ids=["just_written", "settled"])
def test_a_change_is_seen_at_once_also_one_of_the_same_length_in_the_same_moment(tmp_path: Path, later: float) -> None:
    files, clock = Files(tmp_path), ManualClock(now=tmp_path.stat().st_mtime + later)
    watched = files.watched(clock)
    assert watched.current() == ("one", "two")

    for word in ("six", "ten", "one"):
        files.second.write_text(word)
        assert watched.current() == ("one", word)


def test_what_changed_a_moment_ago_is_not_believed_by_its_times(tmp_path: Path) -> None:
    files, clock = Files(tmp_path), ManualClock(now=tmp_path.stat().st_mtime)
    watched = files.watched(clock)

    for _ in range(3):
        watched.current()
        # some file systems would show the same times after one more change
        assert watched._signature is None
    clock.advance(60)
    watched.current()
    assert watched._signature is not None


def test_while_they_are_broken_it_is_an_error_and_what_mends_them_is_seen(tmp_path: Path) -> None:
    files, clock = Files(tmp_path), ManualClock(now=tmp_path.stat().st_mtime + 60)
    watched = files.watched(clock)
    files.main.write_text("")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            watched.current()
    assert watched.last_good == ("one", "two")
    files.main.write_text("new")
    assert watched.current() == ("new", "two")


def test_a_file_that_is_exchanged_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    files, clock = Files(tmp_path), ManualClock(now=tmp_path.stat().st_mtime + 60)

    def read() -> tuple[str, str]:
        found = files.read()
        if found[0] == "mid":
            files.main.write_text("end")
        return found

    watched = Watched(read, lambda _: (files.main, files.second), clock)
    watched.current()
    files.main.write_text("mid")

    assert watched.current()[0] == "mid"
    assert watched.current()[0] == "end"


def test_names_with_cheaper_hashes_cost_as_much_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[int] = []

    def check(_: bytes, hashed: bytes) -> bool:
        spent.append(2 ** int(hashed[4:6]))
        return False

    def make(_: bytes, salt: bytes) -> bytes:
        spent.append(2 ** int(salt[4:6]))
        return salt

    monkeypatch.setattr(bcrypt, "checkpw", check)
    monkeypatch.setattr(bcrypt, "hashpw", make)
    users = {"cheap": f"$2b$04${'x' * 53}", "dear": f"$2b$07${'x' * 53}"}

    for name in ("cheap", "dear", "nobody"):
        spent.clear()
        assert not Passwords().are_right(users, name, "guess")
        assert sum(spent) == 2**7
