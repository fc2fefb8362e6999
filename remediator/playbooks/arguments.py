"""A step's arguments: every fault when a file is loaded, templates filled in once when a remediation is frozen.

Types and what belongs together are the action's own to say; which templates are well formed is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from remediator.actions import problems
from remediator.actions.arguments import TEMPLATED
from remediator.model import Action, Alert, ArgumentType
from remediator.playbooks.templates import TemplateRefused, parse, parse_expression, render, render_expression


def argument_faults(action: Action, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Given an action and arguments as written, yield what is wrong: the argument's name, what, and the remedy."""
    for problem in problems(action, arguments):
        yield problem.path, problem.what, problem.remedy
    for name, value in arguments.items():
        kind = action.arguments[name].type if name in action.arguments else None
        for text in _texts(kind, value):
            try:
                (parse_expression if kind is ArgumentType.EXPRESSION else parse)(text)
            except ValueError as error:
                what, _, remedy = str(error).partition("; ")
                yield name, what, remedy


def _texts(kind: ArgumentType | None, value: Any) -> list[str]:
    """Return the texts of an argument in which templates may stand."""
    if kind is ArgumentType.PARAMETERS and isinstance(value, dict):
        return [text for text in value.values() if isinstance(text, str)]
    if kind is ArgumentType.BODY:
        return list(_leaves(value))
    templated = kind in TEMPLATED or kind is ArgumentType.EXPRESSION
    return [value] if templated and isinstance(value, str) else []


def _leaves(value: Any) -> Iterator[str]:
    """Yield every text of a body, the names of its mappings aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)


def render_arguments(action: Action, arguments: Mapping[str, Any], alert: Alert, at: str) -> dict[str, Any]:
    """Given arguments as loaded and the alert, return them as JSON values with every template filled in once.

    What is no template stays as written: the action's own validation reads it again before every intent.
    Raise TemplateRefused, with the path of the argument.
    """
    rendered: dict[str, Any] = {}
    for name, value in arguments.items():
        try:
            rendered[name] = _rendered(action.arguments[name].type, value, alert)
        except TemplateRefused as refusal:
            raise TemplateRefused(f"{at}.{name}: {refusal.detail}") from refusal
    return rendered


def _rendered(kind: ArgumentType, value: Any, alert: Alert) -> Any:
    if not _texts(kind, value):
        return value
    fill: Callable[[str, Alert], str] = render_expression if kind is ArgumentType.EXPRESSION else render
    return _filled(value, lambda text: fill(text, alert))


def _filled(value: Any, fill: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, fill) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, fill) for each in value]
    return fill(value) if isinstance(value, str) else value
