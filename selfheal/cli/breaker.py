"""`selfheal breaker`: the circuit breakers, and a person's reset of one. A reset needs the running remediator."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.locale.words import moment, word
from remediator.model import BreakerState, Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, USAGE, Failed, Screen, print_json
from selfheal.cli.pause import current_user
from selfheal.cli.source import asking, say_source, saying
from selfheal.common.flags import add_flag

name = "breaker"

LIST, RESET = "list", "reset"
COLOURS = {BreakerState.OPEN: "bad", BreakerState.HALF_OPEN: "busy"}


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to do, with which breaker, and why."""
    said = texts.say("cli.breaker.action")
    parser.add_argument("action", nargs="?", choices=(LIST, RESET), default=LIST, metavar="list|reset", help=said)
    parser.add_argument("breaker", nargs="?", metavar="NAME", help=texts.say("cli.breaker.breaker"))
    add_flag(parser, "--why", metavar="TEXT", default="", help=texts.say("cli.breaker.why"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """List or reset; return 0, or 1 when that breaker is not open."""
    place = places.find(options.config_file, options.state, texts)
    if options.action == RESET:
        return _reset(options, place, texts)
    with asking(place, texts) as source:
        found = source.breakers()
    if options.json:
        print_json({"source": source.name, "items": found})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    if not found:
        screen.line(texts.say("cli.breaker.none"))
    screen.table([breaker_row(breaker, texts) for breaker in found])
    return DONE


def breaker_row(breaker: Json, texts: Catalog) -> list[tuple[object, str]]:
    """Given a breaker of the API, return its row: name, state, what opened it, and what comes or came next."""
    state = breaker["state"]
    counted = texts.say("cli.breaker.counted", failed=breaker["failed"], ended=breaker["ended"])
    return [
        (breaker["name"], "strong"),
        (word(texts, "breaker_state", state), COLOURS.get(state, "")),
        ("" if state == BreakerState.CLOSED else counted, ""),
        (_next(breaker, texts), "soft"),
    ]


def _next(breaker: Json, texts: Catalog) -> str:
    if breaker["trial"]:
        return texts.say("cli.breaker.trial", id=breaker["trial"])
    if breaker["tries_at"]:
        return texts.say("cli.breaker.tries_at", moment=moment(breaker["tries_at"]))
    if breaker["who"]:
        return texts.say("cli.breaker.by", who=breaker["who"], why=breaker["why"] or "-")
    return ""


def _reset(options: argparse.Namespace, place: places.Place, texts: Catalog) -> int:
    if not options.breaker:
        raise Failed(texts.say("cli.breaker.name_needed"), USAGE)
    if not options.why.strip():
        raise Failed(texts.say("cli.breaker.why_needed"), USAGE)
    with saying(place, texts) as source:
        found = source.reset_breaker(options.breaker, options.why, options.who or current_user())
    if options.json:
        print_json(found)
        return DONE
    screen = Screen()
    screen.line(screen.paint(texts.say("cli.breaker.was_reset", name=options.breaker), "good"))
    return DONE
