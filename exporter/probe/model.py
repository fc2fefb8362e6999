"""What is asked of a service, and what was found; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias

from selfheal.common.clock import Clock
from selfheal.common.re2 import Expression

IpProtocol: TypeAlias = Literal["ip4", "ip6"]


class Reason(StrEnum):
    """Why a probe failed; a closed set, for it is a label."""

    RESOLVE = "resolve"  # the name has no address
    CONNECT = "connect"  # nobody answers at the address
    TLS = "tls"  # no encrypted connection, or encryption where there should be none
    CERTIFICATE = "certificate"  # the certificate is not to be trusted
    TIMEOUT = "timeout"  # it did not end in time
    PROTOCOL = "protocol"  # the answer is not of the protocol
    STATUS = "status"  # another status, version or response code than wanted
    REGEX = "regex"  # a pattern that must match did not, or one that must not did
    SIZE = "size"  # the answer is larger than allowed
    REDIRECT = "redirect"  # too many redirects, or one to where we do not go
    SECRET = "secret"  # our own password or token cannot be read
    PERMISSION = "permission"  # this system does not let us ask


class ProbeError(Exception):
    """A probe failed: why, and in words that hold no secret."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tls:
    """How an encrypted connection is made and the other side's certificate judged."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A header of the answer that must, or must not, match."""

    header: str
    regexp: Expression
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class Http:
    """One HTTP request, and what of its answer is right."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    valid_status_codes: tuple[int, ...] = ()
    """Empty: 200 to 299."""
    valid_http_versions: tuple[str, ...] = ()
    follow_redirects: bool = True
    fail_if_ssl: bool = False
    fail_if_not_ssl: bool = False
    fail_if_body_matches: tuple[Expression, ...] = ()
    fail_if_body_not_matches: tuple[Expression, ...] = ()
    fail_if_header_matches: tuple[HeaderRule, ...] = ()
    fail_if_header_not_matches: tuple[HeaderRule, ...] = ()
    username: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    token_type: str = "Bearer"
    body_size_limit: int = 1 << 20
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One step of a conversation over TCP: wait for a line, say something, switch to TLS."""

    expect: Expression | None = None
    send: str | None = None
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Tcp:
    """One connection and what is said on it."""

    host: str
    port: int
    use_tls: bool = False
    conversation: tuple[Exchange, ...] = ()
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the records of one section of a DNS answer must and must not be, as text."""

    fail_if_matches: tuple[Expression, ...] = ()
    fail_if_none_matches: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Dns:
    """One DNS query and what of its answer is right."""

    host: str
    port: int
    query_name: str
    query_type: str = "A"
    transport: Literal["udp", "tcp"] = "udp"
    recursion_desired: bool = True
    valid_rcodes: tuple[str, ...] = ("NOERROR",)
    answer: Rules = Rules()


@dataclass(frozen=True, slots=True)
class Icmp:
    """One echo request."""

    host: str
    payload_size: int = 56


Ask: TypeAlias = Http | Tcp | Dns | Icmp


@dataclass(frozen=True, slots=True)
class Probe:
    """One service asked at an interval, each time within a time limit."""

    name: str
    ask: Ask
    every: float
    timeout: float
    prefer: IpProtocol | None = None
    """Addresses of this kind first; None: in the system's order."""
    fall_back: bool = True
    """Whether addresses of the other kind do, too."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What the certificates of the other side say; times in seconds since the epoch."""

    earliest_expiry: float
    leaf_sha256: str


@dataclass(slots=True)
class Found:
    """What one probe has found so far; it is filled in while the probe goes on, so a failure keeps what came before."""

    facts: dict[str, float] = field(default_factory=dict)
    """Single numbers by short name."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds by phase; of several requests, their sum."""
    tls_version: str | None = None
    tls_cipher: str | None = None
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time by which a probe ends."""

    clock: Clock
    at: float

    def left(self) -> float:
        """Return the seconds left. Raise ProbeError if there are none."""
        seconds = self.at - self.clock.monotonic()
        if seconds <= 0:
            raise ProbeError(Reason.TIMEOUT, "it did not end in time")
        return seconds
