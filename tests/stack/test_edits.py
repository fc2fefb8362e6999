"""Values change in place: whatever a person wrote around them is the same afterwards."""

from __future__ import annotations

import pytest
import yaml

from selfheal.stack.edits import with_values


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a: 1\nb: 2\n", {"a": 3}, "a: 3\nb: 2\n"),
        ("a: 1  # why\nb: 2\n", {"a": 3}, "a: 3  # why\nb: 2\n"),
        ("# top\na:\n  - 1\n  # inside\n  - 2\n\n# of b\nb: 2\n", {"a": [7]}, "# top\na:\n- 7\n\n# of b\nb: 2\n"),
        ("a: {x: 1}\nb: 2\n", {"b": 3, "c": "new"}, "a: {x: 1}\nb: 3\nc: new\n"),
        ("b: 2\na: 1", {"a": 1, "b": 3}, "b: 3\na: 1\n"),
        ("a: 1\n", {"a": 1}, "a: 1\n"),
        ("{a: 1, b: 2}\n", {"a": 3}, "{a: 3, b: 2}\n"),
        ("{a: 1, b: 2}\n", {"a": {"x": 3}}, "a:\n  x: 3\nb: 2\n"),
        ("한: 글\na: 1\n", {"a": "값"}, "한: 글\na: 값\n"),
    ],
    ids=["first", "comment beside", "block", "new key", "no end of line", "nothing", "flow", "flow anew", "korean"],
)
def test_only_what_is_asked_changes(text: str, values: dict[str, object], expected: str) -> None:
    result = with_values(text, values)

    assert result == expected
    assert yaml.safe_load(result) == yaml.safe_load(text) | values


def test_an_anchor_that_would_be_lost_is_written_out() -> None:
    text = "a: &x {y: 1}\nb: *x\n"

    result = with_values(text, {"a": 2})

    assert yaml.safe_load(result) == {"a": 2, "b": {"y": 1}}
