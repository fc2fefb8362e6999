"""`selfheal run`: runs a playbook because a person asks for it, through all guards. Needs the running remediator."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from remediator.locale.words import details, mode, word
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, Screen, colour_of, print_json
from selfheal.cli.approvals import tell_plan
from selfheal.cli.pause import current_user
from selfheal.cli.source import saying
from selfheal.common.flags import add_flag

name = "run"

_ANSWERS = {"allow": "good", "hold": "busy", "deny": "bad"}


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to run, with which labels, and whether to only try it."""
    parser.add_argument("playbook", metavar="PLAYBOOK", help=texts.say("cli.flag.playbook"))
    add_flag(
        parser,
        "--label",
        dest="labels",
        action="append",
        type=label,
        default=[],
        metavar="NAME=VALUE",
        help=texts.say("cli.flag.label"),
    )
    add_flag(parser, "--dry-run", action="store_true", default=False, help=texts.say("cli.flag.dry_run"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def label(text: str) -> tuple[str, str]:
    """Given `NAME=VALUE`, return both. Raise ArgumentTypeError if it is not of this form."""
    found, equals, value = text.partition("=")
    if not found or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no label; write NAME=VALUE, for example service=shop")
    return found, value


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Run it, or tell what would be; return 0 when the remediator took it."""
    place = places.find(options.config_file, options.state, texts)
    asked = {
        "labels": dict(options.labels),
        "dry_run": options.dry_run,
        "who": options.who or current_user(),
    }
    with saying(place, texts, texts.say("cli.run.no_playbook", name=options.playbook)) as source:
        found = source.run_playbook(options.playbook, asked)
    if options.json:
        print_json(found)
    elif "dry_run" in found:
        _tell_dry_run(Screen(), found["dry_run"], texts)
    else:
        _tell_begun(Screen(), found["remediation"], texts)
    return DONE


def _tell_begun(screen: Screen, run: Json, texts: Catalog) -> None:
    state = screen.paint(word(texts, "state", run["state"]), colour_of(run["state"]))
    screen.line(f"{texts.say('page.run', id=run['id'])}: {state}")
    screen.line(screen.paint(texts.say("cli.run.follow", id=run["id"]), "soft"))


def _tell_dry_run(screen: Screen, tried: Json, texts: Catalog) -> None:
    answer = screen.paint(word(texts, "answer", tried["answer"]), _ANSWERS.get(tried["answer"], ""))
    reason = "" if tried["answer"] == "allow" else f" – {screen.paint(word(texts, 'reason', tried['reason']))}"
    screen.line(f"{screen.paint(tried['playbook'], 'strong')} → {screen.paint(tried['target'])}: {answer}{reason}")
    screen.line(f"  {texts.say('page.mode')}: {screen.paint(mode(texts, tried['mode']))}")
    screen.heading(texts.say("page.decisions"))
    screen.table(
        [
            [
                (word(texts, "guard", each["guard"]), ""),
                (word(texts, "answer", each["answer"]), _ANSWERS.get(each["answer"], "")),
                (_said(each, texts), ""),
            ]
            for each in tried["answers"]
        ]
    )
    screen.heading(texts.say("approve.things"))
    if not (tried["plan"] or {}).get("items"):
        screen.line("  " + screen.paint(texts.say("cli.run.nothing"), "soft"))
    tell_plan(screen, tried["plan"], texts)


def _said(each: Json, texts: Catalog) -> str:
    if each["answer"] == "allow":
        return ""
    return " – ".join(filter(None, (word(texts, "reason", each["reason"]), details(texts, each.get("detail")))))
