"""What runs as closures gives what the library gives, for every expression and every document."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.jsonsource.paths import compile_path, is_true

KEYS = ("a", "b", "c")
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["", "a", "b"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
)
ATOMS = st.sampled_from(
    ["a", "b", "a.b", "a.b.c", "@", "`0`", "`1`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "'a'", "''", '"a".b',
     "a[0]", "a[*].b", "length(@)", "a[?b]", "{a: b}", "[a, b]", "a.*", "to_number(a)"]
)  # fmt: skip
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&&", "||"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
        inner.map(lambda part: f"!({part})"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]}) | ({parts[1]})"),
    ),
    max_leaves=6,
)


def outcome(call: Any, document: Any) -> tuple[str, Any]:
    """Return what a search gives, or what kind of error it raises."""
    try:
        return "found", call(document)
    except (ValueError, TypeError) as error:
        return "raised", type(error)


@given(EXPRESSIONS, DOCUMENTS)
@example("a == b", {"a": True, "b": 1})
@example("a != b", {"a": 0.0, "b": False})
@example("a == b", {"a": [True], "b": [1]})
@example("a < b", {"a": 1, "b": "x"})
@example("!a", {"a": 0})
@example("a || b", {"a": 0, "b": 1})
def test_every_expression_gives_what_the_library_gives(expression: str, document: Any) -> None:
    expected = outcome(jmespath.compile(expression).search, document)

    found = outcome(compile_path(expression), document)

    assert found == expected
    # 1 and true are equal in Python and are not here
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("value", "truth"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), (0.0, True), ("0", True)],
)
def test_truth_is_that_of_jmespath(value: Any, truth: bool) -> None:
    assert is_true(value) is truth
    assert bool(jmespath.search("[?@]", [value])) is truth


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("", "Invalid JMESPath expression: cannot be empty"),
        ("a.", "Parse error at column 2"),
        ("nothing(a)", r"^there is no function nothing\(\)$"),
        ("a[?nothing(b)]", r"^there is no function nothing\(\)$"),
        ("length(a, b)", r"^length\(\) wants 1 argument and has 2$"),
        ("join('-')", r"^join\(\) wants 2 arguments and has 1$"),
        ("not_null()", r"^not_null\(\) wants at least 1 argument and has 0$"),
        ("a" * 2001, "^it is longer than 2000 characters$"),
    ],
    ids=["empty", "cut", "function", "inner-function", "many", "few", "variadic", "long"],
)  # fmt: skip
def test_what_is_no_expression_is_refused_when_it_is_read(expression: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compile_path(expression)
