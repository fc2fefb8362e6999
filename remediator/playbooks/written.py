"""The shape of a playbook file: its keys, their types and defaults, and what is wrong with a value by itself.

Which actions and arguments there are is found in `loader.py`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remediator.model import BlastRadius, Diagnosis, Matcher, Mode, Step, Verify
from remediator.playbooks.templates import LONGEST_VALUE, has_template, parse, parse_expression
from remediator.rates import RateText
from selfheal.common.documents import Duration, Section, key_paths, kind_of, told

MOST_STEPS = 20
LONGEST_TIMEOUT = 3_600.0
"""Seconds that one step may take."""
LONGEST_PROBE = 60.0
"""Seconds that one probe of `diagnose:` may take."""
MOST_PROBES = 10
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


def _probe_timeout(value: float) -> float:
    if not 0 < value <= LONGEST_PROBE:
        told("must be longer than 0s and at most 1m", "write for example 10s")
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

    alert: Annotated[str, AfterValidator(_alert_name)] | None = None
    match: list[Annotated[Any, BeforeValidator(_matcher)]] = Field(default_factory=list)
    manual: bool = False

    @model_validator(mode="after")
    def _something_starts_it(self) -> WrittenTrigger:
        if self.alert is None and not self.manual:
            told("names nothing that starts it", "write {alert: NAME} or {manual: true}")
        if self.alert is None and self.match:
            told("match is for alerts, and none is named", "add alert or remove match")
        return self


def _group_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        told(f"{value[:80]!r} is no label name", "name labels of the alert, for example [job]")
    return value


def _most(value: Any) -> tuple[int | None, int | None]:
    """Return (percent, count) of what is written as `20%` or `3`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return None, value
    found = re.fullmatch(r"([1-9][0-9]?|100)%", value.strip()) if isinstance(value, str) else None
    if found is None:
        shown = repr(value) if isinstance(value, str | int) and len(str(value)) <= 40 else kind_of(value)
        told(f"must be a share or a count, not {shown}", "write whole per cent, for example 20%, or a number from 1 on")
    return int(found[1]), None


def _quorum(value: str) -> str:
    # promql-parser is only loaded for a playbook that has one
    from remediator.judge.declared import prepare_quorum

    refusal = prepare_quorum(_expression(value))
    if refusal is not None:
        what, _, remedy = str(refusal).rpartition("; ")
        told(what, remedy)
    return value


class WrittenBlastRadius(Section):
    """How much of a group may be touched together."""

    by: list[Annotated[str, AfterValidator(_group_label)]] = Field(min_length=1)
    most: Annotated[Any, BeforeValidator(_most)] = Field(alias="max")
    window: Duration = BlastRadius(()).window
    quorum: Annotated[str, AfterValidator(_quorum)] | None = None


class WrittenLimits(Section):
    """How often it may act; what is None comes from the configuration."""

    cooldown: Duration | None = None
    rate: list[RateText] | None = Field(default=None, min_length=1)
    lock: Annotated[str, AfterValidator(_lock)] | None = None
    hold_at_most: Duration | None = None
    attempts: int | None = Field(default=None, ge=1, le=100)
    blast_radius: WrittenBlastRadius | None = None


class WrittenStep(Section):
    """One step."""

    action: str
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    timeout: Annotated[Duration, AfterValidator(_timeout)] = Step("", {}).timeout
    always: bool = False
    on_failure: Annotated[str, AfterValidator(_on_failure)] = "stop"
    unless_healed: bool = False
    undo: bool = False


class WrittenDiagnosis(Section):
    """One probe that is run before the first effect and kept."""

    probe: str
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    timeout: Annotated[Duration, AfterValidator(_probe_timeout)] = Diagnosis("").timeout


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
    diagnose: list[WrittenDiagnosis] = Field(default_factory=list, max_length=MOST_PROBES)
    steps: list[WrittenStep] = Field(min_length=1, max_length=MOST_STEPS)
    verify: Annotated[WrittenVerify | None, BeforeValidator(_none_or_mapping)]
    otherwise: list[Annotated[str, AfterValidator(_playbook_name)]] = Field(default_factory=list)
    when: Annotated[str, AfterValidator(_expression)] | None = None

    @model_validator(mode="after")
    def _can_prove_something(self) -> PlaybookFile:
        if self.trigger.alert is not None or self.verify is None:
            return self
        if self.verify.healthy is None:
            told("no alert is named whose rule could prove it", "add verify.healthy, or write verify: none")
        if self.verify.watch > 0 and self.when is None:
            told("nothing could tell that it came back while it is watched", "add when, or remove verify.watch")
        return self


KEYS = key_paths(PlaybookFile)
"""Every key that a playbook may hold."""
