"""The command line: a literal table of commands, one file each. This package alone may see every other one.

A command is a module with a `name` and two functions:
`add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None` adds its flags, and
`run(options: argparse.Namespace, texts: Catalog) -> int` does the work and returns the exit code.
Its help comes from the locale: `cli.<name>.summary`, `cli.<name>.description` and `cli.<name>.examples`.
The flags `--config.file`, `--state`, `--json` and `--lang` are added here for all of them and are always there, as
`options.config_file`, `options.state`, `options.json` and `options.lang`. Only `up`, which makes the place that the
others look for, has flags of its own throughout: `build_parser(texts)` makes its parser, and `run(options) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from remediator.locale import LANGUAGES, Catalog, catalog, pick_language
from selfheal import __version__
from selfheal.cli.answers import FAILED, USAGE, Failed, tell_failure
from selfheal.cli.parser import indented, make_parser
from selfheal.common.flags import add_flag, variable_of

COMMANDS = {
    "up": "selfheal.cli.up",
    "serve": "selfheal.cli.serve",
    "check": "selfheal.cli.check",
    "status": "selfheal.cli.status",
    "why": "selfheal.cli.why",
    "runs": "selfheal.cli.runs",
    "show": "selfheal.cli.show",
    "playbooks": "selfheal.cli.playbooks",
    "trust": "selfheal.cli.trust",
    "audit": "selfheal.cli.audit",
    "selftest": "selfheal.cli.selftest",
    "completion": "selfheal.cli.completion",
    "pause": "selfheal.cli.pause",
    "resume": "selfheal.cli.resume",
    "settle": "selfheal.cli.settle",
    "cancel": "selfheal.cli.cancel",
    "approvals": "selfheal.cli.approvals",
    "approve": "selfheal.cli.approve",
    "refuse": "selfheal.cli.refuse",
    "run": "selfheal.cli.run",
    "replay": "selfheal.cli.replay",
    "breaker": "selfheal.cli.breaker",
    "key": "selfheal.cli.key",
}
"""Every command and its module; only the one that is asked for is imported."""

OWN_PARSER = frozenset({"up"})
"""Commands that bring their own parser."""

INTERRUPTED = 130


class Command(Protocol):
    """A module in this folder."""

    name: str

    def add_arguments(self, parser: argparse.ArgumentParser, texts: Catalog) -> None:
        """Add the command's own flags."""
        ...

    def run(self, options: argparse.Namespace, texts: Catalog) -> int:
        """Do the work; return the exit code. Raise Failed with what to tell the person."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Given the arguments (the program's own when None), run the command they name and return the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    texts = catalog(language_of(given, os.environ))
    words = [word for word in given if not word.startswith("-")]
    chosen = next((word for word in words if word in COMMANDS), words[0] if words else None)
    if not given or given[0] != chosen or chosen not in COMMANDS:
        return _no_command(given, chosen, texts)
    if chosen in OWN_PARSER:
        return _run_own(chosen, given[1:], texts)
    command = load(chosen)
    options = build_parser(command, texts).parse_args(given[1:])
    try:
        return command.run(options, texts)
    except Failed as failure:
        tell_failure(failure, options.json)
        return failure.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # the reader (`| head`) has seen enough; what is still buffered must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def load(name: str) -> Command:
    """Given a command of the table, import and return its module."""
    return cast(Command, importlib.import_module(COMMANDS[name]))


def build_parser(command: Command, texts: Catalog) -> argparse.ArgumentParser:
    """Given a command, return its parser with the common flags and its own."""
    parser = make_parser(
        f"selfheal {command.name}",
        texts.say(f"cli.{command.name}.description"),
        f"{texts.say('cli.examples')}\n{indented(texts.say(f'cli.{command.name}.examples'))}",
        texts,
    )
    command.add_arguments(parser, texts)
    common = parser.add_argument_group(texts.say("cli.common"))
    add_flag(common, "--config.file", dest="config_file", metavar="FILE", help=texts.say("cli.flag.config_file"))
    add_flag(common, "--state", metavar="FOLDER", help=texts.say("cli.flag.state"))
    add_flag(common, "--json", action="store_true", default=False, help=texts.say("cli.flag.json"))
    add_flag(common, "--lang", choices=LANGUAGES, help=texts.say("cli.flag.lang"))
    return parser


def _run_own(name: str, given: Sequence[str], texts: Catalog) -> int:
    module = importlib.import_module(COMMANDS[name])
    code: int = module.run(module.build_parser(texts).parse_args(given))
    return code


def build_top_parser(texts: Catalog) -> argparse.ArgumentParser:
    """Return the parser of `selfheal` itself, whose help lists the commands."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"{name:<{width}}  {texts.say(f'cli.{name}.summary')}" for name in COMMANDS]
    listing = f"{texts.say('cli.commands')}\n{indented(chr(10).join(lines))}\n\n{texts.say('cli.more')}"
    parser = make_parser("selfheal", texts.say("cli.description"), listing, texts)
    parser.add_argument("--version", action="version", version=f"selfheal {__version__}")
    add_flag(parser, "--lang", choices=LANGUAGES, help=texts.say("cli.flag.lang"))
    parser.add_argument("command", metavar=texts.say("cli.command"), help=texts.say("cli.command_help"))
    return parser


def language_of(given: Sequence[str], environment: Mapping[str, str]) -> str:
    """Given the arguments and the environment, return the language, before anything is parsed.

    A language that does not exist is left for the parser to refuse, in the locale's language.
    """
    wanted = environment.get(variable_of("--lang"), "")
    for index, word in enumerate(given):
        if word.startswith("--lang="):
            wanted = word.partition("=")[2]
        elif word == "--lang" and index + 1 < len(given):
            wanted = given[index + 1]
    return pick_language(wanted if wanted in LANGUAGES else None, environment)


def _no_command(given: Sequence[str], chosen: str | None, texts: Catalog) -> int:
    parser = build_top_parser(texts)
    if not given:
        parser.print_help()
        return USAGE
    if given[0] == chosen:
        parser.error(texts.say("cli.unknown_command", command=chosen, commands=", ".join(COMMANDS)))
    if chosen in COMMANDS:
        # `selfheal --lang ko status` and the like: say where flags go instead of guessing
        parser.error(texts.say("cli.command_first", command=chosen))
    parser.parse_args(given)
    return USAGE
