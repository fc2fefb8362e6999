"""`selfheal replay`: what the policy would have done about recorded alerts, on a simulated clock, touching nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.errors import SourceUnavailable
from remediator.locale import Catalog
from remediator.locale.words import moment, word
from remediator.model import Json
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, NOTHING_TO_ASK, USAGE, Failed, Screen, print_json
from selfheal.cli.pause import duration
from selfheal.common.clock import Clock, SystemClock, from_rfc3339
from selfheal.common.durations import format_duration, parse_duration
from selfheal.common.flags import add_flag
from selfheal.common.problems import ConfigError

if TYPE_CHECKING:
    # what decides, and the strict reader, are large: no other command needs them
    from remediator.config import Config
    from remediator.replay.reading import Found

name = "replay"

SPAN = "7d"
"""How far back a replay of Prometheus begins unless told otherwise."""
ANSWER = "10m"
"""How long a person is assumed to take."""
MOST_GAPS = 5
"""Gaps that are told one by one."""
COLUMNS = ("observed", "asked", "ran", "fixed", "not_proven", "stopped")
"""What is counted of each playbook, in the order of the table."""
CHANGES = ("newly_runs", "stops_running", "changed")
Row = list[tuple[object, str]]


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what is replayed, what is tried out, and what is assumed."""
    said = texts.say
    add_flag(parser, "--from", dest="begin", metavar="TIME", help=said("cli.flag.replay_from"))
    add_flag(parser, "--to", dest="end", metavar="TIME", help=said("cli.flag.replay_to"))
    add_flag(parser, "--file", metavar="FILE", help=said("cli.flag.replay_file"))
    told = said("cli.flag.replay_playbooks")
    add_flag(parser, "--playbooks", action="extend", nargs="+", metavar="PATH", help=told)
    add_flag(parser, "--against", metavar="PATH", help=said("cli.flag.replay_against"))
    told = said("cli.flag.replay_approve_after")
    add_flag(parser, "--approve-after", type=duration, default=ANSWER, metavar="DURATION", help=told)
    add_flag(parser, "--every-host", action="store_true", default=False, help=said("cli.flag.replay_every_host"))


def run(options: argparse.Namespace, texts: Catalog, clock: Clock | None = None) -> int:
    """Replay; return 0, whatever came of it."""
    from remediator.replay import NotReadable

    progress = _Progress(texts)
    try:
        answer = _account(options, texts, (clock or SystemClock()).now(), progress)
    except ConfigError as error:
        raise Failed("\n".join(str(problem) for problem in error.problems)) from error
    except SourceUnavailable as error:
        raise Failed(texts.say("cli.replay.no_prometheus", error=error.detail)) from error
    except NotReadable as error:
        raise Failed(str(error)) from error
    finally:
        progress.over()
    if options.json:
        print_json(answer)
    else:
        _show(Screen(), texts, answer)
    return DONE


def _account(options: argparse.Namespace, texts: Catalog, now: float, progress: _Progress) -> Json:
    from remediator.replay import account
    from remediator.replay.reading import other_setting, setting_of

    begin, end = _time("--from", options.begin, now, texts), _time("--to", options.end, now, texts)
    if begin is not None and begin >= (now if end is None else end):
        raise Failed(texts.say("cli.replay.backwards"), USAGE)
    config = _config(options, texts)
    if options.file:
        found = _from_file(Path(options.file), config, begin, end)
    else:
        found = _from_prometheus(config, now if end is None else end, begin, progress)
    hosts = found.recording if options.every_host else None
    playbooks = None if options.playbooks is None else [Path(each) for each in options.playbooks]
    sets = [setting_of(config, playbooks, hosts)]
    if options.against:
        sets.append(other_setting(Path(options.against), config, hosts))
    return account(found.recording, found.known, tuple(sets), options.approve_after, progress.deciding)


def _config(options: argparse.Namespace, texts: Catalog) -> Config:
    from remediator.config.reading import load

    path = places.find(options.config_file, options.state, texts).config
    if path is None:
        raise Failed(texts.say("cli.replay.config_needed"), NOTHING_TO_ASK)
    return load(path)


def _from_file(path: Path, config: Config, begin: float | None, end: float | None) -> Found:
    from remediator.replay.reading import from_file
    from remediator.web.payload import parse

    return from_file(path, parse, config, begin, end)


def _from_prometheus(config: Config, end: float, begin: float | None, progress: _Progress) -> Found:
    from remediator.replay.reading import from_prometheus

    return from_prometheus(config, end - parse_duration(SPAN) if begin is None else begin, end, progress.reading)


def _time(flag: str, text: str | None, now: float, texts: Catalog) -> float | None:
    """Given a moment as written, return seconds since the epoch: RFC 3339, now, or so long before now."""
    if text is None:
        return None
    if text == "now":
        return now
    try:
        return from_rfc3339(text) if "-" in text else now - parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise Failed(texts.say("cli.replay.no_time", flag=flag, text=text), USAGE) from error


class _Progress:
    """Says on a terminal how far it is; nowhere else."""

    def __init__(self, texts: Catalog) -> None:
        self._texts = texts
        self._shown = sys.stderr.isatty()
        self._last = ""

    def reading(self, done: float) -> None:
        """So much of the history is read."""
        self._tell("cli.replay.reading", done)

    def deciding(self, done: float) -> None:
        """So much is decided."""
        self._tell("cli.replay.deciding", done)

    def over(self) -> None:
        """Leave a free line."""
        if self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _tell(self, key: str, done: float) -> None:
        text = self._texts.say(key, done=done)
        if self._shown and text != self._last:
            self._last = text
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# Tables for a person.


def _show(screen: Screen, texts: Catalog, answer: Json) -> None:
    screen.line(screen.paint(texts.say("cli.replay.replayed", **_whole(answer)), "strong"))
    for gap in answer["gaps"][:MOST_GAPS]:
        span = texts.say("cli.replay.gap", begin=moment(gap["from"]), end=moment(gap["to"]))
        screen.line(f"  {screen.paint(span, 'busy')}")
    for scenario in answer["scenarios"]:
        screen.heading(_title(texts, scenario))
        _scenario(screen, texts, scenario)
    for scenario in answer.get("against", ()):
        screen.heading(texts.say("cli.replay.against", scenario=_title(texts, scenario)))
        _differences(screen, texts, scenario["differences"])
    screen.heading(texts.say("cli.replay.assumed"))
    for each in answer["assumptions"]:
        fields = {name: _span(value) if name.endswith("seconds") else value for name, value in each.items()}
        screen.line(f"  - {screen.paint(texts.say('replay.assumed.' + fields.pop('key'), **fields))}")


def _whole(answer: Json) -> Json:
    return {
        "occurrences": answer["occurrences"],
        "series": answer["series"],
        "instances": answer["instances"],
        "begin": moment(answer["from"]),
        "end": moment(answer["to"]),
    }


def _title(texts: Catalog, scenario: Json) -> str:
    healing = texts.say(f"replay.healing.{scenario['healing']}")
    after = scenario["approved_after_seconds"]
    answered = texts.say("replay.answered", after=_span(after)) if after is not None else texts.say("replay.unanswered")
    return f"{healing} · {answered}"


def _scenario(screen: Screen, texts: Catalog, scenario: Json) -> None:
    heads: Row = [(texts.say(f"replay.column.{each}"), "soft") for each in ("playbook", *COLUMNS)]
    rows: list[Row] = [
        [(each["playbook"], "strong"), *((each[column], "" if each[column] else "soft") for column in COLUMNS)]
        for each in scenario["playbooks"]
    ]
    screen.table([heads, *rows] if rows else [[(texts.say("cli.replay.nothing"), "soft")]])
    if scenario["guards"]:
        screen.line()
        heads = [(texts.say(f"replay.column.{each}"), "soft") for each in ("guard", "why", "alerts", "tries", "held")]
        screen.table([heads, *(_guard(texts, each) for each in scenario["guards"])])
    screen.line()
    screen.table([[(texts.say(f"replay.figure.{key}"), "soft"), (text, "")] for key, text in _figures(texts, scenario)])


def _guard(texts: Catalog, said: Json) -> Row:
    told = f"{word(texts, 'answer', said['answer'])}: {word(texts, 'reason', said['reason'])}"
    return [
        (word(texts, "guard", said["guard"]), "strong"),
        (texts.say("cli.replay.would", said=told) if said["observed"] else told, ""),
        (said["alerts"], ""),
        (said["remediations"], "soft"),
        (_span(said["seconds"]) if said["seconds"] else "", ""),
    ]


def _figures(texts: Catalog, scenario: Json) -> Iterable[tuple[str, str]]:
    """Yield the name and the text of each line below the tables; what there is none of is left out."""
    yield "decisions", str(scenario["decisions"])
    peak, worst, hold = scenario["peak"], scenario["worst_hour"], scenario["longest_hold"]
    at = f" ({moment(peak['at'])})" if peak["at"] else ""
    yield "peak", texts.say("cli.replay.peak_text", count=peak["under_way"], at=at, alerts=scenario["peak_alerts"])
    if worst is not None:
        told = {"begin": moment(worst["from"]), "begun": worst["begun"], "alerts": worst["alerts"]}
        yield "worst_hour", texts.say("cli.replay.worst_hour_text", **told)
    if hold is not None:
        reasons = ", ".join(word(texts, "reason", each) for each in hold["reasons"])
        told = {"span": _span(hold["seconds"]), "playbook": hold["playbook"], "target": hold["target"]}
        yield "longest_hold", texts.say("cli.replay.longest_hold_text", reasons=reasons, **told)
    for each in scenario["breakers"]:
        yield "breaker", texts.say("cli.replay.breaker_text", name=each["breaker"], count=each["opened"])
    for each in scenario["demotions"]:
        mode = word(texts, "mode", each["mode"])
        told = {"playbook": each["playbook"], "mode": mode, "at": moment(each["at"])}
        yield "demoted", texts.say("cli.replay.demoted_text", **told)
    for each in scenario["to_people"]:
        why = word(texts, "fate", each["reason"])
        why = word(texts, "reason", each["reason"]) if why == each["reason"] else why
        yield "to_people", texts.say("cli.replay.to_people_text", alert=each["alert"], count=each["count"], why=why)
    for each in scenario["undecided"]:
        why = word(texts, "reason", each["reason"])
        yield "undecided", texts.say("cli.replay.to_people_text", alert=each["alert"], count=each["count"], why=why)
    if scenario["uncovered"]:
        yield "uncovered", ", ".join(f"{each['alert']} × {each['count']}" for each in scenario["uncovered"])
    if scenario["under_way"]:
        yield "under_way", str(scenario["under_way"])


def _differences(screen: Screen, texts: Catalog, differences: list[Json]) -> None:
    if not differences:
        screen.line(f"  {screen.paint(texts.say('cli.replay.same'), 'soft')}")
        return
    colours = {"newly_runs": "good", "stops_running": "bad"}
    rows: list[Row] = [
        [
            (texts.say(f"replay.change.{each['change']}"), colours.get(each["change"], "")),
            (each["alert"], "strong"),
            (_came(texts, each["before"]), ""),
            ("→", "soft"),
            (_came(texts, each["after"]), ""),
            (f"× {each['count']}", ""),
        ]
        for each in sorted(differences, key=lambda each: CHANGES.index(each["change"]))
    ]
    screen.table(rows)


def _came(texts: Catalog, came: Json) -> str:
    said = texts.say(f"replay.came.{came['came']}")
    return f"{said}: {', '.join(came['playbooks'])}" if came["playbooks"] else said


def _span(seconds: float) -> str:
    return format_duration(round(seconds))
