"""Certificates made for a test: an authority, and what it signs."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import needs_tool

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, each in a file."""

    cert: Path
    key: Path


def make_authority(folder: Path, name: str) -> Certificate:
    """Make a certificate that may sign others."""
    needs_tool("openssl")
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    _openssl(
        "req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-days", "2", "-keyout", made.key, "-out", made.cert,
        "-addext", "basicConstraints=critical,CA:TRUE",
    )  # fmt: skip
    return made


def issue(authority: Certificate, name: str, names: str = "IP:127.0.0.1") -> Certificate:
    """Make a certificate for these alternative names, signed by an authority."""
    folder = authority.cert.parent
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial",
        "-days", "2", "-extfile", extensions, "-out", made.cert,
    )  # fmt: skip
    return made


def lock(key: Path, folder: Path) -> Path:
    """Return a copy of a key that a password protects."""
    locked = folder / "locked.key"
    _openssl("pkey", "-in", key, "-aes256", "-passout", "pass:word", "-out", locked)
    return locked


def client_context(authority: Certificate, own: Certificate | None = None) -> ssl.SSLContext:
    """Return a client's side of TLS that trusts an authority, and has a certificate or none."""
    context = ssl.create_default_context(cafile=str(authority.cert))
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
