"""`selfheal resume`: ends a pause by removing its file; works with a stopped daemon too."""

from __future__ import annotations

import argparse

from remediator import pause
from remediator.locale import Catalog
from remediator.locale.words import paused
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, print_json
from selfheal.cli.pause import add_scope, current_user, scope_of
from selfheal.cli.stored import paused_now
from selfheal.common.flags import add_flag

name = "resume"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what is resumed, and who says so."""
    add_scope(parser, texts)
    add_flag(parser, "--all", action="store_true", default=False, help=texts.say("cli.flag.all_pauses"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Resume, and say what is paused still; return 0 also when nothing was paused."""
    place = places.find(options.config_file, options.state, texts)
    wanted = pause.path_of(place.state, scope_of(options))
    ended = []
    try:
        for file in pause.every(place.state) if options.all else [wanted]:
            if pause.clear(file):
                ended.append(file)
                pause.sign(place.state, str(file.relative_to(place.state)), options.who or current_user())
    except OSError as error:
        raise Failed(texts.say("cli.pause.cannot", state=place.state, error=error)) from error
    left = paused_now(place)
    if options.json:
        print_json({**left, "was_paused": bool(ended)})
        return DONE
    screen = Screen()
    screen.line(screen.paint(texts.say("cli.resume.done" if ended else "cli.resume.was_not"), "good"))
    for each in left["pauses"]:
        screen.line(screen.paint(paused(texts, each), "busy"))
    return DONE
