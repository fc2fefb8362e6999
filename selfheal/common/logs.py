"""Log lines: one event, one line, `key=value` fields; messages are fixed English, values are escaped."""

from __future__ import annotations

import json
import logging
import re
import sys

from selfheal.common.clock import to_rfc3339

_BARE = re.compile(r"[A-Za-z0-9_.:/@%+\-]+")
_STANDARD = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


class LogfmtFormatter(logging.Formatter):
    """`ts=… level=… logger=… msg=… key=value`; a value with anything unusual in it becomes a JSON string."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without line breaks, whatever the fields hold."""
        return " ".join(f"{key}={_quote(value)}" for key, value in _fields_of(record).items())


class JsonFormatter(logging.Formatter):
    """The same fields as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object without line breaks."""
        return json.dumps(_fields_of(record), default=str, ensure_ascii=False)


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {
        "ts": to_rfc3339(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": record.getMessage(),
    }
    fields |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = f"{record.exc_info[1].__class__.__name__}: {record.exc_info[1]}"
    return fields


def _quote(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def set_up_logging(level: str = "info", form: str = "logfmt") -> None:
    """Send log lines of `level` (debug, info, warn, error) and above to stderr, as `logfmt` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"debug": 10, "info": 20, "warn": 30, "error": 40}[level])
