"""What a certificate in DER says about its end: enough to warn of it, also when the certificate is not trusted.

RFC 5280 section 4.1: Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version OPTIONAL, serialNumber,
signature, issuer, validity SEQUENCE { notBefore, notAfter }, … }, … }.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.probe.model import Chain

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18


class _Item(NamedTuple):
    tag: int
    content: bytes
    rest: bytes


def read_chain(certificates: Sequence[bytes]) -> Chain:
    """Given certificates in DER, that of the server first, return what is said of them. Raise ValueError if unread."""
    if not certificates:
        raise ValueError("the other side showed no certificate")
    return Chain(
        earliest_expiry=min(not_after(certificate) for certificate in certificates),
        leaf_sha256=hashlib.sha256(certificates[0]).hexdigest(),
    )


def not_after(certificate: bytes) -> float:
    """Given a certificate in DER, return when it ends, in seconds since the epoch. Raise ValueError if it is none."""
    inside = _item(_item(certificate, _SEQUENCE).content, _SEQUENCE).content
    if inside[:1] == bytes([_VERSION]):
        inside = _item(inside).rest
    # the serial number, the signature's algorithm, the issuer
    for _ in range(3):
        inside = _item(inside).rest
    begin = _item(_item(inside, _SEQUENCE).content)
    end = _item(begin.rest)
    return _seconds(end.tag, end.content.decode("ascii"))


def _item(data: bytes, wanted: int | None = None) -> _Item:
    """Return the first element of DER data and what follows it."""
    if len(data) < 2:
        raise ValueError("the certificate ends too early")
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("the certificate has a length that DER does not allow")
        length, at = int.from_bytes(data[2 : 2 + count]), 2 + count
    if at + length > len(data):
        raise ValueError("the certificate ends too early")
    if wanted is not None and tag != wanted:
        raise ValueError("this is no certificate")
    return _Item(tag, data[at : at + length], data[at + length :])


def _seconds(tag: int, text: str) -> float:
    if tag == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: two digits of a year from 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("the certificate has no end")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
