"""What `--web.config.file` asks for: TLS, passwords, headers and a rate limit, as frozen values.

The file is read in `web_config_file.py`; `tls.py` and `passwords.py` do what it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class ClientAuth(StrEnum):
    """What is asked of a client's certificate; the names are Go's."""

    NO_CERTIFICATE = "NoClientCert"
    """None is asked for."""
    REQUESTED = "RequestClientCert"
    """It may bring one, and nobody looks at it."""
    ANY = "RequireAnyClientCert"
    """It must bring one, whoever signed it."""
    VERIFIED_IF_GIVEN = "VerifyClientCertIfGiven"
    """It may bring one, and then a known authority must have signed it."""
    VERIFIED = "RequireAndVerifyClientCert"
    """It must bring one that a known authority signed."""


@dataclass(frozen=True, slots=True)
class Pem:
    """Certificates or a key: in a file, or written into the configuration."""

    key: str
    """Where the configuration says so, for messages."""
    path: Path | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """What `tls_server_config` asks for."""

    certificate: Pem
    private_key: Pem
    client_auth: ClientAuth = ClientAuth.NO_CERTIFICATE
    client_authorities: Pem | None = None
    client_names: tuple[str, ...] = ()
    """One of these must be among the subject alternative names of a client's certificate; none means any."""
    oldest: str = "TLS12"
    newest: str = "TLS13"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    prefers_own_ciphers: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """One request per `interval` seconds, and `burst` of them at once."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a file asks for, and all the files it was read from."""

    file: Path
    tls: Tls | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """bcrypt hashes by name."""
    rate: Rate | None = None

    @property
    def asks_who(self) -> bool:
        """Say whether nobody gets in without a password or a verified certificate."""
        return bool(self.users) or (self.tls is not None and self.tls.client_auth is ClientAuth.VERIFIED)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return every file whose change matters."""
        parts = (self.tls.certificate, self.tls.private_key, self.tls.client_authorities) if self.tls else ()
        return (self.file, *(part.path for part in parts if part is not None and part.path is not None))
