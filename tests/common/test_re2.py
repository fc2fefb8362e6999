"""Expressions mean what they mean in Go; the expected captures here are what process-exporter 0.8.5 found."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors import cgroup, diskstats, filesystem, netstat, systemd, vmstat
from selfheal.common import re2
from selfheal.common.re2 import ExpressionError, compile_own, compile_re2


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
        (r"(?P<x>\pL+)", "1\u00e9a", "\u00e9a"),
        ("(?i)(?P<x>\u00c9)", "\u00e9", "\u00e9"),
        (r"(?:(?P<x>a*)b)+", "aabb", ""),
    ],
)
def test_an_expression_finds_what_go_finds(source: str, text: str, expected: str | None) -> None:
    found = compile_re2(source).captures(text)

    assert (None if found is None else found["x"]) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (r"a(?=b)", "invalid perl operator: (?="),
        (r"(?!b)", "invalid perl operator: (?!"),
        (r"(?<=b)", "invalid perl operator: (?<"),
        (r"(?>b)", "invalid perl operator: (?>"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        (r"a\Z", r"invalid escape sequence: \Z"),
        (r"a++", "bad repetition operator: ++"),
        (r"[\b]", r"invalid escape sequence: \b"),
        (r"a{1001}", "invalid repetition size: {1001}"),
        (r"[z-a]", "invalid character class range: z-a"),
        (r"*a", "no argument for repetition operator: *"),
        (r"(a", "missing ): (a"),
        (r"[a", "missing ]: [a"),
        ("a\\", "trailing \\"),
        (r"(?:(?:a{1000}){1000})", "invalid repetition size: {1000}"),
        (r"(?:\pL{500}){2}", "too large"),
        (r"\\\Cx", r"Go has no \C; write (?s:.) for any character"),
        ("\ud800", "it is not UTF-8"),
    ],
)
def test_what_re2_does_not_take_is_refused_in_its_words(
    source: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_re2(source)

    assert reason in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("source", [r"(a+)+$", r".*a.*a.*b$", r"(?P<x>a|aa)+$", r"(?:a?){500}b", "[ab]*a[ab]{14}c"])
def test_no_text_of_strangers_can_stop_the_program(source: str) -> None:
    expression = compile_re2(source)
    text = "aaaaaaab" * (1 << 13) + "!"
    ended = threading.Event()
    seconds: list[float] = []

    def search() -> None:
        begun = time.thread_time()
        expression.search(text)
        seconds.append(time.thread_time() - begun)
        ended.set()

    # of the same kind, though not the one that is asked
    threading.Thread(target=search, daemon=True).start()

    assert ended.wait(60)
    assert seconds[0] < 10


def test_plain_expressions_and_our_own_defaults_load_no_re2() -> None:
    code = (
        "import sys; from selfheal.common.re2 import compile_own, compile_re2\n"
        "for source in ('', '^', '.+', '^a.*', '/opt/mail-worker --queue=a', '/usr/bin/java.*'): compile_re2(source)\n"
        "compile_own('^(a|b)+$')\n"
        "print('re2' in sys.modules)\n"
        "compile_re2('a|b')\n"
        "print('re2' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert told.stdout.split() == ["False", "True"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.from_regex(re2._PLAIN, fullmatch=True),
    st.text(alphabet=st.sampled_from("ab/:=-_ \n\r\u2028\u00e9"), max_size=30),
)
def test_python_reads_plain_expressions_as_re2_does(source: str, text: str) -> None:
    # a group makes it one that is not plain
    assert compile_re2(source).finds(text) == compile_re2(f"(?:{source})").finds(text)
    assert compile_re2(source).matches_all(text) == compile_re2(f"(?:{source})").matches_all(text)


@pytest.mark.parametrize(
    "source",
    [
        vmstat.FIELDS, netstat.FIELDS, diskstats.EXCLUDED, cgroup.UNITS_EXCLUDED, systemd.UNITS_EXCLUDED,
        systemd.UNITS_INCLUDED, filesystem.MOUNT_POINTS_EXCLUDED, filesystem.FS_TYPES_EXCLUDED, "^$",
    ],
)  # fmt: skip
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_python_reads_our_own_defaults_as_re2_does(source: str, data: st.DataObject) -> None:
    own, theirs = compile_own(source), compile_re2(f"(?:{source})")
    like = st.from_regex(source).map(lambda text: text.translate(dict.fromkeys(range(0xD800, 0xE000))))
    text = data.draw(st.one_of(like, st.text(max_size=30), like.map(lambda text: f"{text}\n")))

    assert own.finds(text) == theirs.finds(text)
    assert own.matches_all(text) == theirs.matches_all(text)


@pytest.mark.parametrize("text", [b"a\xff\xfeb", "a\udcff\udcfeb"])
def test_each_byte_that_is_no_utf8_is_one_character_as_in_go(text: str | bytes) -> None:
    assert compile_re2("^a(..)b$").search(text) == ("\ufffd\ufffd",)
    assert compile_re2("a.*").finds(text)


def test_names_are_remembered_and_texts_are_not() -> None:
    expression = compile_re2("^[ab]$")

    assert [expression.matches("a"), expression.matches("a"), expression.finds("b")] == [True, True, True]
    assert expression.matches.cache_info()[:2] == (1, 1)


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
    expression.captures(b"ab0\xe9\n")


@given(st.text(max_size=20))
def test_a_quoted_text_finds_itself(text: str) -> None:
    quoted = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)

    assert compile_re2(quoted).matches_all(text)
