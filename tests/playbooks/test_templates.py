"""Templates: label text of a stranger is filled in once, as data, or refused."""

from __future__ import annotations

import unicodedata

import promql_parser
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remediator.model import Alert
from remediator.playbooks.templates import (
    LONGEST_VALUE,
    Reference,
    TemplateRefused,
    parse,
    parse_expression,
    references,
    render,
    render_expression,
)

unhurried = settings(deadline=None)  # a busy machine is no fault; the whole test has its time-out

HOSTILE = [
    '"; DROP TABLE x; --',
    "$(reboot)",
    "`reboot`",
    "{{ $labels.secret }}",
    "{{ $labels.x }}",
    "<script>alert(1)</script>",
    "a\\",
    'a\\"',
    "a'b\"c`d",
    '"} or vector(1) #',
    ".*",
    "a|b",
    "%s %(x)s {x}",
    "--force",
    "한국어 그룹",
    "😀",
]


def alert(**labels: str) -> Alert:
    return Alert("firing", {"alertname": "Ill", **labels}, {"note": "a note"}, 0.0, "f")


plain_text = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf")), min_size=1, max_size=60)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_filled_in_as_it_is(value: str) -> None:
    assert render("a {{ $labels.x }} b", alert(x=value, secret="S")) == f"a {value} b"


@unhurried
@given(plain_text)
@example("{{ $labels.secret }}")
def test_what_was_filled_in_is_never_scanned_again(value: str) -> None:
    found = render("{{ $labels.x }}{{$annotations.note}}", alert(x=value, secret="SECRET"))

    assert found == value + "a note"


@unhurried
@given(plain_text, st.sampled_from(["=", "!=", "=~", "!~"]), st.sampled_from("\"'"))
@example('"} or vector(1) #', "=", '"')
@example("a\\", "=~", "'")
@example("(a+)+$|[x]{2}^", "=~", '"')
def test_a_value_in_an_expression_stays_one_quoted_matcher_value(value: str, operator: str, quote: str) -> None:
    text = f"up{{a='first', x {operator} {quote}{{{{ $labels.x }}}}{quote}, b=\"last\"}} >= 1"

    tree = promql_parser.parse(render_expression(text, alert(x=value)))

    assert isinstance(tree, promql_parser.BinaryExpr)
    matchers = {matcher.name: matcher.value for matcher in tree.lhs.matchers.matchers}
    literal = "".join("\\" + sign if sign in r"\.+*?()|[]{}^$" else sign for sign in value)
    assert matchers == {"a": "first", "x": literal if "~" in operator else value, "b": "last"}
    assert tree.lhs.name == "up"


def test_text_around_a_template_in_a_matcher_stays_what_it_was() -> None:
    found = render_expression('x{a=~"(web|db)-{{ $labels.x }}.*", b="\\"c"} > 1', alert(x="a.b"))

    assert found == 'x{a=~"(web|db)-a\\\\.b.*", b="\\"c"} > 1'


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "is missing or empty on this alert"),
        ("x" * 257, "is longer than 256 bytes"),
        ("가" * 86, "is longer than 256 bytes"),
        ("x" * 1_000_000, "is longer than 256 bytes"),
        ("a\nb", "holds control characters"),
        ("a\x00b", "holds control characters"),
        ("a\x1b[2Jb", "holds control characters"),
        ("a\x7fb", "holds control characters"),
        ("a\x85b", "holds control characters"),
        ("a\u2028b", "holds control characters"),
        ("a\u202eb", "holds control characters"),
        ("a\ufeffb", "holds control characters"),
        ("a\ud800b", "holds control characters"),
    ],
)
def test_an_unsafe_value_is_refused_saying_which(value: str, why: str) -> None:
    with pytest.raises(TemplateRefused) as caught:
        render("{{ $labels.x }}", alert(x=value))

    assert caught.value.detail == f"{{{{ $labels.x }}}} {why}"


@pytest.mark.parametrize("value", ["x" * 256, "가" * 85])
def test_a_value_of_just_the_longest_length_is_filled_in(value: str) -> None:
    assert render("{{ $labels.x }}", alert(x=value)) == value


def test_many_values_together_may_not_exceed_what_one_may() -> None:
    with pytest.raises(TemplateRefused, match="becomes longer than 256 bytes"):
        render("{{ $labels.x }}{{ $labels.x }}", alert(x="x" * 129))


@unhurried
@given(st.text(max_size=400))
def test_any_text_is_rendered_safely_or_refused(value: str) -> None:
    try:
        found = render("{{ $labels.x }}", alert(x=value))
    except TemplateRefused:
        return
    assert found == value
    assert 0 < len(value.encode()) <= LONGEST_VALUE
    assert not any(unicodedata.category(sign) == "Cc" for sign in value)


def test_a_label_that_is_missing_is_refused() -> None:
    with pytest.raises(TemplateRefused, match="is missing or empty on this alert"):
        render("{{ $labels.nothing }}", alert())


@pytest.mark.parametrize(
    "text",
    [
        "{{ $labels.a",
        "$labels.a }}",
        "{{ $labels.a | upper }}",
        "{{ .Labels.a }}",
        "{{ $value }}",
        "{{ $labels.a b }}",
        "{{ $labels. }}",
        "{{}}",
        "{{ $labels.a }} }}",
        "{{ {{ $labels.a }} }}",
    ],
)
def test_a_malformed_template_is_found_when_the_file_is_loaded(text: str) -> None:
    with pytest.raises(ValueError, match="a template is malformed; write"):
        parse(text)


def test_a_template_is_told_apart_from_what_stands_around_it() -> None:
    assert parse("a {{$labels.b}}{{  $annotations.c  }} {d}") == (
        "a ",
        Reference("labels", "b"),
        Reference("annotations", "c"),
        " {d}",
    )
    assert references("x{{ $labels.b }}") == (Reference("labels", "b"),)


@pytest.mark.parametrize(
    "text",
    [
        "up{{{ $labels.x }}}",
        "{{ $labels.x }} > 1",
        'label_replace(up, "{{ $labels.x }}", "", "", "")',
        "up{a=`{{ $labels.x }}`}",
        'up == "{{ $labels.x }}"',
        'up{{{ $labels.x }}="a"}',
        'up{a="b"} # {{ $labels.x }}',
    ],
)
def test_a_template_outside_a_quoted_matcher_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a template may stand only in a quoted matcher value"):
        parse_expression(text)


@unhurried
@given(st.text(max_size=80))
def test_any_text_is_read_as_an_expression_or_refused(text: str) -> None:
    try:
        parts = parse_expression(text)
    except ValueError:
        return
    assert "".join(part.text for part in parts if part.reference is None) == text or any(
        part.reference for part in parts
    )
