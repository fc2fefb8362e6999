"""Asks a name server one question and judges the answer; dnspython reads and writes the messages."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from exporter.probe.dial import Address, Dialer, timed
from exporter.probe.model import Deadline, Dns, Found, ProbeError, Reason
from selfheal.common.re2 import Expression


def ask(wanted: Dns, dialer: Dialer, found: Found, deadline: Deadline) -> None:
    """Ask and judge the answer; `found` gets what was seen. Raise ProbeError if something is not right."""
    found.facts.update(
        dns_query_succeeded=0, dns_answer_rrs=0, dns_authority_rrs=0, dns_additional_rrs=0, failed_due_to_regex=0
    )
    address = dialer.resolve(wanted.host, wanted.port, found, deadline)[0]
    query = dns.message.make_query(wanted.query_name, wanted.query_type)
    if not wanted.recursion_desired:
        query.flags &= ~dns.flags.RD
    with timed("request", found, deadline):
        response = _exchange(query, wanted, address, deadline)
    found.facts.update(
        dns_query_succeeded=1,
        dns_answer_rrs=sum(len(records) for records in response.answer),
        dns_authority_rrs=sum(len(records) for records in response.authority),
        dns_additional_rrs=sum(len(records) for records in response.additional),
        dns_flag_ad=int(bool(response.flags & dns.flags.AD)),
    )
    for records in response.answer:
        if records.rdtype == dns.rdatatype.SOA:
            found.facts["dns_serial"] = records[0].serial
    _judge(wanted, response, found)


def _exchange(
    query: dns.message.QueryMessage, wanted: Dns, address: Address, deadline: Deadline
) -> dns.message.Message:
    # an answer from elsewhere, or to another question, is not ours: dnspython waits on
    try:
        if wanted.transport == "tcp":
            return dns.query.tcp(query, address.ip, timeout=deadline.left(), port=address.port)
        return dns.query.udp(query, address.ip, timeout=deadline.left(), port=address.port, ignore_unexpected=True)
    except (dns.exception.Timeout, TimeoutError) as error:
        raise ProbeError(Reason.TIMEOUT, "no answer in time") from error
    except dns.exception.DNSException as error:
        raise ProbeError(Reason.PROTOCOL, f"the answer is no DNS: {error.__class__.__name__}") from error
    except (OSError, EOFError) as error:
        raise ProbeError(Reason.CONNECT, "nobody answers at the address") from error


def _judge(wanted: Dns, response: dns.message.Message, found: Found) -> None:
    code = dns.rcode.to_text(response.rcode())
    if code not in wanted.valid_rcodes:
        raise ProbeError(Reason.STATUS, f"the response code is {code}, not {', '.join(wanted.valid_rcodes)}")
    lines = [line for records in response.answer for line in records.to_text().split("\n")]
    problem = _problem(wanted.answer.fail_if_matches, wanted.answer.fail_if_none_matches, lines)
    if problem is not None:
        found.facts["failed_due_to_regex"] = 1
        raise ProbeError(Reason.REGEX, problem)


def _problem(forbidden: tuple[Expression, ...], required: tuple[Expression, ...], lines: list[str]) -> str | None:
    for pattern in forbidden:
        if any(pattern.finds(line) for line in lines):
            return f"a record of the answer matches {pattern.source}"
    for pattern in required:
        if not any(pattern.finds(line) for line in lines):
            return f"no record of the answer matches {pattern.source}"
    return None
