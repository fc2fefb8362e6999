"""What the API answers with, as JSON schema; what may grow says so by leaving other keys open."""

from __future__ import annotations

from remediator.model import Answer, ApprovalState, BreakerState, Json, Mode, State, Verdict

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_SWITCH: Json = {"type": "boolean"}
_TIME: Json = {"type": "string", "format": "date-time"}
_ID: Json = {"type": "string", "pattern": "^[0-9]+$"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_LABELS: Json = {"type": "object", "additionalProperties": _TEXT}
_OPEN: Json = {"type": "object"}
_OPENS: Json = {"type": "array", "items": _OPEN}


def _or_none(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(
    values: type[State] | type[Mode] | type[Verdict] | type[Answer] | type[ApprovalState] | type[BreakerState],
) -> Json:
    return {"type": "string", "enum": [value.value for value in values]}


def _object(**keys: Json) -> Json:
    return {"type": "object", "required": list(keys), "properties": keys}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(name: str) -> Json:
    return _object(items={"type": "array", "items": _ref(name)}, next=_or_none(_ID))


def _counted(name: str) -> Json:
    """A page that tells, where only what is open is asked for, how many there are in all."""
    page = _page(name)
    return page | {"properties": page["properties"] | {"count": _COUNT}}


_ALERT = _object(alertname=_TEXT, fingerprint=_TEXT, starts_at=_TIME, labels=_LABELS)
_PAUSE = _object(who=_TEXT, why=_TEXT, until=_or_none(_TIME), hard=_SWITCH)
_STOP = _object(who=_TEXT, why=_TEXT, since=_TIME, until=_or_none(_TIME))
_SHORT = _object(
    id=_ID,
    playbook=_TEXT,
    target=_TEXT,
    state=_one_of(State),
    reason=_or_none(_TEXT),
    verdict=_or_none(_one_of(Verdict)),
    mode=_one_of(Mode),
    created_at=_TIME,
    started_at=_or_none(_TIME),
    verified_at=_or_none(_TIME),
    ended_at=_or_none(_TIME),
    alert=_ALERT,
)
_EVENT = {
    "id": _ID,
    "at": _TIME,
    "kind": _TEXT,
    "from": _or_none(_TEXT),
    "to": _or_none(_TEXT),
    "reason": _or_none(_TEXT),
    "remediation_id": _or_none(_ID),
    "occurrence_id": _or_none(_ID),
    "detail": _OPEN,
}

SCHEMAS: dict[str, Json] = {
    "Problem": _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT),
    "ShortRemediation": _SHORT,
    "Remediations": _counted("ShortRemediation"),
    "Remediation": {
        "allOf": [_SHORT, _object(decisions=_OPENS, steps=_OPENS, evidence=_OPENS, events=_OPENS)],
    },
    "Alert": _object(
        id=_ID,
        alertname=_TEXT,
        fingerprint=_TEXT,
        labels=_LABELS,
        status={"type": "string", "enum": ["firing", "resolved", "malformed"]},
        problem=_or_none(_TEXT),
        starts_at=_TIME,
        received_at=_TIME,
        closed_at=_or_none(_TIME),
        fate=_or_none(_TEXT),
        reason=_or_none(_TEXT),
        remediation_id=_or_none(_ID),
    ),
    "Alerts": _counted("Alert"),
    "Playbook": _object(name=_TEXT, title=_LABELS, mode=_one_of(Mode), written_mode=_one_of(Mode), steps=_OPENS),
    "Playbooks": _page("Playbook"),
    "Trust": _object(
        playbook=_TEXT,
        digest=_TEXT,
        mode=_one_of(Mode),
        written_mode=_one_of(Mode),
        highest_mode=_one_of(Mode),
        next=_or_none(_one_of(Mode)),
        proposed=_SWITCH,
        missing=_TEXTS,
        changed_at=_or_none(_TIME),
        who=_or_none(_TEXT),
        why=_or_none(_TEXT),
        evidence=_object(
            judged=_COUNT,
            succeeded=_COUNT,
            lower_bound=_NUMBER,
            days=_NUMBER,
            first_at=_or_none(_TIME),
            last_at=_or_none(_TIME),
            recent={"type": "array", "items": _SWITCH},
            unknown=_COUNT,
        ),
        shadow=_object(
            waiting=_COUNT,
            needed=_COUNT,
            cleared_alone=_COUNT,
            left_out=_COUNT,
            blocked=_OPENS,
            cleared_after_median_seconds=_or_none(_NUMBER),
        ),
        earlier=_or_none(_object(digest=_TEXT, mode=_one_of(Mode), changed_at=_TIME, who=_or_none(_TEXT))),
    ),
    "Trusts": _page("Trust"),
    "Run": {"type": "object"},
    "Approval": _object(
        id=_ID,
        remediation_id=_ID,
        state=_one_of(ApprovalState),
        plan_hash=_TEXT,
        requested_at=_TIME,
        expires_at=_TIME,
        decided_at=_or_none(_TIME),
        who=_or_none(_TEXT),
        why=_or_none(_TEXT),
        how=_or_none(_TEXT),
        playbook=_TEXT,
        target=_TEXT,
        alert=_ALERT,
        steps=_OPENS,
    ),
    "Approvals": _page("Approval"),
    "Pauses": _object(paused=_or_none(_PAUSE), pauses={"type": "array", "items": _PAUSE}),
    "Breaker": _object(
        name=_TEXT,
        state=_one_of(BreakerState),
        changed_at=_TIME,
        failed=_COUNT,
        ended=_COUNT,
        tries_at=_or_none(_TIME),
        trial=_or_none(_ID),
        who=_or_none(_TEXT),
        why=_or_none(_TEXT),
    ),
    "Breakers": _page("Breaker"),
    "Policy": _object(
        problem=_or_none(_TEXT),
        process_groups=_TEXTS,
        roots=_OPENS,
        services=_OPENS,
        commands=_OPENS,
        ansible=_OPENS,
        units=_OPENS,
        urls=_OPENS,
        users=_or_none({"type": "array", "items": _COUNT}),
        protected=_TEXTS,
    ),
    "Event": {"type": "object", "required": list(_EVENT), "properties": _EVENT},
    "Events": _page("Event"),
    "Entry": {"type": "object", "required": [*_EVENT, "hash"], "properties": _EVENT | {"hash": _or_none(_TEXT)}},
    "Entries": _page("Entry"),
    "Audit": _object(ok=_SWITCH, checked=_COUNT, problem=_or_none(_TEXT)),
    "Line": _TEXT,
    "Status": _object(
        version=_TEXT,
        highest_mode=_one_of(Mode),
        paused=_or_none(_PAUSE),
        monitoring_stopped=_or_none(_STOP),
        counts={"type": "object", "additionalProperties": _COUNT},
        blind=_TEXTS,
        playbooks={"type": "object", "additionalProperties": _one_of(Mode)},
    ),
    "Gauges": _object(
        at=_TIME,
        instances={"type": "object", "additionalProperties": {"type": "object", "additionalProperties": _NUMBER}},
    ),
    "Dashboard": _object(
        status=_ref("Status"),
        firing={"type": "array", "items": _ref("Alert")},
        firing_count=_COUNT,
        waiting_for_people=_object(settle={"type": "array", "items": _ID}, approve={"type": "array", "items": _ID}),
        breakers={"type": "array", "items": _ref("Breaker")},
        remediations={"type": "array", "items": _ref("ShortRemediation")},
    ),
    "Control": _object(monitoring_stopped=_or_none(_STOP), paused=_or_none(_PAUSE)),
    "Description": _object(openapi=_TEXT, info=_OPEN, paths=_OPEN),
}
