"""`selfheal resume`: ends a pause by removing the pause file; works with a stopped daemon too."""

from __future__ import annotations

import argparse

from remediator import pause
from remediator.locale import Catalog
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, print_json

name = "resume"


def add_arguments(_parser: argparse.ArgumentParser, _texts: Catalog) -> None:
    """Add nothing: the common flags suffice."""


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Resume; return 0 also when nothing was paused."""
    place = places.find(options.config_file, options.state, texts)
    try:
        was_paused = pause.clear(place.state / pause.NAME)
    except OSError as error:
        raise Failed(texts.say("cli.pause.cannot", state=place.state, error=error)) from error
    if options.json:
        print_json({"paused": None, "was_paused": was_paused})
        return DONE
    screen = Screen()
    screen.line(screen.paint(texts.say("cli.resume.done" if was_paused else "cli.resume.was_not"), "good"))
    return DONE
