"""Values of the API in a language's words: states, reasons, plan items, times. For the page and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.locale import Catalog
from selfheal.common.clock import to_rfc3339
from selfheal.common.durations import format_duration

_TIMES = frozenset({"until", "asked_at"})
"""Keys of a guard's detail that hold seconds since the epoch."""
_GOES_ON = frozenset({"pending", "held", "running", "undoing", "verifying"})
"""States that an earlier look, whose verdict is kept, has no say in any more."""
_COMMON = frozenset({"alertname", "instance", "job", "severity"})
"""Labels that do not tell two alerts of one rule and instance apart, or are shown beside it."""


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
    # what goes on after a person settled it still has the verdict of the look before
    judged = "" if run.get("state") in _GOES_ON else word(catalog, "verdict", run.get("verdict"))
    return judged or ("" if reason == "allowed" else word(catalog, "reason", reason))


def details(catalog: Catalog, found: Mapping[str, Any] | None) -> str:
    """Given what a guard told besides its reason, return it in words: times as people read them, nothing that is empty.

    A key that has no words stands as it is.
    """
    return ", ".join(
        f"{_said(catalog, f'detail.{key}') or key}: {_detail(key, value)}"
        for key, value in (found or {}).items()
        if value not in (None, "", [], {})
    )


def _detail(key: str, value: object) -> str:
    if key in _TIMES and isinstance(value, int | float):
        return moment(to_rfc3339(value))
    return ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)


def would_touch(run: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int]:
    """Given a remediation of the API, return what it would have touched had it not only observed, and how many more."""
    for event in run.get("events") or ():
        detail = event.get("detail") or {}
        if event.get("to") == "observed" and detail.get("items"):
            items = list(detail["items"])
            return items, max(int(detail.get("count", 0)) - len(items), 0)
    return [], 0


def who_answered(event: Mapping[str, Any]) -> str:
    """Given an event of the API, return the name of whoever decided it; nothing where the program did."""
    return str((event.get("detail") or {}).get("who") or "")


def mode(catalog: Catalog, value: object) -> str:
    """Given a mode of the API, return its words and, as people write it into files, itself."""
    said = word(catalog, "mode", value)
    return said if said in ("", value) else f"{said} ({value})"


def where(alert: Mapping[str, Any]) -> str:
    """Given an alert of the API, return its instance and what tells it from others of its rule there."""
    labels = alert.get("labels") or {}
    others = [f"{name}={value}" for name, value in sorted(labels.items()) if name not in _COMMON and value]
    return " ".join(filter(None, (labels.get("instance", ""), *others)))


def proof(catalog: Catalog, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Given the body of a judgement or of samples kept as evidence, return its facts in words; nothing for another."""
    if not isinstance(body.get("healthy"), bool):
        return _measured(catalog, body)
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
    return [(catalog.say(f"evidence.{key}"), said) for key, said in facts] + _measured(catalog, body)


def figure(value: float, digits: int = 4) -> str:
    """Given a number, return it with so many digits, a large one with the letter of its power of ten."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}"
    return f"{value:.{digits}g}"


def _measured(catalog: Catalog, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    samples = body.get("samples")
    series = samples.get("series") if isinstance(samples, Mapping) else None
    facts = []
    for each in series if isinstance(series, list) else []:
        values = [value for _, value in each.get("points") or ()]
        if values:
            low, high, last = figure(min(values)), figure(max(values)), figure(values[-1])
            said = catalog.say("evidence.values", count=len(values), low=low, high=high, last=last)
            facts += [
                (catalog.say("evidence.quantity"), str(each["quantity"])),
                (catalog.say("evidence.measured"), said),
            ]
    return facts


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


def paused(catalog: Catalog, pause: Mapping[str, Any]) -> str:
    """Given a pause of the API, return what it is about, who made it and why, until when; its file if nobody is named.

    An earlier version tells of a pause of everything without scope or file.
    """
    playbook, target = pause.get("playbook"), pause.get("target")
    key = "page.paused_both" if playbook and target else "page.paused_playbook" if playbook else "page.paused_target"
    about = catalog.say(key if playbook or target else "page.paused", playbook=playbook, target=target)
    who = catalog.say("page.paused_by", who=pause["who"] or "?", why=pause["why"] or "-")
    until = catalog.say("page.paused_until", until=moment(pause["until"])) if pause["until"] else ""
    hard = catalog.say("page.paused_hard") if pause["hard"] else ""
    file = catalog.say("page.paused_file", file=pause["file"]) if pause.get("file") and not pause["who"] else ""
    return " ".join(filter(None, (about, who, until, hard, file)))


def item(catalog: Catalog, thing: Mapping[str, Any]) -> str:
    """Given one item of a plan or outcome, return what it is."""
    match thing.get("kind"):
        case "process":
            return catalog.say("item.process", pid=thing.get("pid", "?"), group=thing.get("group", "?"))
        case "file":
            return catalog.say("item.file", path=thing.get("path", "?"))
        case "command" if "command" in thing:
            return catalog.say("item.named_command", command=thing["command"])
        case "command":
            return catalog.say("item.command", service=thing.get("service", "?"), verb=thing.get("verb", "?"))
        case "memory":
            name = thing.get("unit") or thing.get("name", "?")
            return catalog.say("item.memory", bytes=thing.get("bytes", "?"), name=name)
        case "request":
            place = str(thing.get("url", "?")).partition("?")[0]
            return catalog.say("item.request", method=thing.get("method", "?"), url=place)
        case "ansible" if "host" in thing:
            return catalog.say("item.ansible_host", playbook=thing.get("playbook", "?"), host=thing["host"])
        case "ansible":
            return catalog.say("item.ansible", playbook=thing.get("playbook", "?"))
        case "silence" if "seconds" in thing:
            return catalog.say("item.silence", span=format_duration(thing["seconds"]))
        case "silence":
            return catalog.say("item.silence_ended", id=thing.get("id", "?"))
        case "mark":
            return catalog.say("item.mark", text=thing.get("text", "?"))
        case "blob":
            change = "removed" if thing.get("change") == "remove" else "kept"
            return catalog.say(f"item.blob_{change}", path=thing.get("path", "?"))
        case "reference" if thing.get("object") is None:
            return catalog.say("item.reference_gone", name=thing.get("name", "?"))
        case "reference":
            return catalog.say("item.reference", name=thing.get("name", "?"), object=str(thing["object"])[:12])
        case "container":
            return catalog.say("item.container", container=thing.get("container", "?"), verb=thing.get("verb", "?"))
        case "program":
            return catalog.say("item.program", program=thing.get("program", "?"), verb=thing.get("verb", "?"))
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
