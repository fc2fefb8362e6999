"""`selfheal pause`: no new effect from now on. It writes the pause files itself, so a hung daemon is no obstacle."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
from collections.abc import Callable

from remediator import pause
from remediator.locale import Catalog
from remediator.locale.words import moment
from remediator.model import Pause, Scope
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, USAGE, Failed, Screen, print_json
from selfheal.cli.source import modes_in_force
from selfheal.cli.stored import paused_now
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag

name = "pause"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what, why, for how long and how hard."""
    add_scope(parser, texts)
    add_flag(parser, "--why", metavar="TEXT", default="", help=texts.say("cli.flag.why"))
    add_flag(parser, "--for", dest="span", type=duration, metavar="DURATION", help=texts.say("cli.flag.for"))
    add_flag(parser, "--hard", action="store_true", default=False, help=texts.say("cli.flag.hard"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog, clock: Clock | None = None) -> int:
    """Pause; return 0 when the pause is in force."""
    place = places.find(options.config_file, options.state, texts)
    until = None if options.span is None else (clock or SystemClock()).now() + options.span
    scope = scope_of(options)
    wanted = Pause(options.who or current_user(), options.why, until, options.hard, scope)
    try:
        place.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = pause.write(pause.path_of(place.state, scope), wanted)
    except OSError as error:
        raise Failed(texts.say("cli.pause.cannot", state=place.state, error=error)) from error
    found = paused_now(place)
    if options.json:
        print_json(found)
        return DONE
    screen = Screen()
    if not whole:
        screen.line(screen.paint(texts.say("cli.pause.bare"), "busy"))
    file = str(pause.path_of(place.state, scope).relative_to(place.state))
    ends = next((moment(each["until"]) for each in found["pauses"] if each["file"] == file), "")
    resume = " ".join(["selfheal resume", *_flags(scope)])
    key = "cli.pause.until" if ends else "cli.pause.open"
    screen.line(screen.paint(texts.say(key, until=ends, resume=resume), "busy"))
    known = modes_in_force(place) if scope.playbook else None
    if known and scope.playbook not in known:
        screen.line(screen.paint(texts.say("cli.pause.unknown_playbook", playbook=scope.playbook), "busy"))
    if options.hard:
        screen.line(screen.paint(texts.say("page.paused_hard")))
    return DONE


def add_scope(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which playbook and which target."""
    add_flag(parser, "--playbook", metavar="NAME", default="", help=texts.say("cli.flag.only_playbook"))
    add_flag(parser, "--target", metavar="TARGET", default="", help=texts.say("cli.flag.only_target"))


def scope_of(options: argparse.Namespace) -> Scope:
    """Return what the flags name; neither is everything. Raise Failed if it can be no playbook or no target."""
    scope = Scope(options.playbook, options.target)
    problem = pause.scope_problem(scope)
    if problem is not None:
        raise Failed(problem, USAGE)
    return scope


def _flags(scope: Scope) -> list[str]:
    given = {"--playbook": scope.playbook, "--target": scope.target}
    return [f"{flag} {shlex.quote(value)}" for flag, value in given.items() if value]


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
