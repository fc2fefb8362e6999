"""`selfheal up`: the whole loop on this machine, with a calm account of what happens; `--demo` adds a sick patient."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TextIO

from remediator.locale import LANGUAGES, Catalog, catalog, pick_language
from selfheal.cli import language_of
from selfheal.cli.answers import DONE, FAILED, USAGE, Failed, clean, tell_failure
from selfheal.cli.place import DEFAULT_STATE
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag
from selfheal.stack import events
from selfheal.stack.demo import Report
from selfheal.stack.layout import AlreadyRunning
from selfheal.stack.loop import Stack, Wish, opened
from selfheal.stack.patient import FAULTS
from selfheal.stack.supervise import StartFailed
from selfheal.stack.tools import ToolsMissing, default_folder, provide

name = "up"

_INTERRUPTED = 130

_GOING_WELL = ("running", "verifying", "watching", "succeeded")

_DIM, _GREEN, _YELLOW, _RED, _BLUE = "2", "32", "33", "31", "34"
_COLOURS: dict[type[object], str] = {
    events.ProgramStarted: _DIM,
    events.ProgramReady: _DIM,
    events.PortMoved: _YELLOW,
    events.ProgramDied: _RED,
    events.ProgramRestarted: _YELLOW,
    events.FaultInjected: _YELLOW,
    events.FaultHealed: _GREEN,
    events.FaultNotHealed: _RED,
    events.PatientWell: _GREEN,
    events.RemediationChanged: _BLUE,
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `up` with its flags to the commands; the help is in the language that the command line asks for."""
    say = catalog(language_of(sys.argv[1:], os.environ)).say
    examples = "\n".join(f"  {line}" for line in say("up.examples").splitlines())
    parser = subparsers.add_parser(
        name,
        description=say("up.description"),
        epilog=f"{say('up.title')}\n{examples}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flag(parser, "--demo", action="store_true", default=False, help=say("up.flag.demo"))
    add_flag(parser, "--until-healed", type=_positive, metavar="N", help=say("up.flag.until_healed"))
    add_flag(parser, "--rounds", type=_positive, default=1, metavar="N", help=say("up.flag.rounds"))
    add_flag(parser, "--json", action="store_true", default=False, help=say("up.flag.json"))
    add_flag(parser, "--state", type=Path, default=DEFAULT_STATE, metavar="FOLDER", help=say("up.flag.state"))
    add_flag(parser, "--scrape-interval", type=_duration, metavar="DURATION", help=say("up.flag.scrape_interval"))
    add_flag(parser, "--tools", type=Path, metavar="FOLDER", help=say("up.flag.tools"))
    add_flag(parser, "--lang", choices=LANGUAGES, help=say("up.flag.lang"))


def run(options: argparse.Namespace) -> int:
    """Run until asked to stop, or until the demo has shown what was asked; return the exit code."""
    texts = catalog(pick_language(options.lang, os.environ))
    try:
        return _run(options, texts)
    except Failed as failure:
        tell_failure(failure, options.json)
        return failure.code
    except KeyboardInterrupt:
        return _INTERRUPTED  # before anything was started
    except BrokenPipeError:
        # who read the account has left and everything is stopped; what is still buffered must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(options: argparse.Namespace, texts: Catalog) -> int:
    _check_combination(options, texts)
    account = Account(texts, sys.stderr if options.json else sys.stdout, SystemClock())
    wish = Wish(options.state, options.demo, options.scrape_interval, options.rounds, options.until_healed)
    try:
        tools = provide(options.tools or default_folder(), lambda folder: account.tell(events.Unpacking(folder)))
        with opened(wish, tools, SystemClock()) as stack:
            account.begin(stack)
            with closing(stack.run()) as happening:
                for event in happening:
                    account.tell(event)
    except BrokenPipeError:
        raise  # an OSError that has nothing to do with the state folder
    except (ToolsMissing, AlreadyRunning, StartFailed, OSError) as error:
        raise Failed(_failure(error, options.state, texts)) from error
    return _result(options, stack.report, texts)


def _check_combination(options: argparse.Namespace, texts: Catalog) -> None:
    most = options.rounds * len(FAULTS)
    if not options.demo and (options.until_healed is not None or options.rounds != 1):
        raise Failed(texts.say("up.only_with_demo"), USAGE)
    if options.until_healed is not None and options.until_healed > most:
        raise Failed(texts.say("up.too_many_asked", most=most), USAGE)


def _failure(error: Exception, state: Path, texts: Catalog) -> str:
    match error:
        case ToolsMissing():
            return texts.say("up.tools_missing", missing=", ".join(error.missing), reason=error.reason)
        case AlreadyRunning():
            return texts.say("up.already_running", folder=error.folder, pid=error.pid)
        case StartFailed():
            key = "up.start_too_slow" if error.code is None else "up.start_failed"
            said = texts.say(key, program=error.program, code=error.code, log=error.log)
            return "\n".join([said, *(f"    {line}" for line in error.tail())])
    return texts.say("up.cannot_write", folder=state, error=error)


def _result(options: argparse.Namespace, report: Report | None, texts: Catalog) -> int:
    if report is not None and options.json:
        print(json.dumps(report.as_json()), flush=True)
    if options.until_healed is None:
        return DONE
    if report is None:
        raise Failed(texts.say("up.no_report"))
    if report.bystanders:
        _complain(texts.say("up.bystanders", count=len(report.bystanders), which="; ".join(report.bystanders)))
    if report.healed < options.until_healed:
        reason = texts.say(f"up.reason.{report.reason or 'not_healed'}")
        _complain(texts.say("up.fell_short", healed=report.healed, wanted=options.until_healed, reason=reason))
        return FAILED
    return DONE


def _complain(text: str) -> None:
    """Write a reason to stderr without an object of its own: the report is the last line of stdout."""
    print(f"selfheal: {clean(text)}", file=sys.stderr, flush=True)


class Account:
    """Writes events as lines for a person: time, then what happened; colours only on a terminal."""

    def __init__(self, texts: Catalog, out: TextIO, clock: Clock) -> None:
        self.texts = texts
        self._out = out
        self._clock = clock
        if isinstance(out, io.TextIOWrapper):
            # a terminal that cannot show a sign is no reason to stop watching
            out.reconfigure(errors="replace")
        self._colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._stack: Stack | None = None
        self._waiting: set[str] = set()

    def begin(self, stack: Stack) -> None:
        """Say what is going to happen."""
        self._stack = stack
        kind = "demo" if stack.settings.demo else "host"
        self._line(self.texts.say(f"up.begin.{kind}", state=stack.settings.layout.state), _DIM)

    def tell(self, event: events.Event) -> None:
        """Write one event, where it is worth a line."""
        text = self._words(event)
        if text:
            self._line(text, _COLOURS.get(type(event), ""))
        if isinstance(event, events.ProgramStarted):
            self._waiting.add(event.program)
        if isinstance(event, events.ProgramReady):
            self._waiting.discard(event.program)
            if not self._waiting:
                self._all_ready()

    def _words(self, event: events.Event) -> str:
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        match event:
            case events.ProgramStarted():
                return ""
            case events.ProgramReady(url=""):
                return self.texts.say("up.ready_without_page", **values)
            case events.RemediationChanged(state="pending"):
                return ""
            case events.RemediationChanged():
                return self._remediation(event)
            case events.ProgramDied(restart_in=None):
                return self.texts.say("up.died_for_good", **values)
            case events.FaultInjected() | events.FaultHealed() | events.FaultNotHealed():
                values["fault"] = self.texts.say(f"patient.fault.{event.fault}")
        return self.texts.say(f"up.{_KEYS[type(event)]}", **values)

    def _remediation(self, event: events.RemediationChanged) -> str:
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        if event.observed:
            return self.texts.say("up.would_have", **values)
        values["state"] = self.texts.say(f"state.{event.state}")
        # while all goes well the reason is only that nothing objected
        reason = event.reason if event.state not in _GOING_WELL else ""
        why = self.texts.say(f"verdict.{event.verdict}") if event.verdict else ""
        why = why or (self.texts.say(f"reason.{reason}") if reason else "")
        values["why"] = f" – {why}" if why else ""
        return self.texts.say("up.remediation", **values)

    def _all_ready(self) -> None:
        if self._stack is None:
            return
        settings = self._stack.settings
        self._line(self.texts.say("up.all_ready", url=settings.url("remediator")), _GREEN)
        if not settings.demo:
            self._line(self.texts.say("up.edit_next", policy=settings.layout.config / "policy.yml"))
        self._line(self.texts.say("up.how_to_stop"), _DIM)

    def _line(self, text: str, colour: str = "") -> None:
        moment = datetime.fromtimestamp(self._clock.now()).astimezone().strftime("%H:%M:%S")
        plain = clean(text)
        shown = f"\x1b[{colour}m{plain}\x1b[0m" if colour and self._colours else plain
        print(f"{moment}  {shown}", file=self._out, flush=True)


_KEYS: dict[type[object], str] = {
    events.Unpacking: "unpacking",
    events.PortMoved: "port_moved",
    events.ProgramReady: "ready",
    events.ProgramDied: "died",
    events.ProgramRestarted: "restarted",
    events.Stopping: "stopping",
    events.Stopped: "stopped",
    events.FaultInjected: "injected",
    events.FaultHealed: "healed",
    events.FaultNotHealed: "not_healed",
    events.PatientWell: "patient_well",
}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is shorter than 1s")
    return seconds
