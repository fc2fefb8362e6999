"""What the schemas for editors say of a value beyond what its model does: forms of text, closed sets, and arguments.

A fragment is added to the schema of its key. Alternatives under `anyOf` stand beside what is there, or in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.model import ArgumentType, Mode
from remediator.policy.managed import VERBS as MANAGED_VERBS
from remediator.policy.values import METHODS, UNIT_VERBS, ParameterType

Json = dict[str, Any]

_SPAN = r"(0|(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)"
DURATION: Json = {"type": "string", "pattern": rf"^\s*{_SPAN}\s*$", "examples": ["30s", "5m", "1h30m"]}
RATE: Json = {"type": "string", "pattern": rf"^\s*[1-9][0-9]{{0,6}}/\s*{_SPAN}\s*$", "examples": ["3/1h"]}
SHARE: Json = {"type": "string", "pattern": r"^\s*0*([1-9][0-9]?|100)%\s*$", "examples": ["25%"]}
_NAME: Json = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}
_HOST: Json = {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}
_LABEL: Json = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_EXPRESSION: Json = {"type": "string", "minLength": 1, "maxLength": 4096}
_MATCHER: Json = {
    "type": "string",
    "pattern": r"""^\s*[A-Za-z_][A-Za-z0-9_]*\s*(=~|!~|!=|=)\s*("([^"\\]|\\[\s\S])*"|[^"\s]*)\s*$""",
    "examples": ['severity=~"warning|critical"'],
}
_MODE: Json = {"enum": [mode.value for mode in Mode]}
_PATH: Json = {"minLength": 1}
_URL: Json = {"pattern": "^https?://[^?#@]+$"}
_TEXTS: Json = {"type": "array", "items": {"type": "string", "minLength": 1}}
_ARGV: Json = {**_TEXTS, "minItems": 1, "examples": [["/usr/bin/systemctl", "start", "web.service"]]}
_ABSOLUTE: Json = {"pattern": "^/"}
_CRON: Json = {"pattern": r"^\s*(\S+\s+){4}\S+\s*$", "examples": ["0 2 * * 6"]}

PLAYBOOK: Mapping[str, Json] = {
    "playbook": _NAME,
    "title": {
        "anyOf": [{"type": "string"}],
        "properties": {"en": {"type": "string"}, "ko": {"type": "string"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "trigger": {
        "allOf": [
            {"anyOf": [{"required": ["alert"]}, {"properties": {"manual": {"const": True}}, "required": ["manual"]}]}
        ]
    },
    "trigger.alert": _LABEL,
    "trigger.match": {"items": _MATCHER},
    "mode": _MODE,
    "target": {
        "required": ["host"],
        "minProperties": 2,
        "maxProperties": 2,
        "propertyNames": _NAME,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
    },
    "limits.rate": {"items": RATE},
    "limits.lock": {"enum": ["host", "target"]},
    "limits.blast_radius.by": {"items": _LABEL},
    "limits.blast_radius.max": {"anyOf": [SHARE, {"type": "integer", "minimum": 1}]},
    "limits.blast_radius.quorum": _EXPRESSION,
    "steps[].on_failure": {"enum": ["stop", "continue"]},
    "verify": {"anyOf": [{"const": "none"}]},
    "verify.healthy": _EXPRESSION,
    "verify.alive": _EXPRESSION,
    "otherwise": {"items": _NAME},
    "when": _EXPRESSION,
}
_SERVERS: Mapping[str, Json] = {
    f"{server}.{key}": fragment
    for server in ("prometheus", "alertmanagers[]")
    for key, fragment in (
        ("url", _URL),
        ("basic_auth.password_file", _PATH),
        ("authorization.credentials_file", _PATH),
        ("headers", {"propertyNames": {"pattern": "^[A-Za-z0-9-]+$"}}),
    )
}
CONFIG: Mapping[str, Json] = {
    **_SERVERS,
    "state": _PATH,
    "prometheus.ignore_labels": {"items": _LABEL},
    "receiver": {"pattern": r"\S"},
    "hosts": {"propertyNames": _HOST, "minProperties": 1, "maxProperties": 1},
    "playbooks": {"items": {"type": "string", "minLength": 1}},
    "rules": {"items": {"type": "string", "minLength": 1}},
    "policy": _PATH,
    "process_config": _PATH,
    "protected": {"items": {"type": "string", "minLength": 1}},
    "highest_mode": _MODE,
    "hook.hmac.header": {"pattern": "^[A-Za-z0-9-]{1,64}$"},
    "hook.hmac.timestamp_header": {"pattern": "^[A-Za-z0-9-]{1,64}$"},
    "api.cors": {"items": {"type": "string", "pattern": "^https?://[^/]+$"}},
    "limits.rate": {"items": RATE},
    "monitoring.share": SHARE,
    "breaker.share": SHARE,
    "windows[].name": _HOST,
    "windows[].cron": _CRON,
    "windows[].playbooks": {"items": {"type": "string", "minLength": 1, "maxLength": 512}},
    "windows[].targets": {"items": {"type": "string", "minLength": 1, "maxLength": 512}},
    "approval.url": _URL,
    "watchdog.alert": _LABEL,
}
_PARAMETERS: Mapping[str, Json] = {
    f"{section}.NAME.parameters{key}": fragment
    for section in ("commands", "ansible")
    for key, fragment in (
        ("", {"propertyNames": _NAME}),
        (".NAME.type", {"enum": [kind.value for kind in ParameterType]}),
        (".NAME.at_least", {"type": "number", "minimum": 0}),
        (".NAME.at_most", {"type": "number", "minimum": 0}),
        (".NAME.default", {"anyOf": [{"type": "string"}, {"type": "number"}]}),
    )
}
AMOUNT: Json = {
    "anyOf": [{"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[kK]B|[MGT]B|[KMGT]iB)?\s*$"}],
    "examples": ["100MiB"],
}
POLICY: Mapping[str, Json] = {
    **_PARAMETERS,
    "roots.NAME.floor": AMOUNT,
    "journal.floor": AMOUNT,
    "journal.directory": _ABSOLUTE,
    "programs.journalctl": _ABSOLUTE,
    "process_groups": {"type": "array", "items": {"type": "string", "pattern": r"^[^?\[\]]+$"}},
    "users": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}},
    "roots": {"propertyNames": {"pattern": "^/."}},
    **{f"commands.NAME.{key}": _ARGV for key in ("start", "stop", "status", "run", "check")},
    "commands.NAME.stdin": {"enum": ["none", "alert", "plan"]},
    "units": {"propertyNames": {"pattern": r"^[^*?\[\]].*\.(service|timer|socket|path)$"}},
    "units.NAME.verbs": {"type": "array", "items": {"enum": list(UNIT_VERBS)}},
    "scale": {"propertyNames": {"pattern": r"^[^@]+@\.service$"}},
    "urls": {"propertyNames": {"pattern": "^(https?|tcp)://[^?#@]+$"}},
    "urls.NAME.methods": {"type": "array", "items": {"enum": list(METHODS)}},
    "ansible.NAME.playbook": _ABSOLUTE,
    "programs.systemctl": _ABSOLUTE,
    "programs.git": _ABSOLUTE,
    "work_trees": {"propertyNames": {"pattern": "^/."}},
    "work_trees.NAME.safe": _TEXTS,
    "work_trees.NAME.never": _TEXTS,
    "work_trees.NAME.largest_file": AMOUNT,
    "work_trees.NAME.branch": {"pattern": "^selfheal/"},
    "containers.socket": _ABSOLUTE,
    "containers.names.NAME.verbs": {"type": "array", "minItems": 1, "items": {"enum": list(MANAGED_VERBS)}},
    "supervisor.socket": _ABSOLUTE,
    "supervisor.programs.NAME.verbs": {"type": "array", "minItems": 1, "items": {"enum": list(MANAGED_VERBS)}},
    "programs.ansible_playbook": _ABSOLUTE,
}

_STATUS: Json = {"type": "integer", "minimum": 100, "maximum": 599}
_LOOK_UP: Json = {"type": "string", "minLength": 1, "maxLength": 256}
ARGUMENTS: Mapping[ArgumentType, Json] = {
    ArgumentType.TEXT: _LOOK_UP,
    ArgumentType.GROUP: _LOOK_UP,
    ArgumentType.ROOT: _LOOK_UP,
    ArgumentType.SERVICE: _LOOK_UP,
    ArgumentType.UNIT: _LOOK_UP,
    ArgumentType.TEMPLATE: _LOOK_UP,
    ArgumentType.COMMAND: _LOOK_UP,
    ArgumentType.WORK_TREE: _LOOK_UP,
    ArgumentType.CONTAINER: _LOOK_UP,
    ArgumentType.PROGRAM: _LOOK_UP,
    ArgumentType.BYTES: {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[kK]B|[MGT]B|[KMGT]iB)?\s*$"},
        ]
    },
    ArgumentType.DURATION: {"anyOf": [DURATION, {"type": "number", "minimum": 0}]},
    ArgumentType.NUMBER: {"type": "number", "minimum": 0},
    ArgumentType.INTEGER: {"type": "integer"},
    ArgumentType.SWITCH: {"type": "boolean"},
    ArgumentType.PARAMETERS: {
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {"anyOf": [_LOOK_UP, {"type": "number"}]},
    },
    ArgumentType.URL: {"type": "string", "pattern": "^(https?|tcp)://"},
    ArgumentType.EXPRESSION: _EXPRESSION,
    ArgumentType.BODY: {"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]},
    ArgumentType.STATUSES: {
        "anyOf": [_STATUS, {"type": "array", "minItems": 1, "items": _STATUS}],
    },
    ArgumentType.PLAY: _LOOK_UP,
}
"""What an argument of an action or a probe looks like, by its type."""
