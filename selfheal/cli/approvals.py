"""`selfheal approvals`: what waits for a person's yes or no, with everything one must see to say it."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.locale.plans import notes
from remediator.locale.words import item, moment, word
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Screen, print_json
from selfheal.cli.runs import limit
from selfheal.cli.source import asking, say_source
from selfheal.common.flags import add_flag

name = "approvals"

ITEMS = 10
"""Things of a plan that are shown; the rest are counted, and `--json` has all."""
_COLOURS = {"open": "busy", "granted": "good", "used": "good", "refused": "bad"}


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which ones to list."""
    add_flag(parser, "--all", action="store_true", default=False, help=texts.say("cli.flag.all_approvals"))
    add_flag(parser, "--limit", type=limit, default=20, metavar="N", help=texts.say("cli.flag.limit"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """List them; return 0."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        answer = source.approvals(options.limit, None if options.all else "open")
    if options.json:
        print_json({"source": source.name, **answer})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    if not answer["items"]:
        screen.line(texts.say("cli.approvals.none"))
    for request in answer["items"]:
        tell_request(screen, request, texts)
    return DONE


def tell_request(screen: Screen, request: Json, texts: Catalog) -> None:
    """Tell one request: what would be done to what, until when it may be answered, and what was said."""
    state = screen.paint(word(texts, "approval", request["state"]), _COLOURS.get(request["state"], ""))
    screen.heading(texts.say("cli.approvals.request", id=request["id"]))
    screen.line(f"  {screen.paint(request['playbook'])} → {screen.paint(request['target'])}: {state}")
    who = " – ".join(filter(None, (request["who"], request["why"])))
    screen.table(
        [
            [(title, "soft"), (value, "")]
            for title, value in (
                (texts.say("page.alert"), request["alert"]["alertname"]),
                (texts.say("page.run", id=request["remediation_id"]), moment(request["requested_at"])),
                (texts.say("cli.approvals.until"), moment(request["expires_at"])),
                (texts.say("cli.approvals.answered"), " ".join(filter(None, (moment(request["decided_at"]), who)))),
                (texts.say("cli.approvals.link"), _link(request)),
            )
            if value
        ]
    )
    for step in request["steps"]:
        arguments = ", ".join(f"{key}: {value}" for key, value in step["arguments"].items() if value is not None)
        effect = word(texts, "effect", step["effect"])
        screen.line(f"  {screen.paint(step['action'], 'strong')} ({screen.paint(effect)}) {screen.paint(arguments)}")
    tell_plan(screen, request["plan"], texts)


def _link(request: Json) -> str:
    # a link that was answered, or is over, leads nowhere
    return (request.get("link") or "") if request["state"] == "open" else ""


def tell_plan(screen: Screen, plan: Json | None, texts: Catalog) -> None:
    """Tell what a plan would touch, what it leaves out and what its dry run wrote."""
    items = (plan or {}).get("items", [])
    for each in items[:ITEMS]:
        screen.line(f"    {screen.paint(item(texts, each))}")
    if len(items) > ITEMS:
        screen.line(f"    {screen.paint(texts.say('page.more', count=len(items) - ITEMS), 'soft')}")
    for line in notes(texts, plan):
        screen.line(f"    {screen.paint(line, 'soft')}")
