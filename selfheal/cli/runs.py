"""`selfheal runs`: the latest remediations as a list, or one of them in full."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from remediator.locale import Catalog
from remediator.locale.words import moment, why, word
from remediator.model import Json, State
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, FAILED, Failed, Screen, colour_of, heads, print_json
from selfheal.cli.source import asking, say_source
from selfheal.cli.story import tell_remediation
from selfheal.common.flags import add_flag

name = "runs"

MOST = 500


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which ones to list."""
    parser.add_argument("id", nargs="?", metavar="ID", help=texts.say("cli.flag.run_id"))
    states = tuple(state.value for state in State)
    said = texts.say("cli.flag.in_state", states=", ".join(states))
    add_flag(parser, "--in", dest="in_state", choices=states, metavar="STATE", help=said)
    add_flag(parser, "--limit", type=limit, default=20, metavar="N", help=texts.say("cli.flag.limit"))


def limit(text: str) -> int:
    """Given how many to list as written, return the number. Raise ArgumentTypeError if it is not from 1 to 500."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: 1-{MOST}")
    return int(text)


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Show the list or the one; return 0, or 1 if there is no such remediation."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        if options.id is None:
            answer = source.remediations(options.limit, state=options.in_state)
        else:
            found = source.remediation(options.id)
            if found is None:
                raise Failed(texts.say("cli.no_run", id=options.id), FAILED)
            answer = found
    if options.json:
        print_json({"source": source.name, **answer})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    if options.id is not None:
        tell_remediation(screen, answer, texts)
    else:
        _list(screen, answer["items"], texts)
    return DONE


def _list(screen: Screen, items: Sequence[Json], texts: Catalog) -> None:
    if not items:
        screen.line(texts.say("page.nothing_done"))
        return
    screen.table(
        [
            [
                (item["id"], ""),
                (moment(item["created_at"]), "soft"),
                (item["alert"]["alertname"], ""),
                (item["playbook"], "strong"),
                (item["target"], ""),
                (word(texts, "state", item["state"]), colour_of(item["state"])),
                (why(texts, item), ""),
            ]
            for item in items
        ],
        heads(texts, "number", "when", "alert", "playbook", "target", "state", "reason"),
    )
