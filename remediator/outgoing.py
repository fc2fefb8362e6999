"""The door to every place outside that is not one of our own sources: HTTP and TCP, to what the policy permits.

Nothing is repeated, no redirect is followed, no proxy is used, and no answer keeps us longer than it may.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from remediator.errors import ActionFailed, OutcomeUnknown
from remediator.policy import Door, Policy
from remediator.policy.addresses import Address
from remediator.policy.values import SAFE_METHODS

LARGEST_KEPT = 64 * 1024
"""Bytes of an answer that `send` keeps; the rest is not read."""
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent to a place that the policy must permit."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the status as it is (a redirect is not followed), the beginning of the body, seconds it took."""

    status: int
    body: bytes
    cut: bool
    seconds: float


def send(policy: Policy, request: Request, timeout: float, monotonic: Callable[[], float]) -> Answered:
    """Given a request that the policy permits, send it once and return the answer, all within `timeout` seconds.

    Raise Refused if the policy does not permit URL and method, ActionFailed if nothing came back from a place that was
    not reached or only asked, OutcomeUnknown if it may have been told to do something.
    """
    address = policy.address(request.url, request.method)
    problem = _header_problem(request.headers)
    if problem is not None:
        raise policy.refused(Door.HTTP, problem)
    begun = monotonic()
    headers = {"Accept": "*/*", "User-Agent": "selfheal", **request.headers, "Accept-Encoding": "identity"}
    with _connected(address, begun + timeout, monotonic) as (connection, was_cut):
        why = ""
        try:
            connection.request(request.method, address.path + address.query, request.body or None, headers)
            with closing(connection.getresponse()) as response:
                body = response.read(LARGEST_KEPT + 1)
                if len(body) <= LARGEST_KEPT and response.length:
                    why = "the answer broke off"
        except (OSError, http.client.HTTPException) as error:
            why = f"the exchange failed ({error.__class__.__name__})"
        # what was cut can look like a whole answer that ends there
        if was_cut.is_set():
            why = "no answer in time"
        if why:
            kind = ActionFailed if request.method in SAFE_METHODS else OutcomeUnknown
            raise kind(f"{request.method} {_place(address)}: {why}")
        cut = len(body) > LARGEST_KEPT
        return Answered(response.status, body[:LARGEST_KEPT], cut, round(monotonic() - begun, 3))


def reach(policy: Policy, url: str, timeout: float, monotonic: Callable[[], float]) -> float:
    """Given `tcp://HOST:PORT` that the policy permits, connect, send nothing, and return the seconds that took.

    Raise Refused if the policy does not permit it, ActionFailed if nobody answers within `timeout` seconds.
    """
    address = policy.address(url)
    if address.scheme != "tcp":
        raise policy.refused(Door.HTTP, f"{_place(address)} is no tcp:// address")
    begun = monotonic()
    _connect(address, begun + timeout, monotonic).close()
    return round(monotonic() - begun, 6)


@contextmanager
def _connected(
    address: Address, end_at: float, monotonic: Callable[[], float]
) -> Iterator[tuple[http.client.HTTPConnection, threading.Event]]:
    """Connect and give the connection; at `end_at` it is cut and the event set: no slow drip keeps us longer."""
    plain = _connect(address, end_at, monotonic)
    # a descriptor of its own: TLS takes the first one over
    line = plain.dup()
    was_cut = threading.Event()
    cutter = threading.Timer(max(0.0, end_at - monotonic()), _cut, [line, was_cut])
    cutter.daemon = True
    cutter.start()
    connection: http.client.HTTPConnection | None = None
    try:
        if address.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(address.host, address.port, context=context)
            try:
                connection.sock = context.wrap_socket(plain, server_hostname=address.host)
            except OSError as error:
                told = "its certificate could not be verified" if _is_certificate(error) else "TLS failed"
                raise ActionFailed(f"{_place(address)}: {told}") from error
        else:
            connection = http.client.HTTPConnection(address.host, address.port)
            connection.sock = plain
        yield connection, was_cut
    finally:
        cutter.cancel()
        if connection is not None:
            connection.close()
        plain.close()
        line.close()


def _connect(address: Address, end_at: float, monotonic: Callable[[], float]) -> socket.socket:
    """Connect to the first address of the host that answers. Raise ActionFailed if none does in time."""
    why = "no answer in time"
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ActionFailed(f"{_place(address)}: the name is not known") from error
    for family, kind, protocol, _, place in found:
        left = end_at - monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(place)
            # what keeps us too long from here on is cut from outside
            sock.settimeout(None)
        except OSError as error:
            sock.close()
            why = "no answer in time" if isinstance(error, TimeoutError) else "cannot connect"
            continue
        return sock
    raise ActionFailed(f"{_place(address)}: {why}")


def _cut(line: socket.socket, was_cut: threading.Event) -> None:
    was_cut.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _place(address: Address) -> str:
    """Return an address as it may stand in a message: a query may hold what nobody else should read."""
    return str(Address(address.scheme, address.host, address.port, address.path))


def _is_certificate(error: OSError) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError)


def _header_problem(headers: Mapping[str, str]) -> str | None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not all(sign == "\t" or sign.isprintable() for sign in value):
            return f"header {name[:80]!r} is no header on one line"
        if not value.isascii():
            return f"header {name!r} holds more than plain characters"
        if name.lower() in _OURS:
            return f"header {name} is not to be set"
    return None
