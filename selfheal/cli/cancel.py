"""`selfheal cancel`: a person calls a remediation off before its next effect. Needs the running remediator."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from selfheal.cli.pause import current_user
from selfheal.cli.settle import say_of_a_run
from selfheal.common.flags import add_flag

name = "cancel"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which one."""
    parser.add_argument("id", metavar="ID", help=texts.say("cli.flag.run_id"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Call it off; return 0 when the remediator took it, 1 when there was nothing left to call off."""
    who = options.who or current_user()
    return say_of_a_run(options, texts, lambda source: source.cancel(options.id, who), "cli.cancel.taken")
