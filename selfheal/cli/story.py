"""One remediation, or one alert without any, told from beginning to end: guards, steps, evidence, verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from remediator.locale import Catalog
from remediator.locale.words import (
    asked,
    details,
    fate,
    item,
    last_decision,
    mode,
    moment,
    proof,
    who_answered,
    word,
    would_touch,
)
from remediator.model import Json
from selfheal.cli.answers import Screen, colour_of

ITEMS = 10
"""Plan items shown of a step; the rest are counted."""
EVIDENCE = 400
"""Characters of one piece of evidence; `--json` has all of it."""
ASKED = 2
"""Questions shown of a judgement that is healthy; of any other all are shown, for they say what is missing."""
_ANSWERS = {"allow": "good", "hold": "busy", "deny": "bad"}


def tell_alert(screen: Screen, alert: Json, texts: Catalog) -> None:
    """Tell what came in and what became of it."""
    status = word(texts, "alert_status", alert["status"])
    title = alert["alertname"] or texts.say("cli.why.nameless")
    screen.line(f"{screen.paint(title, 'strong')}  {screen.paint(status)}")
    facts = [
        (texts.say("cli.why.fingerprint"), alert["fingerprint"]),
        (texts.say("page.since"), moment(alert["starts_at"])),
        (texts.say("cli.why.received"), moment(alert["received_at"])),
        (texts.say("cli.why.closed"), moment(alert["closed_at"])),
        (texts.say("cli.why.labels"), _labels(alert["labels"])),
        (texts.say("cli.why.problem"), alert.get("problem") or ""),
        (texts.say("page.fate"), fate(texts, alert)),
        (texts.say("page.reason"), word(texts, "reason", alert["reason"])),
    ]
    _facts(screen, facts)


def tell_remediation(screen: Screen, run: Json, texts: Catalog) -> None:
    """Tell one remediation: what it was for, what each guard said, what was done, what was proven."""
    state = screen.paint(word(texts, "state", run["state"]), colour_of(run["state"]))
    screen.heading(texts.say("page.run", id=run["id"]))
    screen.line(f"  {screen.paint(run['playbook'])} → {screen.paint(run['target'])}: {state}")
    facts = [
        (texts.say("page.alert"), run["alert"]["alertname"]),
        (texts.say("page.mode"), mode(texts, run["mode"])),
        (texts.say("page.reason"), word(texts, "reason", run["reason"])),
        (texts.say("page.verdict"), word(texts, "verdict", run["verdict"])),
        *((texts.say(f"page.{key}"), moment(run[key])) for key in ("created_at", "started_at", "verified_at")),
        (texts.say("page.ended_at"), moment(run["ended_at"])),
    ]
    _facts(screen, facts)
    _decisions(screen, run["decisions"], texts)
    _observed(screen, run, texts)
    _steps(screen, run["steps"], texts)
    _evidence(screen, run["evidence"], texts)
    _history(screen, run["events"], texts)


def _facts(screen: Screen, facts: Sequence[tuple[str, str]]) -> None:
    screen.table([[(name, "soft"), (value, "")] for name, value in facts if value])


def _decisions(screen: Screen, decisions: Sequence[Json], texts: Catalog) -> None:
    last, earlier = last_decision(decisions)
    if not last:
        return
    screen.heading(f"{texts.say('page.decisions')} ({moment(last[0]['at'])})")
    rows: list[list[tuple[object, str]]] = []
    for each in last:
        until = f" ({texts.say('page.until')} {moment(each['until'])})" if each.get("until") else ""
        reason = word(texts, "reason", each["reason"]) if each["answer"] != "allow" else ""
        detail = details(texts, each.get("detail")) if reason else ""
        answer = (word(texts, "answer", each["answer"]), _ANSWERS.get(each["answer"], ""))
        said = " – ".join(filter(None, (f"{reason}{until}", detail)))
        rows.append([(word(texts, "guard", each["guard"]), ""), answer, (said, "")])
    screen.table(rows)
    if earlier:
        screen.line("  " + screen.paint(texts.say("page.earlier_decisions", count=earlier), "soft"))


def _observed(screen: Screen, run: Json, texts: Catalog) -> None:
    """Show what an observed remediation would have touched."""
    items, more = would_touch(run)
    if not items:
        return
    screen.heading(texts.say("approve.things"))
    shown = [item(texts, each) for each in items[:ITEMS]]
    more += len(items) - len(shown)
    for each in shown + ([texts.say("page.more", count=more)] if more else []):
        screen.line(f"  {screen.paint(each)}")


def _steps(screen: Screen, steps: Sequence[Json], texts: Catalog) -> None:
    if not steps:
        return
    screen.heading(texts.say("page.steps"))
    for step in steps:
        state = screen.paint(word(texts, "step", step["state"]), colour_of(step["state"]))
        undo = f" ({texts.say('cli.why.undo')})" if step.get("undo") else ""
        head = f"{step['position'] + 1}. {screen.paint(step['action'], 'strong')}{undo}"
        screen.line(f"  {head}  {state}  {screen.paint(moment(step['intent_at']), 'soft')}")
        _items(screen, texts.say("page.planned"), (step["plan"] or {}).get("items"), texts)
        outcome = step["outcome"] or {}
        _items(screen, texts.say("page.touched"), outcome.get("effects"), texts)
        if outcome.get("detail"):
            screen.line(f"     {screen.paint(_short(outcome['detail']), 'soft')}")


def _items(screen: Screen, title: str, items: Any, texts: Catalog) -> None:
    if not items:
        return
    shown = [item(texts, each) for each in items[:ITEMS]]
    if len(items) > ITEMS:
        shown.append(texts.say("page.more", count=len(items) - ITEMS))
    head = f"     {screen.paint(title, 'soft')}:"
    if len(shown) == 1:
        screen.line(f"{head} {screen.paint(shown[0])}")
        return
    screen.line(head)
    for each in shown:
        screen.line(f"       {screen.paint(each)}")


def _evidence(screen: Screen, evidence: Sequence[Json], texts: Catalog) -> None:
    if not evidence:
        return
    screen.heading(texts.say("page.evidence"))
    for each in evidence:
        phase = word(texts, "evidence", each["phase"])
        screen.line(f"  {screen.paint(phase, 'strong')}  {screen.paint(moment(each['at']), 'soft')}")
        if each["body"].get("probes"):
            _probes(screen, each["body"]["probes"])
            continue
        facts = proof(texts, each["body"])
        if not facts:
            screen.line(f"     {screen.paint(_short(each['body']))}")
            continue
        questions = asked(each["body"])
        most = ASKED if each["body"].get("healthy") and each["body"].get("alive") else len(questions)
        _facts(screen, facts)
        for query, answer in questions[:most]:
            screen.line(
                f"  {screen.paint(texts.say('evidence.asked'), 'soft')}: {screen.paint(query)} → {screen.paint(answer)}"
            )
        if len(questions) > most:
            screen.line("  " + screen.paint(texts.say("cli.why.more_asked", count=len(questions) - most), "soft"))


def _probes(screen: Screen, probes: Sequence[Json]) -> None:
    """Show what each probe saw, or why it saw nothing."""
    for each in probes:
        seen = {key: value for key, value in each.items() if key not in ("probe", "arguments")}
        screen.line(f"     {screen.paint(each.get('probe'), 'strong')}: {screen.paint(_short(seen))}")


def _history(screen: Screen, events: Sequence[Json], texts: Catalog) -> None:
    rows: list[list[tuple[object, str]]] = []
    before = None
    for event in events:
        who = who_answered(event)
        if event["kind"] == "moved":
            # a move that nothing new led to keeps the reason of the one before
            said = word(texts, "reason", event["reason"]) if event["reason"] != before else ""
            state = (word(texts, "state", event["to"]), colour_of(event["to"]))
            rows.append([(moment(event["at"]), "soft"), state, (said, "")])
            before = event["reason"]
        elif event["kind"] == "approval" and who:
            rows.append([(moment(event["at"]), "soft"), (word(texts, "approval", event["to"]), ""), (who, "")])
    if rows:
        screen.heading(texts.say("page.history"))
        screen.table(rows)


def _labels(labels: Json) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= EVIDENCE else text[:EVIDENCE] + " …"
