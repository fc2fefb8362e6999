"""`selfheal trust`: what each playbook has earned, a person's word for the next mode, and taking one away."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator

from remediator.locale import Catalog
from remediator.locale.words import mode, moment, word
from remediator.model import Json, State, Verdict
from remediator.model.trust import BOUND, RUNS, SPAN
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, USAGE, Failed, Screen, print_json
from selfheal.cli.pause import current_user
from selfheal.cli.source import Source, asking, say_source, saying
from selfheal.common.flags import add_flag

name = "trust"

LIST, SHOW, PROMOTE, DEMOTE = "list", "show", "promote", "demote"
PAGE = 500
PAGES = 20
"""How far back is counted: 10,000 remediations."""
DAY = 86_400.0
HELPED = frozenset({State.SUCCEEDED.value, State.WATCHING.value})
DID_NOT = frozenset({State.FAILED.value, State.INEFFECTIVE.value, State.UNDONE.value})


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to do, with which playbook, and why."""
    ways = (LIST, SHOW, PROMOTE, DEMOTE)
    said = texts.say("cli.trust.action")
    parser.add_argument("action", nargs="?", choices=ways, default=LIST, metavar="|".join(ways), help=said)
    parser.add_argument("playbook", nargs="?", metavar="NAME", help=texts.say("cli.trust.name"))
    add_flag(parser, "--why", metavar="TEXT", default="", help=texts.say("cli.trust.why"))
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """List, show, promote or demote; return 0, or 1 when that is not possible."""
    place = places.find(options.config_file, options.state, texts)
    if options.action in (PROMOTE, DEMOTE):
        return _move(options, place, texts)
    with asking(place, texts) as source:
        earned = {item["playbook"]: item for item in source.trust()}
        modes = {name: item["mode"] for name, item in earned.items()} | (source.status().get("playbooks") or {})
        items, counted, all_counted = count(source, modes)
    items = [{**item, "trust": earned.get(item["playbook"])} for item in items]
    if options.action == SHOW:
        items = _only(items, options.playbook, texts)
    if options.json:
        print_json({"source": source.name, "counted": counted, "all_counted": all_counted, "items": items})
        return DONE
    screen = Screen()
    say_source(screen, source.name, place, texts)
    if options.action == SHOW:
        _show(screen, items[0], texts)
        return DONE
    if not items:
        screen.line(texts.say("page.nothing_done"))
        return DONE
    columns = (
        texts.say("cli.trust.playbook"),
        texts.say("cli.trust.mode"),
        texts.say("cli.trust.verified"),
        texts.say("cli.trust.not_proven"),
        texts.say("cli.trust.last"),
        texts.say("cli.trust.towards"),
    )
    heads = [(column, "soft") for column in columns]
    screen.table([heads, *(_row(item, texts) for item in items)])
    if not all_counted:
        screen.line(screen.paint(texts.say("cli.trust.counted", count=counted), "soft"))
    return DONE


def _row(item: Json, texts: Catalog) -> list[tuple[object, str]]:
    trust = item["trust"]
    said, colour = ("", "") if trust is None else towards(trust, texts)
    return [
        (item["playbook"], "strong"),
        (_stands(item, texts), ""),
        (item["verified"], "good" if item["verified"] else ""),
        (item["not_proven"], "bad" if item["not_proven"] else ""),
        (moment(item["last_verified_at"]), "soft"),
        (said, colour),
    ]


def _stands(item: Json, texts: Catalog) -> str:
    """Return a playbook's mode; a store alone does not know it where the file says it."""
    known = item["mode"] or (item["trust"] or {}).get("mode")
    return mode(texts, known) if known else texts.say("cli.trust.of_the_file")


def towards(trust: Json, texts: Catalog) -> tuple[str, str]:
    """Given a playbook's trust, return what can be said of its next mode in a line, and its colour."""
    if trust["mode"] is None:
        # where it stands is not known, so neither is what comes next
        return "", ""
    if trust["next"] is None:
        return texts.say("cli.trust.highest"), "soft"
    if trust["proposed"]:
        return texts.say("cli.trust.proposed", mode=mode(texts, trust["next"]), name=trust["playbook"]), "good"
    missing = ", ".join(word(texts, "trust_missing", each) for each in trust["missing"])
    return texts.say("cli.trust.lacks", mode=mode(texts, trust["next"]), missing=missing), "soft"


def _only(items: list[Json], wanted: str | None, texts: Catalog) -> list[Json]:
    if not wanted:
        raise Failed(texts.say("cli.trust.name_needed"), USAGE)
    found = [item for item in items if item["playbook"] == wanted]
    if not found or found[0]["trust"] is None:
        raise Failed(texts.say("cli.trust.unknown_name", name=wanted))
    return found


def _show(screen: Screen, item: Json, texts: Catalog) -> None:
    trust = item["trust"]
    evidence, shadow = trust["evidence"], trust["shadow"]
    screen.line(screen.paint(item["playbook"], "strong"))
    screen.line(f"  {texts.say('cli.trust.mode')}: {screen.paint(_stands(item, texts))}")
    if trust["changed_at"]:
        told = {"moment": moment(trust["changed_at"]), "who": trust["who"] or "-", "why": trust["why"] or "-"}
        screen.line(screen.paint("  " + texts.say("cli.trust.changed", **told), "soft"))
    if trust["earlier"]:
        told = {"mode": mode(texts, trust["earlier"]["mode"]), "digest": trust["earlier"]["digest"][:12]}
        screen.line(screen.paint("  " + texts.say("cli.trust.earlier", **told), "busy"))
    said, colour = towards(trust, texts)
    if said:
        screen.line("  " + screen.paint(said, colour))
    numbers = texts.say(
        "cli.trust.numbers",
        judged=evidence["judged"],
        runs=RUNS,
        days=f"{evidence['days']:.1f}",
        span=f"{SPAN / DAY:.0f}",
        succeeded=evidence["succeeded"],
        bound=f"{evidence['lower_bound']:.3f}",
        needed=BOUND,
        unknown=evidence["unknown"],
    )
    screen.line("  " + screen.paint(numbers))
    seconds = shadow["cleared_after_median_seconds"]
    after = "-" if seconds is None else f"{seconds:.0f} s"
    counts = {key: shadow[key] for key in ("needed", "cleared_alone", "waiting", "left_out")}
    screen.line("  " + screen.paint(texts.say("cli.trust.shadow", after=after, **counts)))
    for each in shadow["blocked"]:
        told = {"guard": word(texts, "guard", each["guard"]), "reason": word(texts, "reason", each["reason"])}
        screen.line("  " + screen.paint(texts.say("cli.trust.blocked", count=each["count"], **told)))


def _move(options: argparse.Namespace, place: places.Place, texts: Catalog) -> int:
    if not options.playbook:
        raise Failed(texts.say("cli.trust.name_needed"), USAGE)
    if not options.why.strip():
        raise Failed(texts.say("cli.trust.why_needed"), USAGE)
    who = options.who or current_user()
    with saying(place, texts) as source:
        found = source.move_rung(options.playbook, options.action, options.why, who)
    if options.json:
        print_json(found)
        return DONE
    screen = Screen()
    moved = texts.say("cli.trust.moved", name=options.playbook, mode=mode(texts, found["mode"]))
    screen.line(screen.paint(moved, "good" if options.action == PROMOTE else "busy"))
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
