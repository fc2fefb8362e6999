"""Values of the API in a language's words: states, reasons, plan items, times. For the page and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.locale import Catalog
from selfheal.common.clock import to_rfc3339

HEARTBEAT = "none"
"""The severity of an alert that always fires to show that the way is open: it says that nothing is wrong."""


def word(catalog: Catalog, group: str, value: object) -> str:
    """Given a group such as `reason` and a value of the API, return its words; an unknown value stays as it is."""
    if value is None or value == "":
        return ""
    return _said(catalog, f"{group}.{value}") or str(value)


def fate(catalog: Catalog, alert: Mapping[str, Any]) -> str:
    """Given an alert of the API, return what became of it: a remediation's state, or why there is none."""
    value = alert.get("fate")
    if value is None:
        number = alert.get("remediation_id")
        return catalog.say("fate.under_way", id=number) if number else catalog.say("fate.pending")
    return _said(catalog, f"state.{value}") or _said(catalog, f"fate.{value}") or str(value)


def why(catalog: Catalog, run: Mapping[str, Any]) -> str:
    """Given a remediation of the API, return what its state rests on; nothing while all goes its way."""
    reason = run.get("reason")
    return word(catalog, "verdict", run.get("verdict")) or (
        "" if reason == "allowed" else word(catalog, "reason", reason)
    )


def mode(catalog: Catalog, value: object) -> str:
    """Given a mode of the API, return its words and, as people write it into files, itself."""
    said = word(catalog, "mode", value)
    return said if said in ("", value) else f"{said} ({value})"


def is_wrong(alert: Mapping[str, Any]) -> bool:
    """Say whether an alert of the API tells that something is wrong now: it is on, and no heartbeat."""
    on = alert.get("status") == "firing" and alert.get("closed_at") is None
    return on and (alert.get("labels") or {}).get("severity") != HEARTBEAT


def proof(catalog: Catalog, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Given the body of a judgement that was kept as evidence, return its facts in words; nothing for another body."""
    if not isinstance(body.get("healthy"), bool):
        return []
    facts = [("healthy", _holds(catalog, body["healthy"], _judgements(body, "rule", "declared")))]
    if body.get("why"):
        facts.append(("judged", word(catalog, "judgement", body["why"])))
    living = _judgements(body, "living")
    if living:
        facts.append(("alive", _holds(catalog, body.get("alive") is True, living)))
        if body.get("alive") is not True:
            facts.append(("judged", word(catalog, "judgement", living[0].get("why"))))
    for key in ("end", "last_sample"):
        if isinstance(body.get(key), int | float):
            facts.append((key, moment(to_rfc3339(body[key]))))
    return [(catalog.say(f"evidence.{key}"), said) for key, said in facts]


def asked(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Given the body of a judgement, return each question that was asked of Prometheus with what came back."""
    readings = [each for judged in _judgements(body, "rule", "declared", "living") for each in judged["readings"]]
    return [(str(reading.get("query")), str(reading.get("answer"))) for reading in readings]


def _judgements(body: Mapping[str, Any], *keys: str) -> list[Mapping[str, Any]]:
    found = [body.get(key) for key in keys]
    return [each for each in found if isinstance(each, Mapping) and isinstance(each.get("readings"), list)]


def _holds(catalog: Catalog, holds: bool, judged: Sequence[Mapping[str, Any]]) -> str:
    """A condition that does not hold may as well be unknown, which is never healthy."""
    if not holds and any(each.get("value") == "unknown" for each in judged):
        return catalog.say("evidence.unknown")
    return catalog.say("evidence.held" if holds else "evidence.failed")


def item(catalog: Catalog, thing: Mapping[str, Any]) -> str:
    """Given one item of a plan or outcome, return what it is."""
    match thing.get("kind"):
        case "process":
            return catalog.say("item.process", pid=thing.get("pid", "?"), group=thing.get("group", "?"))
        case "file":
            return catalog.say("item.file", path=thing.get("path", "?"))
        case "command":
            return catalog.say("item.command", service=thing.get("service", "?"), verb=thing.get("verb", "?"))
        case other:
            return str(other)


def moment(text: object) -> str:
    """Given a time of the API, return it as people read it, in UTC to the second; nothing for none."""
    if not isinstance(text, str) or not text:
        return ""
    return text[:19].replace("T", " ") + " UTC"


def last_decision(decisions: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Given every guard's answer at every decision, return those of the last one and how many decisions came before.

    A held remediation is decided again every few seconds; the last answers are those that count.
    """
    times = list(dict.fromkeys(each.get("at") for each in decisions))
    if not times:
        return [], 0
    return [each for each in decisions if each.get("at") == times[-1]], len(times) - 1


def _said(catalog: Catalog, key: str) -> str:
    try:
        return catalog.say(key)
    except KeyError:
        return ""
