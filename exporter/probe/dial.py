"""Names to addresses, these to connections, those to encrypted ones: each step timed, all within a deadline."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from exporter.deadline import BoundedCaller, LateError
from exporter.probe.certificates import read_chain
from exporter.probe.model import Deadline, Found, IpProtocol, ProbeError, Reason, Tls


class Address(NamedTuple):
    """One address of a name."""

    family: int
    ip: str
    port: int

    @property
    def place(self) -> tuple[str, int]:
        """Return what `connect` takes."""
        return self.ip, self.port


class Dialer:
    """Makes the connections of one probe, one probe at a time; `found` gets what each step found."""

    def __init__(self, prefer: IpProtocol | None = None, fall_back: bool = True) -> None:
        self._prefer = prefer
        self._fall_back = fall_back
        # the system's resolver knows no deadline
        self._resolver: BoundedCaller[list[Address]] = BoundedCaller("resolve")

    def resolve(self, host: str, port: int, found: Found, deadline: Deadline) -> list[Address]:
        """Return the addresses of a host, those to be tried first in front. Raise ProbeError if there is none."""
        try:
            with timed("resolve", found, deadline):
                addresses = self._resolver.call(lambda: _look_up(host, port), deadline.left())
        except LateError as error:
            raise ProbeError(Reason.TIMEOUT, f"{host} was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise ProbeError(Reason.RESOLVE, f"cannot resolve {host}: {_why(error)}") from error
        finally:
            found.facts["dns_lookup_time"] = found.phases["resolve"]
        wanted = self._in_order(addresses)
        if not wanted:
            raise ProbeError(Reason.RESOLVE, f"{host} has no address of the wanted kind, {self._prefer}")
        note_address(wanted[0], found)
        return wanted

    def connect(self, addresses: list[Address], found: Found, deadline: Deadline) -> socket.socket:
        """Return a connection to the first address that takes one. Raise ProbeError if none does."""
        problems = []
        with timed("connect", found, deadline):
            for address in addresses:
                sock = socket.socket(address.family, socket.SOCK_STREAM)
                try:
                    sock.settimeout(deadline.left())
                    sock.connect(address.place)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    note_address(address, found)
                    return sock
                except TimeoutError as error:
                    sock.close()
                    raise ProbeError(Reason.TIMEOUT, f"no connection to {_place(address)} in time") from error
                except (OSError, ProbeError) as error:
                    sock.close()
                    if isinstance(error, ProbeError):
                        raise
                    problems.append(f"{_place(address)}: {_why(error)}")
        raise ProbeError(Reason.CONNECT, f"cannot connect to {'; '.join(problems)}")

    def encrypt(self, sock: socket.socket, host: str, tls: Tls, found: Found, deadline: Deadline) -> ssl.SSLSocket:
        """Given a connection, return it encrypted; it is closed if that fails.

        Raise ProbeError if the handshake fails. When it failed for the certificate, what that one says is found out
        on a second connection on which nothing else is said, so that its end is known also after it has ended.
        """
        name = tls.server_name or host
        try:
            place = sock.getpeername()
            with timed("tls", found, deadline):
                sock.settimeout(deadline.left())
                encrypted = make_context(tls).wrap_socket(sock, server_hostname=name)
        except ProbeError:
            sock.close()
            raise
        except ssl.SSLCertVerificationError as error:
            sock.close()
            self._look_at_certificate(sock.family, place, name, found, deadline)
            raise ProbeError(Reason.CERTIFICATE, f"the certificate is not trusted: {error.verify_message}") from error
        except TimeoutError as error:
            sock.close()
            raise ProbeError(Reason.TIMEOUT, "the TLS handshake did not end in time") from error
        except OSError as error:
            sock.close()
            raise ProbeError(Reason.TLS, f"the TLS handshake failed: {_why(error)}") from error
        note_encryption(encrypted, found)
        return encrypted

    def _look_at_certificate(self, family: int, place: Any, name: str, found: Found, deadline: Deadline) -> None:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as plain:
                plain.settimeout(deadline.left())
                plain.connect(place)
                context = make_context(Tls(insecure_skip_verify=True))
                with context.wrap_socket(plain, server_hostname=name) as encrypted:
                    note_encryption(encrypted, found)
        except (OSError, ProbeError):
            # the probe has failed already; this was for the date alone
            pass

    def _in_order(self, addresses: list[Address]) -> list[Address]:
        if self._prefer is None:
            return addresses
        family = socket.AF_INET if self._prefer == "ip4" else socket.AF_INET6
        first = [address for address in addresses if address.family == family]
        return first + [address for address in addresses if address.family != family] if self._fall_back else first


@contextmanager
def timed(phase: str, found: Found, deadline: Deadline) -> Iterator[None]:
    """Add what happens inside to a phase."""
    begun = deadline.clock.monotonic()
    try:
        yield
    finally:
        found.phases[phase] = found.phases.get(phase, 0.0) + deadline.clock.monotonic() - begun


def note_address(address: Address, found: Found) -> None:
    """Note which address is asked."""
    packed = ipaddress.ip_address(address.ip.partition("%")[0]).packed
    found.facts["ip_protocol"] = 6 if address.family == socket.AF_INET6 else 4
    found.facts["ip_addr_hash"] = _fnv1a(packed)


def note_encryption(sock: ssl.SSLSocket, found: Found) -> None:
    """Note what a handshake agreed on, and the certificates shown."""
    found.tls_version = _VERSIONS.get(sock.version() or "", sock.version())
    cipher = sock.cipher()
    found.tls_cipher = cipher[0] if cipher else None
    try:
        found.chain = read_chain(_shown(sock))
    except ValueError:
        # OpenSSL could read it and we cannot: no date is better than a wrong one
        found.chain = None


def make_context(tls: Tls) -> ssl.SSLContext:
    """Given how to judge, return the context of a handshake. Raise ProbeError if one of its files cannot be read."""
    named = [path for path in (tls.ca_file, tls.cert_file, tls.key_file) if path is not None]
    try:
        # the name of the server is of each handshake
        return _context(replace(tls, server_name=None), tuple(path.stat().st_mtime_ns for path in named))
    except (OSError, ValueError) as error:
        # OpenSSL has no words for a passphrase that nobody gave
        is_content = isinstance(error, (ssl.SSLError, ValueError))
        why = "no certificate in PEM, or a key that is encrypted or another's" if is_content else _why(error)
        raise ProbeError(Reason.SECRET, f"cannot read {', '.join(map(str, named))}: {why}") from error


@lru_cache(maxsize=16)
def _context(tls: Tls, changed: tuple[int, ...]) -> ssl.SSLContext:  # noqa: ARG001 - a file that changed is read anew
    # kept, for the system's hundred and more authorities cost megabytes and milliseconds each time they are read
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file is not None:
        context.load_verify_locations(tls.ca_file)
    else:
        context.load_default_certs()
    if tls.cert_file is not None:
        # asked on the terminal otherwise
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: b"")
    return context


# as Go, and therefore blackbox_exporter, spells them
_VERSIONS = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}


def _shown(sock: ssl.SSLSocket) -> list[bytes]:
    """Return the certificates that the other side showed, in DER, its own first."""
    chain: Any = getattr(sock, "get_unverified_chain", None)
    if chain is not None:
        return list(chain())
    # before Python 3.13 only the inner object has it
    inner = getattr(getattr(sock, "_sslobj", None), "get_unverified_chain", None)
    if inner is not None:
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner() or ()]
    leaf = sock.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def _look_up(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(entry[0], str(entry[4][0]), port) for entry in found))


def _place(address: Address) -> str:
    return f"[{address.ip}]:{address.port}" if ":" in address.ip else f"{address.ip}:{address.port}"


def _why(error: Exception) -> str:
    """Return an error's own words, without numbers and file names of the library."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
        return "connection reset"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()


def _fnv1a(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash, by which blackbox_exporter shows that an address has changed."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
