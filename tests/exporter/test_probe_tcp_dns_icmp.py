"""TCP, DNS and ICMP asked of real servers on loopback."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from exporter.probe import over_icmp
from exporter.probe.model import Ask, Dns, Exchange, Icmp, Probe, Reason, Rules, Tcp
from exporter.probe.run import Prober, Verdict
from selfheal.common.clock import SystemClock
from selfheal.common.re2 import compile_re2
from tests.exporter.probing import Service, serving


def ask(wanted: Ask, timeout: float = 10) -> Verdict:
    return Prober(Probe("test", wanted, 15, timeout), SystemClock()).run()


def test_a_connection_is_enough_for_tcp() -> None:
    with serving(lambda _, __: None) as service:
        verdict = ask(Tcp("127.0.0.1", service.port))

    assert verdict.reason is None
    assert set(verdict.found.phases) == {"resolve", "connect"}


@pytest.mark.parametrize(
    ("said", "expect", "reason", "text"),
    [
        (b"noise\r\n220 ready\r\n", "^220", None, ""),
        (b"220 ready", "^220", None, ""),
        (b"500 no\r\n", "^220", Reason.REGEX, "the connection was closed before a line matched ^220"),
        (b"", "^220", Reason.REGEX, "the connection was closed before a line matched ^220"),
        (b"x" * 200_000, "^220", Reason.SIZE, "a line is longer than 65536 bytes"),
        (b"x\n" * 2_000, "^220", Reason.SIZE, "none of 1000 lines was the expected one"),
    ],
    ids=["found", "last-line-without-end", "other", "nothing", "long-line", "many-lines"],
)
def test_an_expected_line_decides(said: bytes, expect: str, reason: Reason | None, text: str) -> None:
    with serving(lambda _, sock: sock.sendall(said)) as service:
        verdict = ask(Tcp("127.0.0.1", service.port, conversation=(Exchange(compile_re2(expect)),)))

    assert (verdict.reason, verdict.text) == (reason, text)
    assert verdict.found.facts["failed_due_to_regex"] == int(reason is Reason.REGEX)


def test_a_conversation_goes_both_ways() -> None:
    def converse(service: Service, sock: socket.socket) -> None:
        sock.sendall(b"+OK\n")
        service.asked.append(sock.recv(100))
        sock.sendall(b"+PONG\n")

    steps = (Exchange(compile_re2(r"\+OK"), "PING"), Exchange(compile_re2(r"^\+PONG$")))
    with serving(converse) as service:
        verdict = ask(Tcp("127.0.0.1", service.port, conversation=steps))

    assert verdict.reason is None
    assert service.asked == [b"PING\n"]


def test_silence_where_a_line_is_expected_is_given_up() -> None:
    with serving(lambda service, _: service.ended.wait(20)) as service:  # type: ignore[arg-type,return-value]
        verdict = ask(Tcp("127.0.0.1", service.port, conversation=(Exchange(compile_re2("x")),)), timeout=0.1)

    assert (verdict.reason, verdict.text) == (Reason.TIMEOUT, "the expected line did not come in time")


Answer = Callable[[dns.message.Message], bytes | None]


@contextmanager
def name_server(answer: Answer) -> Iterator[int]:
    """Answer DNS on UDP and TCP of one port."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with socket.create_server(("127.0.0.1", 0)) as tcp, udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))

        def over_udp() -> None:
            while (received := udp.recvfrom(65536))[0]:
                reply = answer(dns.message.from_wire(received[0]))
                if reply is not None:
                    udp.sendto(reply, received[1])

        def over_tcp() -> None:
            while True:
                try:
                    sock, _ = tcp.accept()
                except OSError:
                    return
                with sock:
                    data = sock.recv(65536)
                    reply = answer(dns.message.from_wire(data[2:])) or b""
                    sock.sendall(len(reply).to_bytes(2) + reply)

        threads = [threading.Thread(target=over_udp), threading.Thread(target=over_tcp)]
        for thread in threads:
            thread.start()
        try:
            yield port
        finally:
            tcp.shutdown(socket.SHUT_RDWR)
            # an empty datagram tells it to end
            udp.sendto(b"", ("127.0.0.1", port))
            for thread in threads:
                thread.join(20)


def records(*lines: str, code: str = "NOERROR", flags: int = 0) -> Answer:
    """Return who answers with these records."""

    def answer(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        response.flags |= flags
        response.set_rcode(dns.rcode.from_text(code))
        for line in lines:
            name, kind, text = line.split(" ", 2)
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, text))
        return response.to_wire()

    return answer


def ask_dns(answer: Answer, wanted: Dns, timeout: float = 10) -> Verdict:
    with name_server(answer) as port:
        fields = {name: getattr(wanted, name) for name in Dns.__slots__} | {"port": port}
        return ask(Dns(**fields), timeout)


SOA = "example.test. SOA ns.example.test. root.example.test. 2026112001 1 1 1 1"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_dns_answer_is_told_with_its_sections_and_serial(transport: str) -> None:
    wanted = Dns("127.0.0.1", 0, "example.test", "SOA", transport)  # type: ignore[arg-type]
    verdict = ask_dns(records(SOA, flags=dns.flags.AD), wanted)

    assert (verdict.reason, verdict.text) == (None, "")
    assert {
        fact: value for fact, value in verdict.found.facts.items() if fact.startswith("dns_") and "time" not in fact
    } == {
        "dns_additional_rrs": 0,
        "dns_answer_rrs": 1,
        "dns_authority_rrs": 0,
        "dns_flag_ad": 1,
        "dns_query_succeeded": 1,
        "dns_serial": 2026112001,
    }
    assert verdict.found.phases["request"] > 0


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (Rules(fail_if_matches=(compile_re2(r"192\.0\.2\.2$"),)), r"a record of the answer matches 192\.0\.2\.2$"),
        (Rules(fail_if_none_matches=(compile_re2(r"192\.0\.2\.9"),)), r"no record of the answer matches 192\.0\.2\.9"),
        (Rules((compile_re2("AAAA"),), (compile_re2(r"A 192\.0\.2\.1$"),)), ""),
    ],
    ids=["forbidden", "required", "fine"],
)
def test_records_are_judged_by_patterns(rules: Rules, text: str) -> None:
    answer = records("a.test. A 192.0.2.1", "a.test. A 192.0.2.2")
    verdict = ask_dns(answer, Dns("127.0.0.1", 0, "a.test", answer=rules))

    assert (verdict.text, verdict.reason) == (text, Reason.REGEX if text else None)
    assert verdict.found.facts["dns_answer_rrs"] == 2


def test_the_response_code_decides() -> None:
    answer = records(code="NXDOMAIN")
    verdict = ask_dns(answer, Dns("127.0.0.1", 0, "no.test"))

    assert (verdict.reason, verdict.text) == (Reason.STATUS, "the response code is NXDOMAIN, not NOERROR")
    assert verdict.found.facts["dns_query_succeeded"] == 1
    assert ask_dns(answer, Dns("127.0.0.1", 0, "no.test", valid_rcodes=("NXDOMAIN",))).reason is None


def test_recursion_is_asked_for_unless_unwanted() -> None:
    seen: list[bool] = []

    def note(query: dns.message.Message) -> bytes | None:
        seen.append(bool(query.flags & dns.flags.RD))
        return records()(query)

    ask_dns(note, Dns("127.0.0.1", 0, "a.test"))
    ask_dns(note, Dns("127.0.0.1", 0, "a.test", recursion_desired=False))

    assert seen == [True, False]


def test_a_silent_name_server_is_given_up() -> None:
    verdict = ask_dns(lambda _: None, Dns("127.0.0.1", 0, "a.test"), timeout=0.1)

    assert (verdict.reason, verdict.text) == (Reason.TIMEOUT, "no answer in time")
    assert verdict.found.facts["dns_query_succeeded"] == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_garbage_is_no_dns(transport: str) -> None:
    wanted = Dns("127.0.0.1", 0, "a.test", transport=transport)  # type: ignore[arg-type]
    verdict = ask_dns(lambda query: query.to_wire()[:2] + b"garbage", wanted)

    assert verdict.reason is Reason.PROTOCOL
    assert verdict.text.startswith("the answer is no DNS: ")


def test_the_answer_to_another_question_is_not_ours() -> None:
    def other(query: dns.message.Message) -> bytes:
        return records("b.test. A 192.0.2.1")(dns.message.make_query("b.test", "A", id=query.id))

    assert ask_dns(other, Dns("127.0.0.1", 0, "a.test"), timeout=0.2).reason in (Reason.PROTOCOL, Reason.TIMEOUT)


def test_nobody_at_the_name_servers_address_fails() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        verdict = ask(Dns("127.0.0.1", sock.getsockname()[1], "a.test", transport="tcp"))

    assert (verdict.reason, verdict.text) == (Reason.CONNECT, "nobody answers at the address")


class EchoSocket:
    """Loopback's answers to pings, for users that may send none: what arrives is written here as the kernel would."""

    def __init__(self, family: int, is_raw: bool, ghosts: int = 0) -> None:
        self.family = family
        self.is_raw = is_raw
        self.ghosts = ghosts
        self.sent: list[bytes] = []
        self.options: list[tuple[int, int, int]] = []

    def __enter__(self) -> EchoSocket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)  # type: ignore[arg-type]

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def sendto(self, packet: bytes, _: object) -> None:
        self.sent.append(packet)

    def recvmsg(self, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        hops = 7 if self.ghosts else 61
        reply = bytes([0 if self.family == socket.AF_INET else 129]) + self.sent[0][1:]
        if self.ghosts:
            # the echo of somebody else's ping, or our own request as loopback shows it to raw sockets
            self.ghosts -= 1
            reply = self.sent[0] if self.ghosts else reply[:8] + bytes(len(reply) - 8)
        if self.is_raw and self.family == socket.AF_INET:
            reply = bytes([0x46]) + bytes(23) + reply
        return reply, [(0, 2, hops.to_bytes(4, sys.byteorder))], 0, None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ip4", "ip6"])
@pytest.mark.parametrize("is_raw", [False, True], ids=["ping-socket", "raw"])
def test_an_echo_is_told_from_those_of_others(family: int, is_raw: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    echo = EchoSocket(family, is_raw, ghosts=2)
    monkeypatch.setattr(over_icmp, "_open", lambda _: (echo, is_raw))
    verdict = ask(Icmp("127.0.0.1" if family == socket.AF_INET else "::1", payload_size=57))

    assert verdict.reason is None
    assert verdict.found.facts["icmp_reply_hop_limit"] == 61
    assert len(echo.sent[0]) == 8 + 57
    assert {"setup", "rtt"} < set(verdict.found.phases)


def may_ping() -> bool:
    """Say whether this user may send ICMP here at all."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


def test_loopback_answers_pings_or_the_error_names_the_setting() -> None:
    verdict = ask(Icmp("127.0.0.1"))

    if may_ping():
        assert verdict.reason is None
        assert 1 <= verdict.found.facts["icmp_reply_hop_limit"] <= 255
        assert verdict.found.phases["rtt"] > 0
    else:
        assert verdict.reason is Reason.PERMISSION


def test_without_the_right_to_ping_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def refuse(family: int = -1, kind: int = -1, protocol: int = -1) -> socket.socket:
        if protocol == socket.IPPROTO_ICMP:
            raise PermissionError(1, "Operation not permitted")
        return real(family, kind, protocol)

    monkeypatch.setattr(over_icmp.socket, "socket", refuse)
    verdict = ask(Icmp("127.0.0.1"))

    assert (verdict.reason, verdict.text) == (
        Reason.PERMISSION,
        "this system lets this user send no ICMP; add the user's group to the range in net.ipv4.ping_group_range, "
        "or give the program CAP_NET_RAW",
    )


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"", 0xFFFF), (b"\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220D), (b"\xff", 0x00FF), (b"\xff\xff\xff\xff", 0)],
    ids=["empty", "rfc-1071", "odd", "carry"],
)
def test_the_checksum_is_that_of_rfc_1071(data: bytes, checksum: int) -> None:
    assert over_icmp._checksum(data) == checksum
