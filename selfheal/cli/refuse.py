"""`selfheal refuse`: a person says no to a request; what asked for it is called off. Needs the running remediator."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from selfheal.cli.answers import USAGE, Failed
from selfheal.cli.approve import answer
from selfheal.common.flags import add_flag

name = "refuse"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which one, why, and who says so."""
    parser.add_argument("id", metavar="ID", help=texts.say("cli.flag.approval_id"))
    add_flag(parser, "--why", metavar="TEXT", default="", help=texts.say("cli.flag.why_not"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Say no; return 0 when it counts."""
    if not options.why:
        raise Failed(texts.say("cli.refuse.why_needed"), USAGE)
    return answer(options, texts, "refuse", {"why": options.why})
