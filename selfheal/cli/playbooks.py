"""`selfheal playbooks`: which there are, what starts them, how far they may go, and which are in force."""

from __future__ import annotations

import argparse
from pathlib import Path

from remediator.locale import Catalog
from remediator.locale.words import mode
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, NOTHING_TO_ASK, Failed, Screen, heads, print_json
from selfheal.cli.source import modes_in_force
from selfheal.common.problems import ConfigError

name = "playbooks"


def add_arguments(_parser: argparse.ArgumentParser, _texts: Catalog) -> None:
    """Add nothing: the common flags suffice."""


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """List them; return 0 when there was something to ask."""
    place = places.find(options.config_file, options.state, texts)
    in_force = modes_in_force(place)
    written = _written(place.config, texts) if place.config is not None else {}
    if in_force is None and not written:
        raise Failed(texts.say("cli.playbooks.none", state=place.state), NOTHING_TO_ASK)
    items = [_item(each, written.get(each), in_force) for each in sorted({*written, *(in_force or {})})]
    if options.json:
        print_json({"source": "files" if in_force is None else "api", "items": items})
        return DONE
    screen = Screen()
    if in_force is None:
        screen.line(screen.paint(texts.say("cli.playbooks.from_files"), "busy"))
    columns = [*heads(texts, "playbook", "alert", "mode", "steps"), texts.say("page.title")]
    screen.table([_row(item, texts) for item in items], columns)
    return DONE


def _written(config: Path, texts: Catalog) -> dict[str, Json]:
    # reading them strictly loads what only this and `check` need
    from remediator.config.reading import load
    from remediator.model import Mode
    from remediator.playbooks.loader import load_playbooks

    order = list(Mode)
    try:
        read = load(config)
        found = load_playbooks(read.playbooks, read.limits)
    except ConfigError as error:
        said = "\n".join(str(problem) for problem in error.problems)
        raise Failed(texts.say("cli.playbooks.broken", problems=said)) from error
    return {
        playbook.name: {
            "title": dict(playbook.title),
            "alert": playbook.trigger.alert,
            "mode": min(playbook.mode, read.highest_mode, key=order.index).value,
            "steps": [step.action for step in playbook.steps],
            "source": playbook.source,
        }
        for playbook in found
    }


def _item(name: str, written: Json | None, in_force: dict[str, str] | None) -> Json:
    item: Json = {"name": name, "in_force": None if in_force is None else name in in_force, **(written or {})}
    if in_force is not None and name in in_force:
        item["mode"] = in_force[name]
    return item


def _row(item: Json, texts: Catalog) -> list[tuple[object, str]]:
    note = ""
    if item["in_force"] is False:
        note = texts.say("cli.playbooks.not_in_force")
    elif "source" not in item:
        note = texts.say("cli.playbooks.not_in_files")
    title = (item.get("title") or {}).get(texts.language, "")
    return [
        (item["name"], "strong"),
        (item.get("alert") or "", ""),
        (mode(texts, item.get("mode")), "soft"),
        (", ".join(item.get("steps") or ()), ""),
        (note or title, "busy" if note else "soft"),
    ]
