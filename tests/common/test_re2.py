"""Expressions mean what they mean in Go; the expected captures here are what process-exporter 0.8.5 found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.common.re2 import ExpressionError, compile_re2


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        (r"(?P<x>a$)", "ba", "a"),
        (r"(?P<x>a$)", "a\n", None),
        (r"(?m)(?P<x>a$)", "a\nb", "a"),
        (r"(?m)^(?P<x>b)$", "a\nb\nc", "b"),
        (r"\A(?P<x>a)\z", "a\n", None),
        (r"^(?P<x>\d+)\s", "12\vx", None),
        (r"^(?P<x>\d+)\s", "12\fx", "12"),
        (r"(?P<x>\d)", "\u0661", None),
        (r"(?P<x>\w+)=", "\u00e9=", None),
        (r"(?P<x>\bx)", "\u00e9x", "x"),
        (r"(?P<x>\Bx)", "\u00e9x", None),
        (r"(?P<x>\D\W)", "1a-", "a-"),
        (r"(?P<x>\S+)$", "a b\n", None),
        (r"(?P<x>\Qa.b\E+)", "a.bb", "a.bb"),
        (r"(?P<x>\Q*+\E)", "a*+", "*+"),
        (r"(?i)(?P<x>KeY)", "\u212aey", "\u212aey"),
        (r"(?i)(?P<x>[^a]s)", "b\u017f", "b\u017f"),
        (r"(?i)(?P<x>\w+)", "\u017f\u212a", "\u017f\u212a"),
        (r"(?i)(?P<x>\W)", "\u017f", None),
        (r"(?i)(?P<x>[[:upper:]]+)", "abC", "abC"),
        (r"a(?i)b(?P<x>c)", "aBC", "C"),
        (r"(a(?i)b)(?P<x>c)", "aBC", None),
        (r"x(?P<x>(?i:y))z", "xYz", "Y"),
        (r"(?i-i)(?P<x>A)", "a", None),
        (r"(?P<x>a{,3})", "a{,3}", "a{,3}"),
        (r"(?P<x>a{1)", "a{1", "a{1"),
        (r"(?P<x>a{2}b{1,}c{0,1}?)", "aabbc", "aabb"),
        (r"(?U)(?P<x>a+)", "aaa", "a"),
        (r"(?U)(?P<x>a+?)", "aaa", "aaa"),
        (r"(?s)(?P<x>.*)b", "a\nb", "a\n"),
        (r"(?P<x>.*)b", "a\nb", ""),
        (r"(?P<x>[[:alpha:]-]+)", "a-x1", "a-x"),
        (r"(?P<x>[[:^digit:]]+)", "12ab\n", "ab\n"),
        (r"(?P<x>[]a]+)", "]a", "]a"),
        (r"(?P<x>[^]a]+)", "]b", "b"),
        (r"(?P<x>[a-c-e]+)", "a-e", "a-e"),
        (r"(?P<x>[\d\-x]+)", "1-x", "1-x"),
        (r"(?P<x>[[])", "[", "["),
        (r"(?P<x>[\s\S]+)", "a\nb", "a\nb"),
        (r"(?P<x>\x41\x{42}\103)", "ABC", "ABC"),
        (r"(?P<x>[\x{1F600}-\x{1F64F}])", "\U0001f601", "\U0001f601"),
        (r"(?P<x>\.\/\-\_\<)", "./-_<", "./-_<"),
        (r"(?P<x>a|ab)(?P<y>c|bcd)", "abcd", "a"),
        (r"(?P<x>a||b)", "b", ""),
        (r"(?:(?P<x>a)|b)*", "ab", "a"),
        (r"(?:^*)(?P<x>a)", "a", "a"),
        (r"(?<x>ab)", "ab", "ab"),
        (r"(?P<x>x{0})y", "y", ""),
    ],
)
def test_an_expression_finds_what_go_finds(source: str, text: str, expected: str | None) -> None:
    found = compile_re2(source).captures(text)

    assert (None if found is None else found["x"]) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (r"a(?=b)", "Python reads (?= as lookahead, RE2 has none"),
        (r"(?!b)", "Python reads (?! as lookahead, RE2 has none"),
        (r"(?<=b)", "Python reads (?<= as lookbehind, RE2 has none"),
        (r"(?<!b)", "Python reads (?<! as lookbehind, RE2 has none"),
        (r"(?>b)", "Python reads (?> as a group that is never tried again, RE2 has none"),
        (r"(?#b)", "Python reads (?# as a comment, RE2 has none"),
        (r"(a)(?(1)b)", "Python reads (?( as a condition, RE2 has none"),
        (r"(?P<a>b)(?P=a)", "Python reads (?P= as a backreference, RE2 has none"),
        (r"(a)\1", "Python reads \\1 as a backreference, RE2 has none"),
        (r"a\Z", "Python reads \\Z as the end of the text, RE2 has no \\Z; write \\z"),
        (r"\pL", "RE2 reads \\p as a class of Unicode, Python has none"),
        (r"[\PL]", "RE2 reads \\P as a class of Unicode, Python has none"),
        (
            r"a++",
            "++: RE2 takes no repetition of a repetition, and Python may read it as one that is never tried again",
        ),
        (r"a**", "**: RE2 takes no repetition of a repetition"),
        (r"a{2}{3}", "{2}{: RE2 takes no repetition of a repetition"),
        (r"(a*)*b", "a capture that can be empty is repeated: Python keeps what it held last, RE2 what it held last"),
        (r"((a|)b?)+", "a capture that can be empty is repeated"),
        ("(?i)\u00e9", "(?i) with characters beyond ASCII: Python and RE2 know other pairs of cases"),
        (r"\y", "RE2 has no escape \\y"),
        (r"[\b]", "RE2 has no escape \\b"),
        (r"a{1001}", "invalid repeat count: {1001}"),
        (r"a{2,1}", "invalid repeat count: {2,1}"),
        (r"[z-a]", "invalid range in a class"),
        (r"[[:x:]]", "invalid class: [:x:]"),
        (r"*a", "missing argument to repetition operator"),
        (r"(?i)*", "missing argument to repetition operator"),
        (r"(a", "missing ) for the group"),
        (r"a)", "unexpected )"),
        (r"[a", "missing ] for the class"),
        ("a\\", "trailing backslash"),
        (r"(?P<a>x)(?P<a>y)", "the capture 'a' stands there twice"),
        (r"(?P<a-b>x)", "invalid name of a capture"),
        (r"(?z)", "no group of RE2"),
        ("(" * 300, "nests too deeply"),
    ],
)
def test_what_means_something_else_in_python_is_refused_naming_both(source: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_re2(source)

    assert reason in str(caught.value)


def test_every_capture_is_known_by_its_number_and_its_name() -> None:
    expression = compile_re2(r"(a)(?P<queue>b)?(?P<1st>c)")

    assert expression.names == ("", "queue", "1st")
    assert expression.search("xac") == ("a", "", "c")
    assert expression.captures("xac") == {"queue": "", "1st": "c"}
    assert expression.search("b") is None


def test_a_text_can_be_matched_anywhere_or_as_a_whole() -> None:
    expression = compile_re2("a|ab")

    assert expression.matches("xab")
    assert expression.matches_all("ab")
    assert not expression.matches_all("xab")
    assert not expression.matches_all("ab\n")


@given(st.text(alphabet=st.sampled_from("ab\\()[]{}*+?|^$.-,012diQEPx<>:\u00e9\n"), max_size=12))
def test_any_text_is_either_compiled_or_refused(source: str) -> None:
    try:
        expression = compile_re2(source)
    except ExpressionError:
        return
    expression.search("ab0\u00e9\n")


@given(st.text(max_size=20))
def test_a_quoted_text_finds_itself(text: str) -> None:
    quoted = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)

    assert compile_re2(quoted).matches_all(text)
