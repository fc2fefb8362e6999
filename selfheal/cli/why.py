"""`selfheal why`: why something happened, or did not: the last alerts with their fate, or one of them in full."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.locale.words import fate, moment, where, word
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, colour_of, heads, print_json
from selfheal.cli.source import Source, asking, say_source
from selfheal.cli.story import tell_alert, tell_remediation

name = "why"

LISTED = 10
PAGE = 500
PAGES = 20
"""How far back a name or fingerprint is looked for: 10,000 alerts."""


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to explain."""
    parser.add_argument("what", nargs="?", metavar="WHAT", help=texts.say("cli.flag.what"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Explain; return 0, or 1 if nothing by that name is known."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        if options.what is None:
            answer: Json = {"items": source.alerts(LISTED)["items"]}
        else:
            alert, remediation = explain(source, options.what)
            if alert is None and remediation is None:
                raise Failed(texts.say("cli.why.not_found", what=options.what))
            answer = {"alert": alert, "remediation": remediation}
    if options.json:
        print_json({"source": source.name, **answer})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    if options.what is None:
        _list(screen, answer["items"], texts)
        return DONE
    if answer["alert"] is not None:
        tell_alert(screen, answer["alert"], texts)
    if answer["remediation"] is not None:
        tell_remediation(screen, answer["remediation"], texts)
    return DONE


def explain(source: Source, what: str) -> tuple[Json | None, Json | None]:
    """Given a remediation's id, an alert's name or its fingerprint, return the latest alert and remediation it means.

    A fingerprint of digits only is told from an id by its length.
    """
    if not what:
        # a malformed alert has neither name nor fingerprint; nothing is no way to ask for it
        return None, None
    if what.isascii() and what.isdigit() and len(what) < 16:
        remediation = source.remediation(what)
        if remediation is not None:
            return _alert(source, "fingerprint", remediation["alert"]["fingerprint"], what), remediation
    alert = _alert(source, "fingerprint", what) or _alert(source, "alertname", what)
    if alert is None or alert["remediation_id"] is None:
        return alert, None
    return alert, source.remediation(str(alert["remediation_id"]))


def _alert(source: Source, key: str, value: str, remediation: str | None = None) -> Json | None:
    cursor: str | None = None
    for _ in range(PAGES):
        page = source.alerts(PAGE, cursor)
        for alert in page["items"]:
            if alert[key] == value and remediation in (None, alert["remediation_id"]):
                found: Json = alert
                return found
        cursor = page["next"]
        if cursor is None:
            break
    return None


def _list(screen: Screen, items: list[Json], texts: Catalog) -> None:
    if not items:
        screen.line(texts.say("cli.why.none"))
        return
    screen.table(
        [
            [
                (moment(alert["received_at"]), "soft"),
                (alert["alertname"] or texts.say("cli.why.nameless"), "strong"),
                (where(alert), ""),
                (word(texts, "alert_status", alert["status"]), ""),
                (fate(texts, alert), colour_of(alert["fate"])),
                (word(texts, "reason", alert["reason"]), ""),
            ]
            for alert in items
        ],
        heads(texts, "when", "alert", "where", "state", "fate", "reason"),
    )
    screen.line()
    screen.line(screen.paint(texts.say("cli.why.more"), "soft"))
