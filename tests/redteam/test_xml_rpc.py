"""The red team against the answers of supervisord: whatever is said, it is read as data or refused."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.xml_rpc import Fault, read_answer, write_call


def answer(value: str) -> bytes:
    return f"<?xml version='1.0'?><methodResponse><params><param>{value}</param></params></methodResponse>".encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<value><int>-3</int></value>", -3),
        ("<value><i4>3</i4></value>", 3),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><string>a &lt;b&gt; &amp;amp;</string></value>", "a <b> &amp;"),
        ("<value>plain</value>", "plain"),
        ("<value><double>1.5</double></value>", 1.5),
        ("<value><array><data><value>a</value>\n<value><int>1</int></value></data></array></value>", ["a", 1]),
        ("<value><struct><member><name>a</name><value>b</value></member></struct></value>", {"a": "b"}),
    ],
)
def test_every_type_of_the_specification_is_read(value: str, expected: object) -> None:
    assert read_answer(answer(value)) == expected


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<methodResponse>",
        b"<methodResponse/>",
        b"<html/>",
        answer("<value><base64>aaaa</base64></value>"),
        answer("<value><int>x</int></value>"),
        answer("<value><boolean>2</boolean></value>"),
        answer("<value><int>1</int><int>2</int></value>"),
        answer("<value><string a='b'>x</string></value>"),
        answer("<value>" + "<array><data><value>" * 40 + "</value></data></array>" * 40 + "</value>"),
        answer("<value><array><data>" + "<value>a</value>" * 20_000 + "</data></array></value>"),
        (BOMB + "<methodResponse><params><param><value>&b;</value></param></params></methodResponse>").encode(),
        (OUTSIDE + "<methodResponse><params><param><value>&a;</value></param></params></methodResponse>").encode(),
        (BOMB + "<methodResponse/>").encode("utf-16"),
        answer("<value>a</value>").replace(b"<?xml version='1.0'?>", b"<?xml version='1.0' encoding='utf-16'?>")
        + b"\xff",
        b"<methodResponse><fault><value>no struct</value></fault></methodResponse>",
    ],
    ids=range(17),
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"is|holds|declares|invalid"):
        read_answer(body)


def test_a_fault_has_its_code_and_its_words_are_data() -> None:
    fault = "<struct><member><name>faultCode</name><value><int>10</int></value></member>"
    fault += f"<member><name>faultString</name><value>BAD_NAME: \n{'x' * 999}</value></member></struct>"

    with pytest.raises(Fault) as told:
        read_answer(f"<methodResponse><fault><value>{fault}</value></fault></methodResponse>".encode())

    assert told.value.code == 10
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 300


@given(st.binary(max_size=300))
def test_whatever_comes_ends_in_a_value_or_a_known_error(body: bytes) -> None:
    with contextlib.suppress(ValueError, Fault):
        read_answer(body)


@given(st.text(max_size=50))
def test_what_is_sent_cannot_become_markup(text: str) -> None:
    body = write_call("m", text, True).decode("utf-8", "surrogatepass") if text.isprintable() else ""

    assert body.count("<string>") == (1 if body else 0)


def test_reading_takes_no_longer_than_the_answer_is_long() -> None:
    body = b"<methodResponse><params><param><value>" + b"\n" * (4 << 20) + b"</value></param></params></methodResponse>"
    begun = time.process_time()

    assert len(read_answer(body)) == 4 << 20
    # the work of a processor, which no busy neighbour adds to; a quadratic reader takes minutes
    assert time.process_time() - begun < 20
