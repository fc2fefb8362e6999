"""URLs in one spelling only: what could be read in two ways is refused, never put right.

So the text that the policy permits is the place that is asked, whoever reads it (RFC 3986; hosts as in the WHATWG URL
standard, where a last label of digits makes the whole host an IPv4 address).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST = 2_000
"""Characters of one URL."""

_URL = re.compile(r"(https?|tcp)://(\[[^\]/?#]*\]|[^\[\]:/?#]*)(?::([^/?#]*))?(/[^?#]*)?(\?[^#]*)?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SIGNS = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # printable ASCII without " < > \ ^ ` { | }
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Address:
    """One URL in its parts; `host` is a name, an IPv4 address or an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{self.query}"

    def covers(self, other: Address) -> bool:
        """Say whether `other` is at this place: same scheme, host and port, and this path or below it."""
        if (self.scheme, self.host, self.port) != (other.scheme, other.host, other.port):
            return False
        return other.path == self.path or other.path.startswith(self.path.rstrip("/") + "/")


def read_address(text: str) -> Address:
    """Given a URL, return its parts. Raise ValueError, with the remedy, if it is not in the one spelling."""
    if len(text) > LONGEST or not _SIGNS.fullmatch(text):
        raise ValueError(f"is no URL of at most {LONGEST} plain characters; write for example http://127.0.0.1:8080/")
    if "@" in re.split(r"[/?#]", text.partition("://")[2])[0]:
        # and not shown: a password may stand there
        raise ValueError("must not hold a user or a password; leave out what stands before the host")
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("is no URL; write http://HOST[:PORT]/PATH, https://… or tcp://HOST:PORT, without # and @")
    scheme, host, port, path, query = found.groups()
    if scheme == "tcp" and (port is None or path or query):
        raise ValueError("is no address; write tcp://HOST:PORT and nothing after it")
    return Address(scheme, _host(host), _port(scheme, port), _path(path or "/") if scheme != "tcp" else "", query or "")


def is_loopback(host: str) -> bool:
    """Say whether a host, as an address spells it, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    labels = text.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(text))
        except AddressValueError as error:
            raise ValueError(f"has the host {text!r}, a number in disguise; write four decimal numbers") from error
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"has the host {text[:80]!r}; write a name in small letters without a dot at its end")
    return text


def _ipv6(text: str) -> str:
    try:
        found = IPv6Address(text.replace("%", "/"))  # no zones: they are one machine's own
    except AddressValueError as error:
        raise ValueError(f"has the host [{text[:80]}], no IPv6 address; mend it") from error
    if found.ipv4_mapped is not None:
        raise ValueError(f"hides an IPv4 address; write {found.ipv4_mapped}")
    if text != found.compressed:
        raise ValueError(f"has the host [{text[:80]}]; write [{found.compressed}]")
    return text


def _port(scheme: str, text: str | None) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise ValueError(f"has the port {text[:20]!r}; write a number from 1 to 65535")
    return int(text)


def _path(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("has a broken % in its path; write two hexadecimal digits after it")
    for segment in text[1:].split("/")[:-1]:
        if not segment:
            raise ValueError("has // in its path; write one /")
    for segment in text.split("/"):
        # some servers cut what follows a semicolon, some decode twice
        plain = unquote(segment.partition(";")[0])
        if plain in (".", "..") or any(sign in plain for sign in "/\\%") or not plain.isprintable():
            raise ValueError(f"has {segment[:80]!r} in its path, which some servers read otherwise; write it out")
    return text
