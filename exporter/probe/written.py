"""The file of probes: its shape, and what it says as values.

It loads pydantic: import it only once a file is to be read. dnspython is loaded only by a file that asks by DNS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from exporter.probe.model import Dns, Exchange, HeaderRule, Http, Icmp, Probe, Rules, Tcp
from exporter.probe.written_http import (
    Limit,
    Pattern,
    Span,
    WrittenRequest,
    WrittenTls,
    check_host,
    check_request,
    check_tls,
    check_url,
    parse_place,
    read_request,
    read_tls,
)
from selfheal.common.documents import Section, read_as, read_yaml, told
from selfheal.common.re2 import compile_re2

DEFAULT_EVERY = 15.0
DEFAULT_TIMEOUT = 5.0

T = TypeVar("T")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_VERSIONS = ("HTTP/1.0", "HTTP/1.1")


def _one_of(*known: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            told(f"{value[:80]!r} is unknown", f"write {', '.join(known[:-1])} or {known[-1]}")
        return value

    return AfterValidator(check)


def _status(value: int) -> int:
    if not 100 <= value <= 599:
        told(f"{value} is no status", "write numbers from 100 to 599")
    return value


def _query_name(value: str) -> str:
    import dns.exception
    import dns.name

    try:
        dns.name.from_text(value)
    except (dns.exception.DNSException, UnicodeError):
        told(f"{value[:80]!r} is no name that can be asked for", "write for example example.org")
    return value


def _record_type(value: str) -> str:
    import dns.exception
    import dns.rdatatype

    try:
        dns.rdatatype.from_text(value)
    except (dns.exception.DNSException, ValueError):
        told(f"{value[:80]!r} is no record type", "write for example A, AAAA, MX or SOA")
    return value


def _response_code(value: str) -> str:
    import dns.exception
    import dns.rcode

    try:
        return dns.rcode.to_text(dns.rcode.from_text(value))
    except (dns.exception.DNSException, ValueError):
        told(f"{value[:80]!r} is no response code", "write for example NOERROR or NXDOMAIN")


def _name(value: str) -> str:
    if not value.strip() or len(value) > 100 or not value.isprintable():
        told(f"{value[:80]!r} is no name of a probe", "write 1 to 100 characters on one line")
    return value


class WrittenHeaderRule(Section):
    """A pattern for a header."""

    header: str
    regexp: Pattern
    allow_missing: bool = False


class WrittenHttp(WrittenRequest):
    """An HTTP request and what of its answer is right."""

    method: Annotated[str, _one_of(*_METHODS)] = "GET"
    body: str = ""
    valid_status_codes: list[Annotated[int, AfterValidator(_status)]] = Field(default_factory=list)
    valid_http_versions: list[Annotated[str, _one_of(*_VERSIONS)]] = Field(default_factory=list)
    fail_if_ssl: bool = False
    fail_if_not_ssl: bool = False
    fail_if_body_matches_regexp: list[Pattern] = Field(default_factory=list)
    fail_if_body_not_matches_regexp: list[Pattern] = Field(default_factory=list)
    fail_if_header_matches: list[WrittenHeaderRule] = Field(default_factory=list)
    fail_if_header_not_matches: list[WrittenHeaderRule] = Field(default_factory=list)
    body_size_limit: Annotated[int, Field(ge=1, le=1 << 30)] = 1 << 20

    @model_validator(mode="after")
    def _check(self) -> WrittenHttp:
        check_request(self)
        if self.fail_if_ssl and self.fail_if_not_ssl:
            told("fail_if_ssl and fail_if_not_ssl contradict each other", "give only one")
        return self


class WrittenExchange(Section):
    """One step of a conversation."""

    expect: Pattern | None = None
    send: str | None = None
    starttls: bool = False


class WrittenTcp(Section):
    """A connection."""

    tls: bool = False
    tls_config: WrittenTls = WrittenTls()
    query_response: list[WrittenExchange] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> WrittenTcp:
        check_tls(self.tls_config)
        return self


class WrittenRules(Section):
    """Patterns for the records of an answer."""

    fail_if_matches_regexp: list[Pattern] = Field(default_factory=list)
    fail_if_none_matches_regexp: list[Pattern] = Field(default_factory=list)


class WrittenDns(Section):
    """A question to a name server."""

    query_name: Annotated[str, AfterValidator(_query_name)]
    query_type: Annotated[str, AfterValidator(_record_type)] = "A"
    transport_protocol: Annotated[str, _one_of("udp", "tcp")] = "udp"
    recursion_desired: bool = True
    valid_rcodes: list[Annotated[str, AfterValidator(_response_code)]] = Field(
        default_factory=lambda: ["NOERROR"], min_length=1
    )
    validate_answer_rrs: WrittenRules = WrittenRules()


class WrittenIcmp(Section):
    """An echo request."""

    payload_size: Annotated[int, Field(ge=8, le=65_000)] = 56


class WrittenProbe(Section):
    """One probe."""

    prober: Annotated[str, _one_of("http", "tcp", "dns", "icmp")]
    target: str
    every: Span | None = None
    timeout: Limit | None = None
    preferred_ip_protocol: Annotated[str, _one_of("ip4", "ip6")] | None = None
    ip_protocol_fallback: bool = True
    http: WrittenHttp | None = None
    tcp: WrittenTcp | None = None
    dns: WrittenDns | None = None
    icmp: WrittenIcmp | None = None

    @model_validator(mode="after")
    def _check(self) -> WrittenProbe:
        for key in ("http", "tcp", "dns", "icmp"):
            if key != self.prober and getattr(self, key) is not None:
                told(f"{key} is of another prober than {self.prober}", f"leave it out, or write prober: {key}")
        if self.prober == "dns" and self.dns is None:
            told("a dns probe asks for a name", "add dns with query_name")
        if self.every is not None and self.timeout is not None and self.timeout > self.every:
            told("timeout is longer than every", "shorten it, or ask less often")
        _TARGETS[self.prober](self.target)
        return self


class WrittenFile(Section):
    """The whole file."""

    every: Span = DEFAULT_EVERY
    timeout: Limit = DEFAULT_TIMEOUT
    probes: Annotated[dict[Annotated[str, AfterValidator(_name)], WrittenProbe], Field(min_length=1)]


def _target(read: Callable[[str], T], example: str) -> Callable[[str], T]:
    """Return a reader of targets that refuses in words."""

    def check(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            told(f"target {text[:80]!r} cannot be asked: {error}", f"write for example {example}")

    return check


_tcp_target = _target(lambda text: parse_place(text, None), "127.0.0.1:5432")
_dns_target = _target(lambda text: parse_place(text, 53), "127.0.0.1 or [::1]:53")
_icmp_target = _target(check_host, "192.0.2.1")

_TARGETS: dict[str, Callable[[str], object]] = {
    "http": check_url,
    "tcp": _tcp_target,
    "dns": _dns_target,
    "icmp": _icmp_target,
}


def read_probes(path: Path) -> tuple[Probe, ...]:
    """Given the file of probes, return them. Raise ConfigError with everything that is wrong with it."""
    written = read_as(WrittenFile, read_yaml(path), str(path))
    return tuple(_probe(name, probe, written, path.parent) for name, probe in written.probes.items())


def _probe(name: str, written: WrittenProbe, file: WrittenFile, folder: Path) -> Probe:
    every = written.every or file.every
    prefer: Literal["ip4", "ip6"] | None = None
    if written.preferred_ip_protocol is not None:
        prefer = "ip4" if written.preferred_ip_protocol == "ip4" else "ip6"
    return Probe(
        name=name,
        ask=_ASKS[written.prober](written, folder),
        every=every,
        # a probe has ended before its next turn
        timeout=min(written.timeout or file.timeout, every),
        prefer=prefer,
        fall_back=written.ip_protocol_fallback,
    )


def _http(written: WrittenProbe, folder: Path) -> Http:
    http = written.http or WrittenHttp()
    return replace(
        read_request(written.target, http, folder),
        method=http.method,
        body=http.body.encode(),
        valid_status_codes=tuple(http.valid_status_codes),
        valid_http_versions=tuple(http.valid_http_versions),
        fail_if_ssl=http.fail_if_ssl,
        fail_if_not_ssl=http.fail_if_not_ssl,
        fail_if_body_matches=tuple(map(compile_re2, http.fail_if_body_matches_regexp)),
        fail_if_body_not_matches=tuple(map(compile_re2, http.fail_if_body_not_matches_regexp)),
        fail_if_header_matches=tuple(map(_header_rule, http.fail_if_header_matches)),
        fail_if_header_not_matches=tuple(map(_header_rule, http.fail_if_header_not_matches)),
        body_size_limit=http.body_size_limit,
    )


def _header_rule(written: WrittenHeaderRule) -> HeaderRule:
    return HeaderRule(written.header, compile_re2(written.regexp), written.allow_missing)


def _tcp(written: WrittenProbe, folder: Path) -> Tcp:
    tcp = written.tcp or WrittenTcp()
    host, port = _tcp_target(written.target)
    return Tcp(
        host=host,
        port=port,
        use_tls=tcp.tls,
        conversation=tuple(
            Exchange(compile_re2(step.expect) if step.expect is not None else None, step.send, step.starttls)
            for step in tcp.query_response
        ),
        tls=read_tls(tcp.tls_config, folder),
    )


def _dns(written: WrittenProbe, _: Path) -> Dns:
    # the shape's own check has refused a probe without it
    assert written.dns is not None
    host, port = _dns_target(written.target)
    rules = written.dns.validate_answer_rrs
    return Dns(
        host=host,
        port=port,
        query_name=written.dns.query_name,
        query_type=written.dns.query_type,
        transport="tcp" if written.dns.transport_protocol == "tcp" else "udp",
        recursion_desired=written.dns.recursion_desired,
        valid_rcodes=tuple(written.dns.valid_rcodes),
        answer=Rules(
            tuple(map(compile_re2, rules.fail_if_matches_regexp)),
            tuple(map(compile_re2, rules.fail_if_none_matches_regexp)),
        ),
    )


def _icmp(written: WrittenProbe, _: Path) -> Icmp:
    return Icmp(_icmp_target(written.target), (written.icmp or WrittenIcmp()).payload_size)


_ASKS: dict[str, Callable[[WrittenProbe, Path], Http | Tcp | Dns | Icmp]] = {
    "http": _http,
    "tcp": _tcp,
    "dns": _dns,
    "icmp": _icmp,
}
