"""Files that people write, read strictly: bounded YAML, and every fault of a file at once with path and remedy.

What the keys mean stands with whoever reads the file; nothing here knows a key.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from selfheal.common.durations import parse_duration
from selfheal.common.problems import ConfigError, Problem

LARGEST_FILE = 256 * 1024
"""Bytes; a file a person writes is far smaller, and YAML is slow to read."""
MOST_NODES = 20_000
"""Values in one file once every alias is counted as what it stands for."""
DEEPEST = 50

_FORMS = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ("~", "n", "N", "")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), "-+0123456789"),
    ("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?$"), "-+0123456789"),
)


class _Loader(yaml.SafeLoader):
    """YAML's plain values only: no dates, no base 60, no `yes`, no merge keys, and a key written twice is an error."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML declares it so; YAML 1.1's own forms must not be inherited

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping. Raise YAMLError if a key is no text or stands in it twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "a key must be text; quote it", key.start_mark)
            if key.value in seen:
                what = f"the key {key.value!r} stands here twice; keep one"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _form, _first in _FORMS:
    _Loader.add_implicit_resolver(_tag, _form, list(_first))


def read_text(path: Path, limit: int = LARGEST_FILE) -> str:
    """Given a file, return its text. Raise ConfigError if it cannot be read, is no UTF-8 or exceeds `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        told = Problem(str(path), "", f"cannot be read ({error.strerror})", "name a file that this user can read")
        raise ConfigError([told]) from error
    if len(data) > limit:
        raise ConfigError([Problem(str(path), "", f"is larger than {limit} bytes", "split it or shorten it")])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        told = Problem(str(path), "", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")
        raise ConfigError([told]) from error


def read_yaml(path: Path) -> Any:
    """Given a YAML file, return its value.

    Raise ConfigError if it is no YAML, too large, too deep, or holds a key twice.
    """
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, file: str, limit: int = MOST_NODES) -> Any:
    """Given YAML text and its file's name for messages, return its value. Raise ConfigError as `read_yaml` does."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {}, 0, limit)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as error:
        raise ConfigError([Problem(file, "", "is nested too deeply", f"at most {DEEPEST} levels")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([_not_yaml(file, error)]) from error


def _measure(node: yaml.Node, sizes: dict[int, int], depth: int, limit: int) -> int:
    """Return how many values a node stands for; an alias costs nothing to write and everything to read."""
    if depth > DEEPEST:
        raise RecursionError
    if id(node) in sizes:
        if sizes[id(node)] < 0:
            raise ValueError("an alias stands for something that contains it; write it out")
        return sizes[id(node)]
    sizes[id(node)] = -1
    size = 1
    if not isinstance(node, yaml.ScalarNode):
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                size += _measure(part, sizes, depth + 1, limit)
    if size > limit:
        raise ValueError(f"holds more than {limit} values once its aliases are written out; split it")
    sizes[id(node)] = size
    return size


def _not_yaml(file: str, error: Exception) -> Problem:
    what, _, remedy = (getattr(error, "problem", None) or str(error)).partition("; ")
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Problem(file, place, " ".join(what.split()), remedy or "mend the YAML there")


class Section(BaseModel):
    """A mapping in a file: unknown keys are errors, texts are not made of numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def told(what: str, remedy: str) -> NoReturn:
    """Inside a validator, refuse a value in our own words."""
    raise PydanticCustomError("told", "{what}; {remedy}", {"what": what, "remedy": remedy})


_Model = TypeVar("_Model", bound=BaseModel)


def read_as(model: type[_Model], value: Any, file: str, at: str = "") -> _Model:
    """Given what YAML holds and a model, return the model. Raise ConfigError with every fault, each with its path."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [_problem(model, detail, file, at) for detail in error.errors(include_url=False)]
        raise ConfigError(list(dict.fromkeys(found))) from error


def _problem(model: type[BaseModel], detail: ErrorDetails, file: str, at: str) -> Problem:
    place = path_text(detail["loc"], at)
    if detail["type"] == "told":
        return Problem(file, place, detail["ctx"]["what"], detail["ctx"]["remedy"])
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, detail["loc"][:-1])
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return Problem(file, place, "unknown key", remedy)
    if detail["type"] == "missing":
        return Problem(file, place, "is missing", "add it")
    wanted, example = _WANTED.get(detail["type"], (detail["msg"], ""))
    if detail["type"].endswith("_type"):
        return Problem(file, place, f"must be {wanted}, not {kind_of(detail['input'])}", example)
    return Problem(file, place, wanted.format(**detail.get("ctx", {})), example)


_WANTED = {
    "string_type": ("text", "put it in quotes"),
    "bool_type": ("true or false", ""),
    "int_type": ("a whole number", "write it without quotes"),
    "list_type": ("a list", "write [...] around it"),
    "tuple_type": ("a list", "write [...] around it"),
    "dict_type": ("a mapping", "write its keys below it"),
    "mapping_type": ("a mapping", "write its keys below it"),
    "model_type": ("a mapping", "write its keys below it"),
    "model_attributes_type": ("a mapping", "write its keys below it"),
    "greater_than_equal": ("must be at least {ge}", "raise it"),
    "less_than_equal": ("must be at most {le}", "lower it"),
    "too_short": ("must hold at least {min_length}", "add one"),
    "too_long": ("must hold at most {max_length}", "leave some out"),
}


def kind_of(value: Any) -> str:
    """Given what YAML holds, name its kind for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
    return type(value).__name__


def path_text(loc: Sequence[int | str], at: str = "") -> str:
    """Given the keys and positions down to a value, return them as `steps[0].with.group`."""
    text = at
    for part in loc:
        if part == "[key]":
            # pydantic's word for a fault of the key itself, which stands in the path already
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Given where a mapping stands, return the keys its model knows."""
    here: Any = model
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            here = fields[str(part)].annotation
        else:
            here = typing.get_args(here)[-1 if isinstance(part, str) else 0]
        here = _model_in(here)
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """Given an annotation such as `Verify | None`, return the part of it that can hold keys."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union, Annotated):
        parts = [_model_in(part) for part in typing.get_args(annotation)]
        return next((part for part in parts if part not in (None, type(None), str)), annotation)
    return annotation


def key_paths(model: type[BaseModel], at: str = "") -> tuple[str, ...]:
    """Given a model, return every key it knows, with those below it, as `limits.rate`, `hosts.NAME.instances`."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        place = f"{at}{field.alias or name}"
        found.append(place)
        inner, below = _model_in(field.annotation), ""
        while typing.get_origin(inner) in (list, dict):
            below += "[]" if typing.get_origin(inner) is list else ".NAME"
            inner = _model_in(typing.get_args(inner)[-1])
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += key_paths(inner, f"{place}{below}.")
    return tuple(found)


def duration(value: Any) -> float:
    """Given what stands where `30s` should, return seconds; inside a validator, refuse anything else."""
    if not isinstance(value, str):
        told(f"must be a duration, not {kind_of(value)}", "write for example 30s, 5m or 1h30m")
    try:
        return parse_duration(value)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)


Duration = Annotated[float, BeforeValidator(duration)]
"""A key that holds a duration; in seconds."""
