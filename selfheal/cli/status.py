"""`selfheal status`: the first thing to type: what is wrong, acting, waiting, paused, blind, and the modes."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.locale.words import fate, mode, moment, paused, where, why, word
from remediator.model import LIVE, Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Screen, colour_of, heads, print_json
from selfheal.cli.breaker import breaker_row
from selfheal.cli.source import Source, asking, say_source

name = "status"

SHOWN = 200
"""Alerts and remediations that are shown, at most; the others are counted."""


def add_arguments(_parser: argparse.ArgumentParser, _texts: Catalog) -> None:
    """Add nothing: the common flags suffice."""


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Show the state of the whole; return 0 when it could be asked."""
    place = places.find(options.config_file, options.state, texts)
    with asking(place, texts) as source:
        found = gather(source)
    if options.json:
        print_json({"source": source.name, "state_folder": str(place.state), **found})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    _show(screen, found, texts)
    return DONE


def gather(source: Source) -> Json:
    """Ask a source everything that status shows."""
    alerts = source.alerts(SHOWN, only_open=True)
    runs = source.remediations(SHOWN, only_open=True)
    return {
        **source.status(),
        "wrong": alerts["items"],
        "wrong_count": alerts["count"],
        "under_way": runs["items"],
        "under_way_count": runs["count"],
    }


def _show(screen: Screen, found: Json, texts: Catalog) -> None:
    _show_hindrances(screen, found, texts)
    wrong, under_way = found["wrong"], found["under_way"]
    left = sum(found["counts"].get(state, 0) for state in LIVE)
    if not wrong and left:
        screen.line(screen.paint(texts.say("page.not_over", count=left), "busy"))
    elif not wrong:
        # green only where it is known: neither blind nor read from a store that nobody writes
        screen.line(screen.paint(texts.say("page.all_quiet"), "good" if found["blind"] == [] else ""))
    else:
        screen.heading(texts.say("page.wrong_now"))
        screen.table(
            [
                [
                    (moment(alert["starts_at"]), "soft"),
                    (alert["alertname"], "strong"),
                    (where(alert), ""),
                    (fate(texts, alert), colour_of(alert["fate"])),
                    (word(texts, "reason", alert["reason"]), ""),
                ]
                for alert in wrong
            ],
            heads(texts, "since", "alert", "where", "fate", "reason"),
        )
        _show_more(screen, found["wrong_count"] - len(wrong), texts)
    if under_way:
        screen.heading(texts.say("cli.status.under_way"))
        screen.table(
            [
                [
                    (run["id"], ""),
                    (run["playbook"], "strong"),
                    (run["target"], ""),
                    (word(texts, "state", run["state"]), colour_of(run["state"])),
                    (why(texts, run), ""),
                ]
                for run in under_way
            ],
            heads(texts, "number", "playbook", "target", "state", "reason"),
        )
        _show_more(screen, found["under_way_count"] - len(under_way), texts)
    _show_limits(screen, found, texts)
    _show_counts(screen, found, texts)


def _show_more(screen: Screen, count: int, texts: Catalog) -> None:
    if count > 0:
        screen.line(screen.paint(texts.say("page.more", count=count), "soft"))


def _show_hindrances(screen: Screen, found: Json, texts: Catalog) -> None:
    for pause in found.get("pauses") or filter(None, [found["paused"]]):
        screen.line(screen.paint(paused(texts, pause), "busy"))
    if found["blind"]:
        screen.line(screen.paint(texts.say("page.blind", sources=", ".join(found["blind"])), "bad"))


def _show_limits(screen: Screen, found: Json, texts: Catalog) -> None:
    """Show what stays back for its past: open breakers, and what was healed too often."""
    if found.get("breakers"):
        screen.heading(texts.say("cli.status.breakers"))
        screen.table([breaker_row(breaker, texts) for breaker in found["breakers"]])
    if found.get("root_causes"):
        screen.heading(texts.say("cli.status.root_causes"))
        screen.table(
            [
                [
                    (each["playbook"], "strong"),
                    (each["target"], ""),
                    (texts.say("cli.status.healed", count=each["healed"]), "bad"),
                ]
                for each in found["root_causes"]
            ]
        )


def _show_counts(screen: Screen, found: Json, texts: Catalog) -> None:
    screen.heading(texts.say("cli.status.so_far"))
    rows = [(word(texts, "state", state), count) for state, count in found["counts"].items() if count]
    for text, count in rows:
        screen.line(f"  {screen.paint(text)}: {count}")
    if not rows:
        screen.line(f"  {screen.paint(texts.say('page.nothing_done'))}")
    highest = found.get("highest_mode")
    if highest:
        screen.heading(f"{texts.say('page.highest_mode')}: {mode(texts, highest)}")
    playbooks = found.get("playbooks") or {}
    screen.table([[(playbook, ""), (mode(texts, each), "soft")] for playbook, each in playbooks.items()])
