"""Alertmanager's and Grafana's webhook bodies, judged alert by alert: what can be read, what is wrong with the rest.

Liberal with unknown and absent fields, strict with types: a label is text or the alert is malformed. Pure; no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediator.model import Alert, fingerprint
from selfheal.common.clock import from_rfc3339

VALUE_LIMIT = 64 * 1024
"""Bytes kept of one value."""
SHOWN_LIMIT = 1_024
"""Bytes kept of each value of a malformed alert that is too long to keep whole."""
LABELS_LIMIT = 256 * 1024
"""Bytes of all labels of one alert together: they are its identity, so more is refused, not cut."""
MALFORMED_LIMIT = 1_000
"""Malformed alerts of one delivery that are kept one by one; the rest become one entry that counts them."""
LATEST = 253_370_764_800.0
"""The year 9999: what lies beyond could not be printed again."""


class NotAPayload(ValueError):
    """The body is no webhook payload at all; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it was understood."""

    receiver: str
    alerts: tuple[Alert, ...]
    malformed: tuple[tuple[str, str], ...] = ()
    """(the alert as it came, what is wrong with it)."""
    truncated: int = 0
    """How many alerts of the group Alertmanager left out."""
    version: str = ""


class _Malformed(ValueError):
    """One alert that cannot be read."""


def parse(body: bytes) -> Delivery:
    """Given a request's body, return what it delivers. Raise NotAPayload if it is no object with a list `alerts`."""
    try:
        document: Any = json.loads(body.decode("utf-8"), parse_int=_number)
    except UnicodeDecodeError as error:
        raise NotAPayload("the body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise NotAPayload("the body is not JSON") from error
    if not isinstance(document, dict):
        raise NotAPayload("the body is not a JSON object")
    entries = document.get("alerts")
    if not isinstance(entries, list):
        raise NotAPayload("the body has no list named alerts")
    alerts, malformed = _judge(entries)
    return Delivery(
        receiver=_plain(document.get("receiver")),
        alerts=alerts,
        malformed=malformed,
        truncated=_count(document.get("truncatedAlerts")),
        version=_plain(document.get("version")),
    )


def _judge(entries: list[Any]) -> tuple[tuple[Alert, ...], tuple[tuple[str, str], ...]]:
    alerts: list[Alert] = []
    malformed: list[tuple[str, str]] = []
    left_out = 0
    for entry in entries:
        try:
            alerts.append(_alert(entry))
        except _Malformed as error:
            if len(malformed) < MALFORMED_LIMIT:
                malformed.append((_show(entry), str(error)))
            else:
                left_out += 1
    if left_out:
        malformed.append(("", f"{left_out} more malformed alerts of this delivery were not kept one by one"))
    return tuple(alerts), tuple(malformed)


def _alert(entry: Any) -> Alert:
    if not isinstance(entry, dict):
        raise _Malformed("the alert is not an object")
    status = entry.get("status")
    if status not in ("firing", "resolved"):
        raise _Malformed("status must be firing or resolved")
    labels = _labels(entry.get("labels"))
    generator = entry.get("generatorURL")
    return Alert(
        status=status,
        labels=labels,
        annotations=_annotations(entry.get("annotations")),
        starts_at=_time(entry.get("startsAt")),
        fingerprint=_fingerprint(entry.get("fingerprint"), labels),
        generator_url=cut(_scalar(generator, "generatorURL")) if generator is not None else "",
        # what one that fires says of its end is only a time limit
        ends_at=_end(entry.get("endsAt")) if status == "resolved" else None,
    )


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _Malformed("labels must be an object")
    total = 0
    for name, text in value.items():
        # what names the label may itself be hostile, so a problem says its place, not its name in full
        size = len(_encoded(text, f"label {name[:64]!a}"))
        if size > VALUE_LIMIT:
            raise _Malformed(f"label {name[:64]!a} is {size} bytes long, at most {VALUE_LIMIT} are taken")
        total += size + len(_encoded(name, "a label's name"))
    if total > LABELS_LIMIT:
        raise _Malformed(f"the labels are {total} bytes long, at most {LABELS_LIMIT} are taken")
    if not value.get("alertname"):
        raise _Malformed("there is no label alertname")
    return value


def _annotations(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Malformed("annotations must be an object")
    kept: dict[str, str] = {}
    for name, text in value.items():
        _encoded(name, "an annotation's name")
        kept[cut(name)] = cut(_scalar(text, f"annotation {name[:64]!a}"))
    return kept


def _encoded(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        raise _Malformed(f"{what} must be text")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Malformed(f"{what} holds half a character (a lone surrogate)") from error


def _scalar(value: Any, what: str) -> str:
    _encoded(value, what)
    return str(value)


def _time(value: Any) -> float:
    if not isinstance(value, str) or len(value) > 64:
        raise _Malformed("startsAt must be an RFC 3339 time")
    try:
        seconds = from_rfc3339(value)
    except (ValueError, OverflowError) as error:
        raise _Malformed("startsAt must be an RFC 3339 time") from error
    if not 0.0 <= seconds < LATEST:
        raise _Malformed("startsAt must lie between the years 1970 and 9998")
    return seconds


def _end(value: Any) -> float | None:
    """Return when a resolved alert ended, or None if it does not say: the zero time, or nothing that can be read."""
    try:
        return _time(value)
    except _Malformed:
        return None


def _fingerprint(value: Any, labels: Mapping[str, str]) -> str:
    if value is None or value == "":
        return fingerprint(labels)
    if not isinstance(value, str) or len(value) > 64 or not value.isascii() or not value.isalnum():
        raise _Malformed("fingerprint must be at most 64 letters and digits")
    return value


def cut(text: str, limit: int = VALUE_LIMIT) -> str:
    """Given text, return it unchanged if it has at most `limit` bytes, else its beginning with the cut marked."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode("utf-8")
    if len(data) <= limit:
        return text
    mark = f" [cut: {len(data)} bytes]"
    return data[: limit - len(mark)].decode("utf-8", "ignore") + mark


def _show(entry: Any) -> str:
    """Return a malformed alert as text that can be stored; if it is long, its values are cut before the whole is."""
    text = _text(entry)
    if len(text.encode("utf-8")) > VALUE_LIMIT:
        text = _text(_shortened(entry))
    return cut(text)


def _text(entry: Any) -> str:
    try:
        text = json.dumps(entry, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "[an alert nested too deeply to show]"
    # half characters could not be stored; they are shown as the escapes they came as
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shortened(entry: Any, depth: int = 2) -> Any:
    if isinstance(entry, str):
        return cut(entry.encode("utf-8", "backslashreplace").decode("utf-8"), SHOWN_LIMIT)
    if isinstance(entry, dict) and depth:
        return {name: _shortened(value, depth - 1) for name, value in entry.items()}
    return entry


def _plain(value: Any) -> str:
    return cut(value.encode("utf-8", "replace").decode("utf-8"), 1_024) if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def _number(digits: str) -> int | float:
    # Python refuses integers of thousands of digits with an error that would spoil the whole batch
    return int(digits) if len(digits) < 19 else float(digits)
