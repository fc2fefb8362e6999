"""Reads the names of groups out of process-exporter's configuration file, or of its flags; every error at once."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from selfheal.common.process_rules import FIELDS, TEMPLATE, Rule
from selfheal.common.re2 import Expression, ExpressionError, compile_re2

DEFAULT_NAME = "{{.ExeBase}}"

_MATCH = re.compile(r"\.Matches\.([A-Za-z_][A-Za-z0-9_]*)")
_SELECTORS = ("comm", "exe", "cmdline")


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Given a process-exporter config file, return its rules.

    Raise ValueError listing every error, one a line, each with file, key path and remedy.
    """
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_StrictLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read as YAML: {reason}") from error
    problems: list[str] = []
    rules = _read_document(document, problems)
    if problems:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems))
    return tuple(rules)


def read_names(names: str, mapping: str) -> tuple[Rule, ...]:
    """Given what process-exporter's `-procnames` and `-namemapping` hold, return the rules.

    Raise ValueError listing every error, one a line.
    """
    problems: list[str] = []
    expressions = _read_mapping(mapping, problems)
    if problems:
        raise ValueError("\n".join(f"--namemapping: {problem}" for problem in problems))
    wanted = dict.fromkeys([*expressions, *(name for name in names.split(",") if name)])
    return tuple(Rule(name, frozenset({name}), frozenset(), (), expressions.get(name)) for name in wanted)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key written twice is an error: a lost selector would widen a group."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping. Raise YAMLError if a key stands in it twice."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_document(document: Any, problems: list[str]) -> list[Rule]:
    if not isinstance(document, dict):
        problems.append("the file must hold a mapping with the key process_names")
        return []
    for key in document:
        if key != "process_names":
            problems.append(f"{key}: unknown key; only process_names is known here")
    entries = document.get("process_names")
    if not isinstance(entries, list) or not entries:
        problems.append("process_names: must be a list with at least one group")
        return []
    rules = [_read_entry(entry, f"process_names[{index}]", problems) for index, entry in enumerate(entries)]
    return [rule for rule in rules if rule is not None]


def _read_entry(entry: Any, at: str, problems: list[str]) -> Rule | None:
    if not isinstance(entry, dict):
        problems.append(f"{at}: must be a mapping with name and at least one of comm, exe, cmdline")
        return None
    before = len(problems)
    for key in entry:
        if key not in ("name", *_SELECTORS):
            problems.append(f"{at}.{key}: unknown key; known are name, comm, exe, cmdline")
    texts = {key: _read_texts(entry[key], f"{at}.{key}", problems) for key in _SELECTORS if key in entry}
    if not texts:
        problems.append(f"{at}: selects nothing; add at least one of comm, exe, cmdline")
    patterns = tuple(_read_patterns(texts.get("cmdline", ()), f"{at}.cmdline", problems))
    name = entry.get("name", DEFAULT_NAME)
    captures = {name for pattern in patterns for name in pattern.names if name}
    _check_name(name, f"{at}.name", captures, problems)
    if len(problems) > before:
        return None
    return Rule(name, frozenset(texts.get("comm", ())), frozenset(texts.get("exe", ())), patterns)


def _read_texts(value: Any, at: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        problems.append(f"{at}: must be a list with at least one text; write [...] around it")
        return ()
    for index, text in enumerate(value):
        if not isinstance(text, str) or not text:
            problems.append(f"{at}[{index}]: must be a text that is not empty; put it in quotes")
    return tuple(text for text in value if isinstance(text, str) and text)


def _read_patterns(texts: tuple[str, ...], at: str, problems: list[str]) -> list[Expression]:
    patterns = []
    for index, text in enumerate(texts):
        try:
            patterns.append(compile_re2(text))
        except ExpressionError as error:
            problems.append(f"{at}[{index}]: is not a regular expression ({error}); mend or remove it")
    return patterns


def _read_mapping(text: str, problems: list[str]) -> dict[str, Expression]:
    words = text.split(",") if text else []
    if len(words) % 2:
        problems.append("names and expressions must stand in turn, and one has no other; none may hold a comma")
        return {}
    expressions = {}
    for name, source in zip(words[::2], words[1::2], strict=True):
        if not name or not source:
            problems.append(f"{name or source!r} has no other; names and expressions must stand in turn")
            continue
        try:
            expressions[name] = compile_re2(source)
        except ExpressionError as error:
            problems.append(f"{name}: is not a regular expression ({error}); mend or remove it")
    return expressions


def _check_name(name: Any, at: str, captures: set[str], problems: list[str]) -> None:
    if not isinstance(name, str) or not name.strip():
        problems.append(f"{at}: must be a text that is not empty; put it in quotes")
        return
    if "{{" in TEMPLATE.sub("", name):
        problems.append(f"{at}: a template is opened with {{{{ and never closed; close it with }}}}")
    known = "known are " + ", ".join(f"{{{{{field}}}}}" for field in FIELDS) + " and {{.Matches.NAME}}"
    for expression in (found[1].strip() for found in TEMPLATE.finditer(name)):
        found = _MATCH.fullmatch(expression)
        if found and found[1] not in captures:
            problems.append(
                f"{at}: {{{{{expression}}}}} names no capture; write (?P<{found[1]}>...) in a cmdline of this entry"
            )
        elif not found and expression not in FIELDS:
            problems.append(
                f"{at}: {{{{{expression}}}}} is a Go template that process-exporter would carry out, and here only "
                f"fields are put in; {known}"
            )
