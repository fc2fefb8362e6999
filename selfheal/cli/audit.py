"""`selfheal audit`: is the history unaltered, and the history itself; from the store, whether or not a daemon runs."""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path

from remediator.errors import RemediatorError
from remediator.locale import Catalog
from remediator.locale.words import word
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, FAILED, NOTHING_TO_ASK, Failed, Screen, print_json
from selfheal.cli.place import STORE
from selfheal.common.clock import from_rfc3339
from selfheal.common.flags import add_flag

name = "audit"

WHATS = ("verify", "export")


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to do, and of an export how much."""
    parser.add_argument("what", choices=WHATS, metavar="verify|export", help=texts.say("cli.flag.audit"))
    add_flag(parser, "--expect", metavar="ID:HASH", action="append", type=_head, help=texts.say("cli.flag.expect"))
    add_flag(parser, "--from", dest="first", metavar="ID|TIME", type=_place, help=texts.say("cli.flag.audit_from"))
    add_flag(parser, "--to", dest="last", metavar="ID|TIME", type=_place, help=texts.say("cli.flag.audit_to"))
    add_flag(parser, "--format", choices=("jsonl",), default="jsonl", help=texts.say("cli.flag.audit_format"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Verify or export; return 0, or 1 when the history was altered."""
    place = places.find(options.config_file, options.state, texts)
    if not (place.state / STORE).exists():
        raise Failed(texts.say("cli.no_store", state=place.state), NOTHING_TO_ASK)
    try:
        if options.what == "export":
            return _export(place.state, options)
        return _verify(place.state, options, texts)
    except (RemediatorError, sqlite3.Error, OSError, ValueError) as error:
        raise Failed(texts.say("cli.store_unreadable", state=place.state, error=str(error)), NOTHING_TO_ASK) from error


def _verify(state: Path, options: argparse.Namespace, texts: Catalog) -> int:
    from remediator.store import Reader
    from remediator.store.audit import read_head
    from remediator.store.chain import Position

    # before the store: what is appended between the two must not look like something that is missing
    known = read_head(state)
    heads = [Position(*each) for each in options.expect or ()] + ([known] if known is not None else [])
    with Reader.open(state) as reader:
        found = reader.audit_verify(heads)
    if options.json:
        print_json(found.to_json())
        return DONE if found.ok else FAILED
    screen = Screen()
    if found.ok:
        screen.line(screen.paint(texts.say("cli.audit.whole", count=found.checked), "good"))
    else:
        said = word(texts, "audit", found.problem)
        screen.line(screen.paint(texts.say("cli.audit.broken", id=found.first_bad, problem=said), "bad"))
    if found.unchained:
        screen.line(texts.say("cli.audit.unchained", count=found.unchained))
    elif found.begins_after:
        screen.line(texts.say("cli.audit.begins", id=found.begins_after))
    if found.ok:
        if known is None:
            screen.line(screen.paint(texts.say("cli.audit.no_head"), "busy"))
        screen.line(texts.say("cli.audit.head", head=f"{found.head.id}:{found.head.hash.hex()}"))
    return DONE if found.ok else FAILED


def _export(state: Path, options: argparse.Namespace) -> int:
    from remediator.store import Reader

    with Reader.open(state) as reader:
        first = reader.audit_id(options.first, 0)
        last = None if options.last is None else reader.audit_id(options.last, None, end=True)
        lines = reader.audit_lines(first or 0, last)
        if options.json:
            print_json({"entries": [json.loads(line) for line in lines]})
            return DONE
        for line in lines:
            print(line)
    return DONE


def _head(text: str) -> tuple[int, bytes]:
    id, _, hash = text.partition(":")
    try:
        return int(id), bytes.fromhex(hash)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: ID:HASH") from error


def _place(text: str) -> int | float:
    """Given an event's id or a time, return a whole number for the one and seconds since the epoch for the other."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: 17, 2026-01-31T00:00:00Z") from error
