"""`selfheal trust`: what each playbook has earned: its mode, and how often what it did was proven to have helped."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator

from remediator.locale import Catalog
from remediator.locale.words import mode, moment
from remediator.model import Json, State, Verdict
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Screen, print_json
from selfheal.cli.source import Source, asking
from selfheal.cli.status import say_source

name = "trust"

PAGE = 500
PAGES = 20
"""How far back is counted: 10,000 remediations."""
HELPED = frozenset({State.SUCCEEDED.value, State.WATCHING.value})
DID_NOT = frozenset({State.FAILED.value, State.INEFFECTIVE.value, State.UNDONE.value})


def add_arguments(_parser: argparse.ArgumentParser, _texts: Catalog) -> None:
    """Add nothing: the common flags suffice."""


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """List what each playbook has earned; return 0."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        modes = source.status().get("playbooks") or {}
        items, counted, all_counted = count(source, modes)
    if options.json:
        print_json({"source": source.name, "counted": counted, "all_counted": all_counted, "items": items})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    heads: list[tuple[object, str]] = [
        (texts.say("cli.trust.playbook"), "soft"),
        (texts.say("cli.trust.mode"), "soft"),
        (texts.say("cli.trust.verified"), "soft"),
        (texts.say("cli.trust.not_proven"), "soft"),
        (texts.say("cli.trust.last"), "soft"),
    ]
    rows = [
        [
            (item["playbook"], "strong"),
            (mode(texts, item["mode"]), ""),
            (item["verified"], "good" if item["verified"] else ""),
            (item["not_proven"], "bad" if item["not_proven"] else ""),
            (moment(item["last_verified_at"]), "soft"),
        ]
        for item in items
    ]
    if not rows:
        screen.line(texts.say("page.nothing_done"))
        return DONE
    screen.table([heads, *rows])
    if not all_counted:
        screen.line(screen.paint(texts.say("cli.trust.counted", count=counted), "soft"))
    return DONE


def count(source: Source, modes: dict[str, str]) -> tuple[list[Json], int, bool]:
    """Return one item a playbook, how many remediations were counted, and whether those are all there are."""
    numbers: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, str] = {}
    counted, whole = 0, True
    for run, more in _runs(source):
        counted += 1
        whole = not more
        playbook = run["playbook"]
        # healed by itself, not asked, or settled by a person's word is no success of the playbook
        proven = run["verdict"] == Verdict.FIXED and run["reason"] != "outcome_unknown"
        if run["state"] in HELPED and proven:
            numbers[playbook]["verified"] += 1
            last.setdefault(playbook, run["verified_at"] or "")
        elif run["state"] in DID_NOT:
            numbers[playbook]["not_proven"] += 1
        else:
            numbers[playbook]["other"] += 1
    names = sorted({*modes, *numbers})
    items: list[Json] = [
        {
            "playbook": each,
            "mode": modes.get(each),
            "verified": numbers[each]["verified"],
            "not_proven": numbers[each]["not_proven"],
            "other": numbers[each]["other"],
            "last_verified_at": last.get(each),
        }
        for each in names
    ]
    return items, counted, whole


def _runs(source: Source) -> Iterator[tuple[Json, bool]]:
    """Yield the remediations, newest first, each with whether there are older ones than are looked at."""
    cursor: str | None = None
    for page_number in range(PAGES):
        page = source.remediations(PAGE, cursor)
        cursor = page["next"]
        for run in page["items"]:
            yield run, cursor is not None and page_number == PAGES - 1
        if cursor is None:
            return
