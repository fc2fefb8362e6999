"""`selfheal pause`: no new effect from now on. It writes the pause file itself, so a hung daemon is no obstacle."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable

from remediator import pause
from remediator.locale import Catalog
from remediator.locale.words import moment
from remediator.model import Pause
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Failed, Screen, print_json
from selfheal.cli.source import paused_now
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag

name = "pause"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add why, for how long and how hard."""
    add_flag(parser, "--why", metavar="TEXT", default="", help=texts.say("cli.flag.why"))
    add_flag(parser, "--for", dest="span", type=duration, metavar="DURATION", help=texts.say("cli.flag.for"))
    add_flag(parser, "--hard", action="store_true", default=False, help=texts.say("cli.flag.hard"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog, clock: Clock | None = None) -> int:
    """Pause; return 0 when the pause is in force."""
    place = places.find(options.config_file, options.state, texts)
    until = None if options.span is None else (clock or SystemClock()).now() + options.span
    wanted = Pause(options.who or current_user(), options.why, until, options.hard)
    try:
        place.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = pause.write(place.state / pause.NAME, wanted)
    except OSError as error:
        raise Failed(texts.say("cli.pause.cannot", state=place.state, error=error)) from error
    found = paused_now(place)
    if options.json:
        print_json({"paused": found})
        return DONE
    screen = Screen()
    if not whole:
        screen.line(screen.paint(texts.say("cli.pause.bare"), "busy"))
    ends = moment(found["until"]) if found and found["until"] else ""
    said = texts.say("cli.pause.until", until=ends) if ends else texts.say("cli.pause.open")
    screen.line(screen.paint(said, "busy"))
    if options.hard:
        screen.line(screen.paint(texts.say("page.paused_hard")))
    return DONE


def duration(text: str) -> float:
    """Given a duration as written, return seconds. Raise ArgumentTypeError if it is none, or 0."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all")
    return seconds


def current_user(ask: Callable[[], str] = getpass.getuser) -> str:
    """Return the name of the person at the keyboard, behind sudo too; the uid where there is no name."""
    if os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return ask()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
