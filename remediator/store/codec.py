"""Frozen values to JSON text and back, exactly: what comes back equals what went in.

Knows dataclasses, StrEnums, tuples, mappings with text keys, optional values and plain JSON. Values typed `Any`
must be plain JSON already.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from functools import cache, lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from remediator.model import Frozen
from remediator.store.rows import to_text

T = TypeVar("T")
Convert = Callable[[Any], Any]


def encode(value: object) -> str:
    """Given a frozen dataclass, return it as JSON text."""
    return to_text(_to_plain(value))


def decode(kind: type[T], text: str) -> T:
    """Given what `encode` returned for a value of type `kind`, return an equal value."""
    value: T = _reader_of(kind)(json.loads(text))
    return value


@lru_cache(maxsize=64)
def decode_frozen(text: str) -> Frozen:
    """Given a stored Frozen, return it; a remediation under way is read many times and never changes."""
    return decode(Frozen, text)


def _to_plain(value: Any) -> Any:
    kind: Any = type(value)
    return _writer(kind)(value)


@cache
def _writer(kind: type) -> Convert:
    """Given the type of a value, return what turns such a value into plain JSON."""
    if issubclass(kind, Enum):
        return lambda value: value.value
    if dataclasses.is_dataclass(kind):
        names = _names(kind)
        return lambda value: {name: _to_plain(getattr(value, name)) for name in names}
    if issubclass(kind, Mapping):
        return lambda value: {key: _to_plain(inner) for key, inner in value.items()}
    if issubclass(kind, list | tuple):
        return lambda value: [_to_plain(inner) for inner in value]
    return _same


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _same(value: Any) -> Any:
    return value


def _reader_of(kind: Any) -> Convert:
    return _reader(kind)


@cache
def _reader(kind: Hashable) -> Convert:
    """Given a type, return what turns parsed JSON into a value of it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional_reader(arguments)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _reader(arguments[1])
        return _same if inner is _same else lambda value: {key: inner(each) for key, each in value.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if kind is float:
        return float
    return _same


def _optional_reader(arguments: tuple[Any, ...]) -> Convert:
    (kind,) = (each for each in arguments if each is not type(None))
    inner = _reader(kind)
    return lambda value: None if value is None else inner(value)


def _tuple_reader(arguments: tuple[Any, ...]) -> Convert:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        inner = _reader(arguments[0])
        return lambda value: tuple(inner(each) for each in value)
    readers = tuple(_reader(each) for each in arguments)
    return lambda value: tuple(read(each) for read, each in zip(readers, value, strict=True))


def _dataclass_reader(kind: Any) -> Convert:
    hints = get_type_hints(kind)
    readers = tuple((name, _reader(hints[name])) for name in _names(kind))
    return lambda value: kind(**{name: read(value[name]) for name, read in readers if name in value})
