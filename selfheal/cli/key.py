"""`selfheal key`: makes a key for the API, which is shown once, and lists those there are; no daemon is needed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from remediator.locale import Catalog
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, NOTHING_TO_ASK, USAGE, Failed, Screen, print_json
from selfheal.common.flags import add_flag
from selfheal.common.keys import Role, add_key, read_keys

name = "key"

VERBS = ("list", "new")


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to do, and for whom."""
    parser.add_argument("verb", choices=VERBS, help=texts.say("cli.flag.key_verb"))
    parser.add_argument("name", metavar="NAME", nargs="?", help=texts.say("cli.flag.key_name"))
    roles = tuple(role.value for role in Role)
    add_flag(parser, "--role", choices=roles, default=Role.VIEWER.value, help=texts.say("cli.flag.role"))
    add_flag(parser, "--keys-file", dest="keys_file", metavar="FILE", default="", help=texts.say("cli.flag.keys_file"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Make a key or list them; return 0 when that was done."""
    if (options.name is None) is (options.verb == "new"):
        raise Failed(texts.say("cli.key.name_needed" if options.verb == "new" else "cli.key.no_name"), USAGE)
    path = Path(options.keys_file) if options.keys_file else _configured(options, texts)
    try:
        if options.verb == "new":
            return _new(options, path, texts)
        return _list(options, path)
    except (ValueError, OSError) as error:
        raise Failed(str(error)) from error


def _new(options: argparse.Namespace, path: Path, texts: Catalog) -> int:
    key = add_key(path, options.name, Role(options.role))
    if options.json:
        print_json({"name": options.name, "role": options.role, "key": key, "keys_file": str(path)})
        return DONE
    screen = Screen()
    # the key alone on its line, so that it can be taken by a program
    screen.line(key)
    screen.line(screen.paint(texts.say("cli.key.once", name=options.name, role=options.role, path=path), "soft"))
    return DONE


def _list(options: argparse.Namespace, path: Path) -> int:
    keys = read_keys(path)
    if options.json:
        print_json({"keys": [{"name": key.name, "role": key.role.value} for key in keys], "keys_file": str(path)})
        return DONE
    Screen().table([[(key.name, ""), (key.role.value, "soft")] for key in keys])
    return DONE


def _configured(options: argparse.Namespace, texts: Catalog) -> Path:
    """Return the file that the configuration names; a mistake elsewhere in it keeps nobody from making a key."""
    config = places.find(options.config_file, options.state, texts).config
    try:
        document: Any = None if config is None else yaml.safe_load(config.read_text("utf-8"))
        written = document["api"]["keys_file"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        written = None
    if config is None or not isinstance(written, str):
        raise Failed(texts.say("cli.key.no_file"), NOTHING_TO_ASK)
    return config.parent / written
