"""`selfheal selftest`: one alert the whole way, with the seconds of each leg. Needs the running remediator."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from pathlib import Path

from remediator import selftest
from remediator.locale import Catalog
from remediator.locale.words import word
from remediator.model import Json
from remediator.selftest import LEGS, Result, Trial
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, FAILED, Failed, Screen, print_json
from selfheal.cli.pause import current_user, duration
from selfheal.cli.source import running
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.flags import add_flag

name = "selftest"

LOOK = 0.25
"""Seconds between two looks at how far it came."""
TAKEN = 10.0
"""Seconds in which a running remediator takes the wish; longer only while another test is under way."""


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add how long it may take, and who wants it."""
    said = texts.say("cli.flag.within")
    add_flag(parser, "--within", type=duration, default=selftest.LONGEST, metavar="DURATION", help=said)
    add_flag(parser, "--who", metavar="NAME", default=None, help=texts.say("cli.flag.who"))


def run(options: argparse.Namespace, texts: Catalog, clock: Clock | None = None) -> int:
    """Test; return 0 when the way is proven, 1 when it is not."""
    place = places.find(options.config_file, options.state, texts)
    running(place, texts)
    clock = clock or SystemClock()
    screen = Screen()
    told: set[str] = set()

    def tell(trial: Trial) -> None:
        if options.json:
            return
        for leg in LEGS:
            if leg in trial.legs and leg not in told:
                told.add(leg)
                screen.line(_leg(screen, texts, leg, trial.legs[leg]))

    asked = clock.now()
    try:
        selftest.want(place.state, options.who or current_user(), options.within)
    except OSError as error:
        raise Failed(texts.say("cli.selftest.cannot", state=place.state, error=error)) from error
    trial = _wait(place.state, asked, options.within, clock, tell)
    if trial is None:
        (place.state / selftest.WANTED).unlink(missing_ok=True)
        raise Failed(texts.say("cli.selftest.not_taken", state=place.state))
    code = FAILED if trial.result in (Result.FAILED, Result.RUNNING) else DONE
    if options.json:
        print_json(_shown(trial))
        return code
    _sum_up(screen, texts, trial)
    return code


def _wait(state: Path, asked: float, within: float, clock: Clock, tell: Callable[[Trial], None]) -> Trial | None:
    """Return our test once it is over or out of time; None if nobody began it."""
    pause = threading.Event()
    begun = clock.monotonic()
    while True:
        found = selftest.read(state / selftest.FILE)
        ours = found if found is not None and found.began >= asked else None
        waiting = found is not None and found.result is Result.RUNNING
        if ours is not None:
            tell(ours)
            if ours.result is not Result.RUNNING:
                return ours
        spent = clock.monotonic() - begun
        if spent > within + TAKEN or (not waiting and spent > TAKEN):
            return ours
        pause.wait(LOOK)


def _leg(screen: Screen, texts: Catalog, leg: str, seconds: float) -> str:
    return f"  {screen.paint(f'{seconds:8.2f} s', 'soft')}  {screen.paint(texts.say(f'selftest.{leg}'))}"


def _sum_up(screen: Screen, texts: Catalog, trial: Trial) -> None:
    if trial.result is Result.PASSED:
        screen.line(screen.paint(texts.say("cli.selftest.passed", seconds=trial.seconds), "good"))
        return
    if trial.result is Result.OBSERVED:
        screen.line(screen.paint(texts.say("cli.selftest.observed", seconds=trial.seconds), "busy"))
        return
    missing = next((leg for leg in LEGS if leg not in trial.legs), LEGS[-1])
    screen.line(screen.paint(texts.say("cli.selftest.failed", leg=texts.say(f"selftest.{missing}")), "bad"))
    stands = word(texts, "state", trial.state) if trial.remediation else word(texts, "fate", trial.state)
    why = " – ".join(filter(None, (stands, word(texts, "reason", trial.reason))))
    if why:
        screen.line(f"  {screen.paint(why)}")
    if trial.remediation is not None:
        screen.line(f"  {screen.paint(texts.say('cli.selftest.more', id=trial.remediation), 'soft')}")


def _shown(trial: Trial) -> Json:
    remediation = None if trial.remediation is None else str(trial.remediation)
    return {
        "result": trial.result.value,
        "legs": dict(trial.legs),
        "seconds": round(trial.seconds, 3),
        "remediation_id": remediation,
        "state": trial.state,
        "reason": trial.reason,
    }
