"""Reads the file of `--web.config.file` as the exporter-toolkit defines it, and says everything that is wrong in it.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from selfheal.common.documents import Duration, Section, read_as, read_yaml
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.tls_names import CIPHERS, CURVES, VERSIONS
from selfheal.common.web_config import ClientAuth, Pem, Rate, Tls, WebConfig

HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Headers that may be set, and the values each may have; none means any."""

_HASH = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
# one guess at a cost of 18 takes some 20 seconds, and every further step doubles it
_COSTS = range(4, 19)

# the toolkit knows a second name for one, and takes none for none
_CLIENT_AUTH = {auth.value: auth for auth in ClientAuth} | {
    "": ClientAuth.NO_CERTIFICATE,
    "RequireClientCert": ClientAuth.ANY,
}
_VERIFYING = (ClientAuth.VERIFIED_IF_GIVEN, ClientAuth.VERIFIED)

_Wrong = Callable[[str, str, str], None]


class _TlsSection(Section):
    cert_file: str = ""
    key_file: str = ""
    cert: str = ""
    key: str = ""
    client_auth_type: str = ""
    client_ca_file: str = ""
    client_ca: str = ""
    client_allowed_sans: list[str] | None = None
    min_version: str = ""
    max_version: str = ""
    cipher_suites: list[str] | None = None
    curve_preferences: list[str] | None = None
    prefer_server_cipher_suites: bool = True


class _HttpSection(Section):
    # only HTTP/1.1 is spoken here, so that there is nothing to switch off
    http2: bool = True
    headers: dict[str, str] | None = None


class _RateSection(Section):
    interval: Duration
    burst: int = Field(default=1, ge=1)


class _File(Section):
    tls_server_config: _TlsSection | None = None
    http_server_config: _HttpSection | None = None
    basic_auth_users: dict[str, str] | None = None
    rate_limit: _RateSection | None = None


def read_web_config(path: Path) -> WebConfig:
    """Given the file, return what it asks for. Raise ConfigError with everything that is wrong in it.

    Paths in it are relative to its folder. What the certificates hold is not looked at.
    """
    value = read_yaml(path)
    # an empty file asks for nothing
    found = read_as(_File, {} if value is None else value, str(path))
    problems: list[Problem] = []

    def wrong(place: str, what: str, remedy: str) -> None:
        problems.append(Problem(str(path), place, what, remedy))

    headers = (found.http_server_config and found.http_server_config.headers) or {}
    for name, value in headers.items():
        _judge_header(name, value, wrong)
    users = found.basic_auth_users or {}
    for name, hashed in users.items():
        _judge_user(name, hashed, wrong)
    tls = _read_tls(found.tls_server_config, path.parent, wrong) if found.tls_server_config else None
    if problems:
        raise ConfigError(problems)
    limit = found.rate_limit
    rate = Rate(limit.interval, limit.burst) if limit and limit.interval else None
    return WebConfig(path, tls, headers, users, rate)


def _judge_header(name: str, value: str, wrong: _Wrong) -> None:
    place = f"http_server_config.headers.{name}"
    if name not in HEADERS:
        wrong(place, "is a header that cannot be set here", f"known are {', '.join(HEADERS)}")
    elif HEADERS[name] and value not in HEADERS[name]:
        wrong(place, f"cannot be {value!r}", f"write {' or '.join(HEADERS[name])}")
    elif not (value.isascii() and value.isprintable()):
        wrong(place, "holds signs that a header cannot carry", "use printable ASCII on one line")


def _judge_user(name: str, hashed: str, wrong: _Wrong) -> None:
    # what stands there may be a password, so it is never part of a message
    place = f"basic_auth_users.{name}"
    form = _HASH.fullmatch(hashed)
    if not name or ":" in name:
        wrong(place, "is no name that basic authentication can carry", "choose one without a colon")
    if form is None:
        wrong(place, "is no bcrypt hash", "make one with: htpasswd -nBC 10 NAME")
    elif int(form[1]) not in _COSTS:
        wrong(place, f"has a bcrypt cost of {int(form[1])}", f"choose one from {_COSTS[0]} to {_COSTS[-1]}")


def _read_tls(found: _TlsSection, folder: Path, wrong: _Wrong) -> Tls:
    auth = _CLIENT_AUTH.get(found.client_auth_type)
    if auth is None:
        known = ", ".join(client_auth.value for client_auth in ClientAuth)
        wrong("tls_server_config.client_auth_type", f"{found.client_auth_type!r} is not known", f"known are {known}")
    sans = tuple(found.client_allowed_sans or ())
    authorities = _client_authorities(found, folder, auth, wrong)
    if sans and auth not in (*_VERIFYING, None):
        what = f"says nothing with {auth}, which verifies no certificate"
        wrong("tls_server_config.client_allowed_sans", what, f"set client_auth_type: {ClientAuth.VERIFIED.value}")
    oldest, newest = _read_versions(found, wrong)
    return Tls(
        certificate=_required(found, "cert", folder, wrong),
        private_key=_required(found, "key", folder, wrong),
        client_auth=auth or ClientAuth.VERIFIED,
        client_authorities=authorities,
        client_names=sans,
        oldest=oldest,
        newest=newest,
        ciphers=_known(found.cipher_suites, CIPHERS, "cipher_suites", wrong),
        curves=_read_curves(found.curve_preferences, wrong),
        prefers_own_ciphers=found.prefer_server_cipher_suites,
    )


def _pem(found: _TlsSection, key: str, folder: Path, wrong: _Wrong) -> Pem | None:
    """Given `cert`, return what stands at `cert_file` or `cert`, or None if neither is set."""
    written, inline = getattr(found, f"{key}_file"), getattr(found, key)
    if written and inline:
        wrong(f"tls_server_config.{key}", f"is given twice, here and as {key}_file", "keep one of the two")
    if written:
        return Pem(f"tls_server_config.{key}_file", folder / written)
    return Pem(f"tls_server_config.{key}", None, inline) if inline else None


def _required(found: _TlsSection, key: str, folder: Path, wrong: _Wrong) -> Pem:
    pem = _pem(found, key, folder, wrong)
    if pem is None:
        wrong(f"tls_server_config.{key}_file", "is missing", "TLS needs a certificate and its key: add both")
    return pem or Pem(f"tls_server_config.{key}_file")


def _client_authorities(found: _TlsSection, folder: Path, auth: ClientAuth | None, wrong: _Wrong) -> Pem | None:
    pem = _pem(found, "client_ca", folder, wrong)
    place = "tls_server_config.client_auth_type"
    if auth is ClientAuth.ANY:
        # a certificate that anybody could have made proves nothing, and ours would have to be verified
        remedy = f"set {ClientAuth.VERIFIED.value} with client_ca_file"
        wrong(place, f"{auth.value} is not offered: it lets in every certificate, also self-made ones", remedy)
    elif auth in _VERIFYING and pem is None:
        wrong("tls_server_config.client_ca_file", f"is missing, and {auth} needs it", "name the authority's file")
    elif pem is not None and auth is ClientAuth.NO_CERTIFICATE:
        wrong(place, "is not set, so that client_ca_file would do nothing", f"set {ClientAuth.VERIFIED.value}")
    return pem


def _read_versions(found: _TlsSection, wrong: _Wrong) -> tuple[str, str]:
    oldest, newest = found.min_version or "TLS12", found.max_version or "TLS13"
    for key, version in (("min_version", oldest), ("max_version", newest)):
        if version not in VERSIONS:
            wrong(f"tls_server_config.{key}", f"{version!r} is not known", f"known are {', '.join(VERSIONS)}")
            return oldest, newest
    if VERSIONS.index(newest) < VERSIONS.index("TLS12"):
        wrong("tls_server_config.max_version", "is older than TLS12, which nobody should speak", "set TLS12 or TLS13")
    elif VERSIONS.index(oldest) > VERSIONS.index(newest):
        wrong("tls_server_config.min_version", f"is newer than max_version {newest}", "exchange them")
    # what is older is no longer in OpenSSL's default, so TLS10 and TLS11 mean: as old as there is
    return max(oldest, "TLS12"), newest


def _known(written: Sequence[str] | None, known: Mapping[str, str], key: str, wrong: _Wrong) -> tuple[str, ...]:
    for number, name in enumerate(written or ()):
        if name not in known:
            wrong(f"tls_server_config.{key}[{number}]", f"{name!r} is not known", f"known are {', '.join(known)}")
    return tuple(written or ())


def _read_curves(written: Sequence[str] | None, wrong: _Wrong) -> tuple[str, ...]:
    curves = _known(written, CURVES, "curve_preferences", wrong)
    if len(curves) > 1:
        wrong("tls_server_config.curve_preferences", "holds more than one curve", "keep the one to be used")
    return curves
