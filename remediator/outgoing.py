"""The door to every place outside that is not one of our own sources: HTTP and TCP, to what the policy permits.

Nothing is repeated, no redirect is followed, no proxy is used, and no answer keeps us longer than it may.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Address, ip_address

from remediator.errors import ActionFailed, OutcomeUnknown
from remediator.policy import Door, Policy
from remediator.policy.addresses import Address, is_loopback
from remediator.policy.values import SAFE_METHODS
from selfheal.common.files import privacy_problem
from selfheal.common.secrets import Secret

LARGEST_KEPT = 64 * 1024
"""Bytes of an answer that `send` keeps; the rest is not read."""
LONGEST_SECRET = 8 * 1024
"""Characters of an Authorization header."""
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
    secret = _authorization(policy, address, request.method)
    headers = {"Accept": "*/*", "User-Agent": "selfheal", **request.headers, "Accept-Encoding": "identity"}
    if secret is not None:
        headers["Authorization"] = secret.reveal()
    may_ask = partial(_not_the_monitoring, policy, address, request.method)
    with _connected(address, begun + timeout, monotonic, may_ask) as (connection, was_cut):
        why = ""
        try:
            connection.request(request.method, address.path + address.query, request.body or None, headers)
            with closing(connection.getresponse()) as response:
                body = _beginning_of(response)
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
        kept = without(secret, body[:LARGEST_KEPT])
        return Answered(response.status, kept, cut, round(monotonic() - begun, 3))


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
    address: Address, end_at: float, monotonic: Callable[[], float], may_ask: Callable[[socket.socket], None]
) -> Iterator[tuple[http.client.HTTPConnection, threading.Event]]:
    """Connect and give the connection; at `end_at` it is cut and the event set: no slow drip keeps us longer.

    `may_ask` is shown who answers, before anything is sent.
    """
    plain = _connect(address, end_at, monotonic)
    try:
        may_ask(plain)
    except BaseException:
        plain.close()
        raise
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
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError:
            # a kind of address that this machine does not speak
            why = "cannot connect"
            continue
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


def _not_the_monitoring(policy: Policy, address: Address, method: str, sock: socket.socket) -> None:
    """Raise Refused if something is to be changed where the monitoring answers: a name may lead anywhere."""
    if method in SAFE_METHODS:
        return
    host, port = sock.getpeername()[:2]
    for protected, at in policy.protected_addresses:
        if at == port and machine(host) in _machines(protected):
            raise policy.refused(Door.HTTP, f"{_place(address)} leads to the monitoring itself; it may only be asked")


def _machines(host: str) -> set[str]:
    """Return the addresses of a host, each as `machine` tells them apart; one that is not known has none."""
    if is_loopback(host):
        return {"localhost"}
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {machine(str(place[0])) for *_, place in found}


def machine(address: str) -> str:
    """Return `localhost` for every address of this machine, and any other one as it is."""
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    plain = found if mapped is None else mapped
    if is_loopback(str(plain)):
        return "localhost"
    try:
        # only an own address can be taken
        with socket.socket(socket.AF_INET if plain.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(plain), 0))
    except OSError:
        return str(plain)
    return "localhost"


def _beginning_of(response: http.client.HTTPResponse) -> bytes:
    """Return the first bytes of an answer, one more than is kept."""
    if not response.chunked:
        return response.read(LARGEST_KEPT + 1)
    # piece by piece: a chunk that says it is smaller than nothing would be read as a whole, however large
    body = b""
    while len(body) <= LARGEST_KEPT and (part := response.read1(LARGEST_KEPT + 1 - len(body))):
        body += part
    return body


def _cut(line: socket.socket, was_cut: threading.Event) -> None:
    was_cut.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _authorization(policy: Policy, address: Address, method: str) -> Secret | None:
    """Return the Authorization header that the policy has sent to this place, read now: a new token holds at once.

    Raise Refused if its file cannot be read, is not private, or holds no header on one line.
    """
    path = policy.authorization_file(address, method)
    if path is None:
        return None
    try:
        problem = privacy_problem(path)
        text = "" if problem else path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read ({error.__class__.__name__}); write the header into it, and chmod 600 it"
        raise policy.refused(Door.HTTP, problem) from error
    if problem is None and (not text or len(text) > LONGEST_SECRET or _header_problem({"Authorization": text})):
        problem = f"{path} holds no header on one line; write for example: Bearer TOKEN"
    if problem is not None:
        raise policy.refused(Door.HTTP, problem)
    return Secret(text)


def without(secret: Secret | None, body: bytes) -> bytes:
    """Return an answer without the secret that was sent: some servers show what they were asked."""
    if secret is None:
        return body
    for text in sorted(_forms(secret.reveal()), key=len, reverse=True):
        body = body.replace(text.encode(), b"<secret>")
    return body


def _forms(header: str) -> set[str]:
    """Return how a header may be told back: whole, as its token, as what Basic hides, as some write it in JSON."""
    token = header.partition(" ")[2].strip()
    found = {header, token}
    with suppress(ValueError):
        pair = b64decode(token, validate=True).decode()
        found |= {pair, pair.partition(":")[2]} if header.lower().startswith("basic ") else set()
    return {form for text in found if text for form in (text, text.replace("/", "\\/"))}


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
