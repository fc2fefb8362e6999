"""The server's side of TLS, built from what `--web.config.file` asks for."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from selfheal.common.problems import ConfigError, Problem
from selfheal.common.tls_names import CIPHERS, CURVES, MODERN_CIPHERS
from selfheal.common.web_config import ClientAuth, Pem, Tls

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    ClientAuth.NO_CERTIFICATE: ssl.CERT_NONE,
    # OpenSSL would verify what it asked for, so what nobody looks at is not asked for
    ClientAuth.REQUESTED: ssl.CERT_NONE,
    ClientAuth.VERIFIED_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.VERIFIED: ssl.CERT_REQUIRED,
}


def server_context(tls: Tls, file: Path) -> ssl.SSLContext:
    """Given what is asked for and the file that says so, return the context of all connections.

    Raise ConfigError if a certificate, a key or a list of ciphers cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.oldest]
    context.maximum_version = _VERSIONS[tls.newest]
    context.set_alpn_protocols(["http/1.1"])
    if tls.prefers_own_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    problems = [*_set_ciphers(context, tls, file), *_load_own(context, tls, file), *_load_clients(context, tls, file)]
    if problems:
        raise ConfigError(problems)
    return context


def _set_ciphers(context: ssl.SSLContext, tls: Tls, file: Path) -> Iterator[Problem]:
    if tls.curves:
        context.set_ecdh_curve(CURVES[tls.curves[0]])
    if not tls.ciphers:
        return
    chosen = [CIPHERS[name] for name in tls.ciphers if name not in MODERN_CIPHERS]
    place = "tls_server_config.cipher_suites"
    if not chosen and tls.newest == "TLS12":
        yield Problem(str(file), place, "holds none that TLS12 knows", "add one, or let max_version be TLS13")
    elif not chosen:
        # only those of TLS 1.3 are listed, so nothing older may be spoken
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        try:
            context.set_ciphers(":".join(chosen))
        except ssl.SSLError as error:
            yield Problem(str(file), place, f"cannot be used ({_reason(error)})", "choose others")


def _load_own(context: ssl.SSLContext, tls: Tls, file: Path) -> Iterator[Problem]:
    certificate, key = tls.certificate, tls.private_key
    unreadable = [problem for pem in (certificate, key) for problem in _unreadable(pem, file)]
    yield from unreadable
    if unreadable:
        return
    with ExitStack() as stack:
        try:
            context.load_cert_chain(
                stack.enter_context(_as_file(certificate)),
                stack.enter_context(_as_file(key)),
                # asked on the terminal otherwise
                password=lambda: b"",
            )
        except (OSError, ValueError) as error:
            what = f"and {key.key} are no certificate with its key in PEM ({_reason(error)})"
            yield Problem(str(file), certificate.key, what, "the key must be unencrypted, and the certificate's own")


def _load_clients(context: ssl.SSLContext, tls: Tls, file: Path) -> Iterator[Problem]:
    context.verify_mode = _VERIFY[tls.client_auth]
    pem = tls.client_authorities
    if pem is None:
        return
    unreadable = list(_unreadable(pem, file))
    yield from unreadable
    if unreadable:
        return
    try:
        context.load_verify_locations(str(pem.path) if pem.path else None, cadata=pem.text or None)
    except (OSError, ValueError) as error:
        yield Problem(str(file), pem.key, f"holds no certificates in PEM ({_reason(error)})", "name the authority's")


def _unreadable(pem: Pem, file: Path) -> Iterator[Problem]:
    if pem.path is None:
        return
    try:
        with pem.path.open("rb"):
            pass
    except OSError as error:
        what = f"{pem.path} cannot be read ({error.strerror})"
        yield Problem(str(file), pem.key, what, "name a file that this user can read")


@contextmanager
def _as_file(pem: Pem) -> Iterator[str]:
    """Give a path under which OpenSSL, which reads only files, finds what may stand in the configuration itself."""
    if pem.path is not None:
        yield str(pem.path)
        return
    # readable by us alone
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(pem.text)
        yield name
    finally:
        os.unlink(name)  # noqa: PTH108 - the name was never a Path


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def client_is_allowed(connection: ssl.SSLSocket, names: tuple[str, ...]) -> bool:
    """Given a connection after its handshake and the names of which the client must have one, say whether it has.

    They are compared whole, as the toolkit does, with its certificate's names for hosts, addresses, mail and URIs.
    """
    if not names:
        return True
    certificate: dict[str, Any] = connection.getpeercert() or {}
    found = {_spelled(kind, value) for kind, value in certificate.get("subjectAltName", ())}
    return not found.isdisjoint(names)


def _spelled(kind: str, value: str) -> str:
    if kind != "IP Address":
        return value
    try:
        # OpenSSL writes out every group of an IPv6 address, people do not
        return str(ip_address(value.strip()))
    except ValueError:
        # in a certificate may stand what is no address
        return value
