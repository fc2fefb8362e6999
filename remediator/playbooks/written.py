"""The shape of a playbook file: its keys, their types and defaults, and what is wrong with a value by itself.

Which actions and arguments there are is found in `loader.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remediator.model import Matcher, Mode, Step, Verify
from remediator.playbooks.templates import LONGEST_VALUE, has_template, parse, parse_expression
from remediator.rates import RateText
from selfheal.common.documents import Duration, Section, key_paths, kind_of, told

MOST_STEPS = 20
LONGEST_TIMEOUT = 3_600.0
"""Seconds that one step may take."""
LONGEST_EXPRESSION = 4_096
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MATCHER = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s]*))\s*', re.DOTALL)


def parse_matcher(text: str) -> Matcher:
    """Given an Alertmanager matcher such as `severity=~"warning|critical"`, return it.

    Raise ValueError with the remedy if it is none, or its regular expression is broken.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"""{text[:80]!r} is no matcher; write for example severity=~"warning|critical\"""")
    quoted = found[3] is not None
    value = re.sub(r"\\(.)", _unescaped, found[3], flags=re.DOTALL) if quoted else found[4]
    if found[2] in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value[:80]!r} is no regular expression ({error}); mend it") from error
    return Matcher(found[1], found[2], value)


def _unescaped(found: re.Match[str]) -> str:
    # as Alertmanager: \n, \" and \\ are known, every other backslash belongs to the regular expression
    return {"n": "\n", '"': '"', "\\": "\\"}.get(found[1], found[0])


def _plain(value: str) -> str:
    if has_template(value):
        told("must not hold a template", "write it out")
    return value


def _playbook_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        told(f"{value[:80]!r} is no playbook name", "use small letters, digits and _, at most 63")
    return value


def _alert_name(value: str) -> str:
    if not _LABEL.fullmatch(value):
        told(f"{value[:80]!r} is no alert name", "write the alert's name as in the rule")
    return value


def _title(value: Any) -> Any:
    if isinstance(value, str):
        value = {"en": value}
    if not isinstance(value, dict) or not value:
        told(f"must be text or a mapping with en and ko, not {kind_of(value)}", "write {en: …, ko: …}")
    if not set(value) <= {"en", "ko"}:
        told("has a language other than en and ko", "write {en: …, ko: …}")
    return value


def _matcher(value: Any) -> Any:
    if not isinstance(value, str):
        told(f"must be a matcher, not {kind_of(value)}", """write for example 'severity="critical"'""")
    try:
        return parse_matcher(_plain(value))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)


def _mode(value: str) -> str:
    if value not in tuple(Mode):
        told(f"{value[:80]!r} is no mode", "write observe, approve or auto")
    return value


def _target(value: dict[str, str]) -> dict[str, str]:
    kinds = [key for key in value if key != "host"]
    if "host" not in value or len(kinds) != 1:
        told("must hold host and one kind of thing", 'write {host: "{{ $labels.instance }}", process_group: …}')
    if not _NAME.fullmatch(kinds[0]):
        told(f"{kinds[0][:80]!r} is no kind", "use small letters, digits and _")
    return value


def _target_value(value: str) -> str:
    if not value or len(value.encode()) > LONGEST_VALUE:
        told(f"must be text of 1 to {LONGEST_VALUE} bytes", "name what is acted upon")
    try:
        parse(value)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)
    return value


def _lock(value: str) -> str:
    if value not in ("host", "target"):
        told(f"{value[:80]!r} is no lock", "write host or target")
    return value


def _on_failure(value: str) -> str:
    if value not in ("stop", "continue"):
        told(f"{value[:80]!r} is not known", "write stop or continue")
    return value


def _timeout(value: float) -> float:
    if not 0 < value <= LONGEST_TIMEOUT:
        told("must be longer than 0s and at most 1h", "write for example 30s")
    return value


def _expression(value: str) -> str:
    if not value.strip() or len(value) > LONGEST_EXPRESSION:
        told(f"must be an expression of 1 to {LONGEST_EXPRESSION} characters", "write PromQL")
    try:
        parse_expression(value)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)
    return value


def _none_or_mapping(value: Any) -> Any:
    if value == "none":
        return None
    if not isinstance(value, dict):
        told(f"must be a mapping or none, not {kind_of(value)}", "write {healthy_for: 30s, within: 2m} or none")
    return value


class WrittenTrigger(Section):
    """What starts it."""

    alert: Annotated[str, AfterValidator(_alert_name)]
    match: list[Annotated[Any, BeforeValidator(_matcher)]] = Field(default_factory=list)


class WrittenLimits(Section):
    """How often it may act; what is None comes from the configuration."""

    cooldown: Duration | None = None
    rate: list[RateText] | None = Field(default=None, min_length=1)
    lock: Annotated[str, AfterValidator(_lock)] | None = None
    hold_at_most: Duration | None = None
    attempts: int | None = Field(default=None, ge=1, le=100)


class WrittenStep(Section):
    """One step."""

    action: str
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    timeout: Annotated[Duration, AfterValidator(_timeout)] = Step("", {}).timeout
    always: bool = False
    on_failure: Annotated[str, AfterValidator(_on_failure)] = "stop"


class WrittenVerify(Section):
    """What counts as proof."""

    healthy_for: Duration = Verify().healthy_for
    within: Duration = Verify().within
    watch: Duration = Verify().watch
    healthy: Annotated[str, AfterValidator(_expression)] | None = None
    alive: Annotated[str, AfterValidator(_expression)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> WrittenVerify:
        if self.within <= self.healthy_for:
            told("within must be longer than healthy_for", "raise within")
        return self


class PlaybookFile(Section):
    """The whole file."""

    playbook: Annotated[str, AfterValidator(_playbook_name)]
    title: Annotated[dict[str, Annotated[str, AfterValidator(_plain)]], BeforeValidator(_title)] | None = None
    trigger: WrittenTrigger
    mode: Annotated[str, AfterValidator(_mode)] = Mode.OBSERVE.value
    target: Annotated[dict[str, Annotated[str, AfterValidator(_target_value)]], AfterValidator(_target)]
    limits: WrittenLimits = WrittenLimits()
    steps: list[WrittenStep] = Field(min_length=1, max_length=MOST_STEPS)
    verify: Annotated[WrittenVerify | None, BeforeValidator(_none_or_mapping)]
    otherwise: list[Annotated[str, AfterValidator(_playbook_name)]] = Field(default_factory=list)


KEYS = key_paths(PlaybookFile)
"""Every key that a playbook may hold."""
