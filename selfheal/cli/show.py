"""`selfheal show`: one remediation from beginning to end."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, print_json
from selfheal.cli.source import asking, say_source
from selfheal.cli.story import tell_remediation

name = "show"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which one."""
    parser.add_argument("id", metavar="ID", help=texts.say("cli.flag.run_id"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Show it; return 0, or 1 if there is no such remediation."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        found = source.remediation(options.id)
    if found is None:
        raise Failed(texts.say("cli.no_run", id=options.id))
    if options.json:
        print_json({"source": source.name, **found})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    tell_remediation(screen, found, texts)
    return DONE
