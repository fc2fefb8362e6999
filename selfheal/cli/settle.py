"""`selfheal settle`: a person says what became of a step whose outcome is unknown. Needs the running remediator."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from remediator.locale import Catalog
from remediator.locale.words import word
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, USAGE, Failed, Screen, colour_of, print_json
from selfheal.cli.pause import current_user
from selfheal.cli.source import ApiSource, saying
from selfheal.common.flags import add_flag

name = "settle"

WAYS = ("done", "not-done", "give-up")


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which one, and what became of it."""
    parser.add_argument("id", metavar="ID", help=texts.say("cli.flag.run_id"))
    add_flag(parser, "--as", dest="how", choices=WAYS, help=texts.say("cli.flag.as"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Settle; return 0 when the remediator took it, 1 when there was nothing to settle."""
    if options.how not in WAYS:
        raise Failed(texts.say("cli.settle.how_needed", ways=", ".join(WAYS)), USAGE)
    who = options.who or current_user()
    return say_of_a_run(options, texts, lambda source: source.settle(options.id, options.how, who), "cli.settle.taken")


def say_of_a_run(options: argparse.Namespace, texts: Catalog, say: Callable[[ApiSource], Json], taken: str) -> int:
    """Say something of the remediation `options.id` to the running remediator and print what it is then.

    `taken` is the key of what follows from it where the remediation has not ended by it.
    """
    place = places.find(options.config_file, options.state, texts)
    with saying(place, texts, texts.say("cli.no_run", id=options.id)) as source:
        found = say(source)
    if options.json:
        print_json(found)
        return DONE
    screen = Screen()
    state = screen.paint(word(texts, "state", found["state"]), colour_of(found["state"]))
    screen.line(f"{texts.say('page.run', id=found['id'])}: {state}")
    if not found["ended_at"]:
        screen.line(screen.paint(texts.say(taken), "soft"))
    return DONE
