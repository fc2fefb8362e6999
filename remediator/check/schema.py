"""JSON schemas of the files that people write, for editors: made from the models that read them.

An editor finds spelling, kinds and forms with them while one types. What files say of each other only `selfheal check`
finds, and what a schema accepts may still be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from remediator.actions import ACTIONS
from remediator.check import described, fragments
from remediator.check.fragments import ARGUMENTS, DURATION, SHARE
from remediator.config.written import ConfigFile
from remediator.model import Argument, Reversible
from remediator.playbooks.written import PlaybookFile
from remediator.policy_written import PolicyFile
from remediator.probes import PROBES
from selfheal.common.documents import duration
from selfheal.common.durations import format_duration

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What every editor's YAML plug-in knows."""
_NOTHING = {"type": "null"}

Json = dict[str, Any]


def schema(name: str) -> Json:
    """Given `playbook`, `config` or `policy`, return the JSON schema of such a file."""
    return SCHEMAS[name]()


def _playbook() -> Json:
    found = _made(PlaybookFile, "A playbook of Selfheal", described.PLAYBOOK, fragments.PLAYBOOK)
    for section, key, known in (("steps", "action", ACTIONS), ("diagnose", "probe", PROBES)):
        item = found["properties"][section]["items"]
        item["properties"][key] |= {"enum": sorted(known)}
        item["allOf"] = [_only_if(key, name, _arguments(known[name].arguments)) for name in sorted(known)]
    irreversible = [name for name, action in sorted(ACTIONS.items()) if not isinstance(action, Reversible)]
    found["properties"]["steps"]["items"]["allOf"].append(
        {"if": _is("action", {"enum": irreversible}), "then": {"properties": {"undo": {"const": False}}}}
    )
    return found


def _config() -> Json:
    meanings = dict(described.CONFIG)
    of_prometheus = {key.removeprefix("prometheus."): text for key, text in meanings.items() if "prometheus." in key}
    meanings |= {f"alertmanagers[].{key}": text for key, text in of_prometheus.items()}
    return _made(ConfigFile, "The configuration of Selfheal's remediator", meanings, fragments.CONFIG)


def _policy() -> Json:
    meanings = dict(described.POLICY)
    start = "commands.NAME.parameters."
    parameters = {key.removeprefix(start): text for key, text in meanings.items() if key.startswith(start)}
    meanings |= {f"ansible.NAME.parameters.{key}": text for key, text in parameters.items()}
    return _made(PolicyFile, "What Selfheal may touch on this host", meanings, fragments.POLICY)


SCHEMAS: Mapping[str, Callable[[], Json]] = {"playbook": _playbook, "config": _config, "policy": _policy}


class _Generate(GenerateJsonSchema):
    """Pydantic's generator, told what a duration looks like as written."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Return the schema of what a validator is given, not of what it makes of it."""
        if schema["function"]["function"] is duration:
            return dict(DURATION)
        return super().function_before_schema(schema)


def _made(model: type[BaseModel], title: str, meanings: Mapping[str, str], more: Mapping[str, Json]) -> Json:
    made = model.model_json_schema(by_alias=True, schema_generator=_Generate)
    found: Json = _inlined(made, made.get("$defs", {}))
    for place, properties, key in list(_places(found)):
        properties[key] = _overlaid(properties[key], key, more.get(place, {}))
        properties[key]["description"] = meanings[place]
    return {"$schema": DIALECT, **found, "title": title}


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema with every reference written out: a copy for each place, which may say more of its own."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _inlined({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    return {key: _inlined(value, definitions) for key, value in node.items() if key != "$defs"}


def _places(node: Json, at: str = "") -> Iterator[tuple[str, Json, str]]:
    """Yield the path of every key as the reference writes it, with what holds its schema; inner ones first."""
    properties = node["properties"]
    for key, schema in properties.items():
        inner, below = _main(schema), ""
        while "properties" not in inner:
            if isinstance(inner.get("items"), dict):
                inner, below = _main(inner["items"]), f"{below}[]"
            elif isinstance(inner.get("additionalProperties"), dict):
                inner, below = _main(inner["additionalProperties"]), f"{below}.NAME"
            else:
                break
        else:
            yield from _places(inner, f"{at}{key}{below}.")
        yield f"{at}{key}", properties, key


def _main(node: Json) -> Json:
    """Return the part of a schema that is not for leaving the value empty."""
    found: Json = next((each for each in node.get("anyOf", ()) if each != _NOTHING), node)
    return found


def _overlaid(node: Json, title: str, fragment: Json) -> Json:
    """Return a key's schema with what a fragment adds, and with its default in the form in which it is written."""
    main = {key: value for key, value in _main(node).items() if key not in ("title", "default", "description")}
    main |= {key: value for key, value in fragment.items() if key != "anyOf"}
    instead = fragment.get("anyOf", [_NOTHING] if _NOTHING in node.get("anyOf", ()) else [])
    branches = [*instead, *([main] if main else [])]
    found: Json = {"title": title, **(branches[0] if len(branches) == 1 else {"anyOf": branches})}
    default = node.get("default")
    if main.get("pattern") == DURATION["pattern"] and default is not None:
        default = format_duration(default)
    elif main.get("pattern") == SHARE["pattern"] and default is not None:
        default = f"{default * 100:.0f}%"
    if isinstance(default, str | int | float):
        found["default"] = default
    return found


def _arguments(known: Mapping[str, Argument]) -> Json:
    required = [name for name, argument in known.items() if argument.required]
    arguments = {"properties": {name: dict(ARGUMENTS[each.type]) for name, each in known.items()}}
    inner: Json = {"type": "object", **arguments, "additionalProperties": False}
    if not required:
        return {"properties": {"with": inner}}
    return {"properties": {"with": inner | {"required": required}}, "required": ["with"]}


def _only_if(key: str, name: str, then: Json) -> Json:
    return {"if": _is(key, {"const": name}), "then": then}


def _is(key: str, wanted: Json) -> Json:
    return {"properties": {key: wanted}, "required": [key]}
