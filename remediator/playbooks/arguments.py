"""A step's arguments: every fault when a file is loaded, templates filled in once when a remediation is frozen.

Types and what belongs together are the action's own to say; which templates are well formed is said here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remediator.actions import problems
from remediator.actions.arguments import TEMPLATED
from remediator.model import Action, Alert
from remediator.playbooks.templates import TemplateRefused, parse, render


def argument_faults(action: Action, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Given an action and arguments as written, yield what is wrong: the argument's name, what, and the remedy."""
    for problem in problems(action, arguments):
        yield problem.path, problem.what, problem.remedy
    for name, value in arguments.items():
        if name in action.arguments and action.arguments[name].type in TEMPLATED and isinstance(value, str):
            try:
                parse(value)
            except ValueError as error:
                what, _, remedy = str(error).partition("; ")
                yield name, what, remedy


def render_arguments(action: Action, arguments: Mapping[str, Any], alert: Alert, at: str) -> dict[str, Any]:
    """Given arguments as loaded and the alert, return them as JSON values with every template filled in once.

    What is no template stays as written: the action's own validation reads it again before every intent.
    Raise TemplateRefused, with the path of the argument.
    """
    rendered: dict[str, Any] = {}
    for name, value in arguments.items():
        templated = isinstance(value, str) and action.arguments[name].type in TEMPLATED
        try:
            rendered[name] = render(value, alert) if templated else value
        except TemplateRefused as refusal:
            raise TemplateRefused(f"{at}.{name}: {refusal.detail}") from refusal
    return rendered
