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
from remediator.locale.words import item, word
from selfheal.cli.answers import DONE, FAILED, USAGE, Failed, clean, tell_failure
from selfheal.cli.parser import indented, make_parser
from selfheal.cli.place import DEFAULT_STATE
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag
from selfheal.stack import events
from selfheal.stack.config import highest_mode
from selfheal.stack.demo import Report
from selfheal.stack.layout import AlreadyRunning
from selfheal.stack.loop import Stack, Wish, opened
from selfheal.stack.patient import FAULTS
from selfheal.stack.supervise import StartFailed
from selfheal.stack.tools import ToolsMissing, default_folder, provide

name = "up"

_INTERRUPTED = 130

_GOING_WELL = ("running", "verifying", "watching", "succeeded")
_THINGS = 2
"""Things named of what was touched; the rest are counted."""

_DIM, _GREEN, _YELLOW, _RED, _BLUE = "2", "32", "33", "31", "34"
_COLOURS: dict[type[object], str] = {
    events.ProgramStarted: _DIM,
    events.ProgramReady: _DIM,
    events.PortMoved: _YELLOW,
    events.SettingPutBack: _YELLOW,
    events.ProgramDied: _RED,
    events.ProgramRestarted: _YELLOW,
    events.FaultInjected: _YELLOW,
    events.FaultHealed: _GREEN,
    events.FaultNotHealed: _RED,
    events.PatientWell: _GREEN,
    events.RemediationChanged: _BLUE,
}


def build_parser(texts: Catalog) -> argparse.ArgumentParser:
    """Return the parser of `up` with its flags."""
    say = texts.say
    examples = f"{say('cli.examples')}\n{indented(say('up.examples'))}"
    parser = make_parser(f"selfheal {name}", say("up.description"), examples, texts)
    add_flag(parser, "--demo", action="store_true", default=False, help=say("up.flag.demo"))
    add_flag(parser, "--until-healed", type=_positive, metavar="N", help=say("up.flag.until_healed"))
    add_flag(parser, "--rounds", type=_positive, default=1, metavar="N", help=say("up.flag.rounds"))
    add_flag(parser, "--json", action="store_true", default=False, help=say("up.flag.json"))
    add_flag(parser, "--state", type=Path, default=DEFAULT_STATE, metavar="FOLDER", help=say("up.flag.state"))
    add_flag(parser, "--scrape-interval", type=_duration, metavar="DURATION", help=say("up.flag.scrape_interval"))
    add_flag(parser, "--tools", type=Path, metavar="FOLDER", help=say("up.flag.tools"))
    add_flag(parser, "--lang", choices=LANGUAGES, help=say("up.flag.lang"))
    return parser


def run(options: argparse.Namespace) -> int:
    """Run until asked to stop, or until the demo has shown what was asked; return the exit code."""
    texts = catalog(pick_language(options.lang, os.environ))
    try:
        return _run(options, texts)
    except Failed as failure:
        if options.json:
            # one line, as the report is: it is the last of stdout
            print(json.dumps({"error": str(failure)}, ensure_ascii=False), flush=True)
        else:
            tell_failure(failure, as_json=False)
        return failure.code
    except KeyboardInterrupt:
        return _INTERRUPTED  # before anything was started
    except BrokenPipeError:
        # who read the account has left and everything is stopped; what is still buffered must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(options: argparse.Namespace, texts: Catalog) -> int:
    _check_combination(options, texts)
    account = Account(texts, sys.stderr if options.json else sys.stdout, SystemClock(), _how_to_ask(options.state))
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
    return texts.say("up.cannot_write", folder=state, error=_plain(error))


def _plain(error: Exception) -> str:
    """Return what the system said, and about which file, without numbers."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.strerror} ({error.filename})" if error.filename else error.strerror


def _how_to_ask(state: Path) -> tuple[str, str]:
    """Return the program as it was called, and what must be written after a command to ask this state folder."""
    called = sys.argv[0] if Path(sys.argv[0]).name == "selfheal" else "selfheal"
    return called, "" if state == DEFAULT_STATE else f" --state {state}"


def _result(options: argparse.Namespace, report: Report | None, texts: Catalog) -> int:
    if report is not None and options.json:
        print(json.dumps(report.as_json()), flush=True)
    if options.until_healed is None:
        return DONE
    if report is None:
        # it was stopped before everything had started
        return FAILED
    if report.bystanders:
        _complain(texts.say("up.bystanders", count=len(report.bystanders), which="; ".join(report.bystanders)))
    if report.healed < options.until_healed:
        reason = texts.say(f"up.reason.{report.reason or 'not_healed'}")
        _complain(texts.say("up.fell_short", healed=report.healed, wanted=options.until_healed, reason=reason))
        return FAILED
    return FAILED if report.bystanders else DONE


def _complain(text: str) -> None:
    """Write a reason to stderr without an object of its own: the report is the last line of stdout."""
    print(f"selfheal: {clean(text)}", file=sys.stderr, flush=True)


class Account:
    """Writes events as lines for a person: time, then what happened; colours only on a terminal."""

    def __init__(self, texts: Catalog, out: TextIO, clock: Clock, ask: tuple[str, str] = ("selfheal", "")) -> None:
        self.texts = texts
        self._command, self._state_flag = ask
        self._out = out
        self._clock = clock
        if isinstance(out, io.TextIOWrapper):
            # a terminal that cannot show a sign is no reason to stop watching
            out.reconfigure(errors="replace")
        self._colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._stack: Stack | None = None
        self._waiting: set[str] = set()
        self._named: set[str] = set()

    def begin(self, stack: Stack) -> None:
        """Say what is going to happen."""
        self._stack = stack
        mode = highest_mode(stack.settings)
        kind = "demo" if stack.settings.demo else "host" if mode == "observe" else "acting"
        self._line(self.texts.say(f"up.begin.{kind}", state=stack.settings.layout.state, mode=mode), _DIM)

    def tell(self, event: events.Event) -> None:
        """Write one event, where it is worth a line."""
        text = self._words(event)
        if text:
            self._line(text, _COLOURS.get(type(event), ""))
        if isinstance(event, events.PatientWell) and event.healed:
            self._line(self.texts.say("up.more", command=self._command, state=self._state_flag), _DIM)
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
            case events.SettingPutBack(was=""):
                return self.texts.say("up.added_back", **values)
            case events.RemediationChanged(state="pending"):
                return ""
            case events.RemediationChanged():
                return self._remediation(event)
            case events.ProgramDied(restart_in=None):
                return self.texts.say("up.died_for_good", **values)
            case events.FaultNotHealed(answered=False):
                return self.texts.say(
                    "up.not_answered", **values | {"fault": self.texts.say(f"patient.fault.{event.fault}")}
                )
            case events.FaultInjected() | events.FaultHealed() | events.FaultNotHealed():
                values["fault"] = self.texts.say(f"patient.fault.{event.fault}")
        return self.texts.say(f"up.{_KEYS[type(event)]}", **values)

    def _remediation(self, event: events.RemediationChanged) -> str:
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        if event.observed:
            return self.texts.say("up.would_have", **values)
        # the playbook is named once: what follows is about the same remediation
        first = event.remediation not in self._named
        self._named.add(event.remediation)
        values["what"] = f"{event.alert} → {event.playbook}" if first else event.alert
        values["state"] = word(self.texts, "state", event.state)
        if event.state == "succeeded" and event.reason == "held_watch":
            return self.texts.say("up.stayed", **values)
        # while all goes well the reason is only that nothing objected
        reason = event.reason if event.state not in _GOING_WELL else ""
        why = word(self.texts, "verdict", event.verdict) or word(self.texts, "reason", reason) or self._touched(event)
        values["why"] = f" – {why}" if why else ""
        return self.texts.say("up.remediation", **values)

    def _touched(self, event: events.RemediationChanged) -> str:
        if not event.touched:
            return ""
        things = ", ".join(item(self.texts, thing) for thing in event.touched[:_THINGS])
        left = len(event.touched) - _THINGS
        more = f" {self.texts.say('page.more', count=left)}" if left > 0 else ""
        return self.texts.say("up.touched", things=things + more)

    def _all_ready(self) -> None:
        if self._stack is None:
            return
        settings = self._stack.settings
        self._line(self.texts.say("up.all_ready", url=settings.url("remediator")), _GREEN)
        if not settings.demo:
            key = "up.edit_next" if highest_mode(settings) == "observe" else "up.permitted"
            self._line(self.texts.say(key, policy=settings.layout.config / "policy.yml"))
        self._line(self.texts.say("up.ask", command=self._command, state=self._state_flag))
        self._line(self.texts.say("up.how_to_stop"), _DIM)

    def _line(self, text: str, colour: str = "") -> None:
        moment = datetime.fromtimestamp(self._clock.now()).astimezone().strftime("%H:%M:%S")
        plain = clean(text)
        shown = f"\x1b[{colour}m{plain}\x1b[0m" if colour and self._colours else plain
        print(f"{moment}  {shown}", file=self._out, flush=True)


_KEYS: dict[type[object], str] = {
    events.Unpacking: "unpacking",
    events.PortMoved: "port_moved",
    events.SettingPutBack: "put_back",
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
