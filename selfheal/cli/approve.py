"""`selfheal approve`: a person says yes to exactly the plan of one request. Needs the running remediator."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, print_json
from selfheal.cli.approvals import tell_request
from selfheal.cli.pause import current_user
from selfheal.cli.source import saying
from selfheal.common.flags import add_flag

name = "approve"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which one, and who says so."""
    parser.add_argument("id", metavar="ID", help=texts.say("cli.flag.approval_id"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Say yes; return 0 when it counts."""
    return answer(options, texts, "grant", {})


def answer(options: argparse.Namespace, texts: Catalog, way: str, more: Json) -> int:
    """Answer a request by `way`, bound to the plan as it is shown; tell what was answered. Raise Failed if it fails."""
    place = places.find(options.config_file, options.state, texts)
    with saying(place, texts) as source:
        asked = source.approval(options.id)
        if asked is None:
            raise Failed(texts.say("cli.approve.no_request", id=options.id))
        said = {"plan_hash": asked["plan_hash"], "who": options.who or current_user(), **more}
        found = source.answer(options.id, way, said)
    if options.json:
        print_json(found)
        return DONE
    tell_request(Screen(), found, texts)
    return DONE
