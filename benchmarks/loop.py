"""From fault to proof, on the real loop: `python -m benchmarks.loop`.

The demo's patient falls ill with each of its five faults, several times, while real programs scrape it every 5 s and
evaluate its rules every second. Each fault is injected at a random moment of the scrape interval, because that moment
decides much. The last line is one JSON object: medians per fault, for gauge faults and for rates and slopes together.
`seconds` is everything from injection to verdict; `net_seconds` is without the rule's `for` and the playbook's
`healthy_for`, which are somebody's choice. The grace is printed, not subtracted: the patient's workers end at once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from selfheal.common.clock import SystemClock, from_rfc3339
from selfheal.common.durations import format_duration, parse_duration
from selfheal.stack.events import FaultHealed, FaultInjected, FaultNotHealed
from selfheal.stack.loop import Stack, Wish, opened
from selfheal.stack.loopback import ask
from selfheal.stack.patient import FAULTS, Fault
from selfheal.stack.patient.playbooks import render_playbooks
from selfheal.stack.patient.rules import Timing, render_rules
from selfheal.stack.tools import default_folder, provide

AIMS = {"gauge": 15.0, "window": 25.0}
"""Seconds from fault to proof at a 5 s scrape: of a plain comparison, and of a rate or slope over a window."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What rule and playbook of a fault cost by their own choice, in seconds."""

    kind: str
    """`gauge`, or `window` where the rule looks at a range."""
    pending: float
    grace: float
    """At most; 0 where nothing is ended."""
    healthy_for: float


@dataclass(frozen=True, slots=True)
class Run:
    """One fault from injection to proof: the stretches in seconds."""

    fault: str
    found: float
    """Injection until the alert fires: the fault's own growth, the scrape that meets it, the evaluation."""
    begun: float
    """Until the first step's intent is stored: delivery, guards, the live question."""
    acted: float
    """Until the last step has ended, the grace that was needed included."""
    proven: float
    """Until it was verified: two fresh samples or a whole window, then `healthy_for`."""

    @property
    def seconds(self) -> float:
        """Everything."""
        return self.found + self.begun + self.acted + self.proven


def terms(scrape: float) -> dict[str, Terms]:
    """Given the scrape interval, return fault → its terms, from the rules and playbooks as the stack renders them."""
    timing = Timing(scrape)
    rules = {rule["alert"]: rule for rule in render_rules(timing, "/patient")["groups"][0]["rules"]}
    playbooks = {playbook["playbook"]: playbook for playbook in render_playbooks(timing).values()}
    return {fault.name: _terms(rules[fault.alert], playbooks[fault.playbook]) for fault in FAULTS}


def _terms(rule: Mapping[str, Any], playbook: Mapping[str, Any]) -> Terms:
    graces = [parse_duration(step["with"]["grace"]) for step in playbook["steps"] if "grace" in step["with"]]
    kind = "window" if "[" in rule["expr"] else "gauge"
    return Terms(kind, parse_duration(rule["for"]), sum(graces), parse_duration(playbook["verify"]["healthy_for"]))


def measure(rounds: int, scrape: float, seconds: float, dice: random.Random) -> dict[str, Any]:
    """Run the demo for `rounds`, ended after `seconds` at the latest, and return the figures."""
    tools = provide(default_folder(), _tell)
    runs: list[Run] = []
    injected = 0
    deadline = time.monotonic() + seconds
    with TemporaryDirectory() as folder:
        wish = Wish(Path(folder), demo=True, scrape=scrape, rounds=rounds, until_healed=rounds * len(FAULTS))
        with opened(wish, tools, SystemClock()) as stack, closing(stack.run()) as happening:
            for event in happening:
                if isinstance(event, FaultInjected):
                    injected += 1
                elif isinstance(event, FaultNotHealed):
                    _tell(f"{event.fault:13} not proven after {event.seconds:.1f} s")
                elif isinstance(event, FaultHealed):
                    runs.append(_look(stack, event))
                    _tell(_line(runs[-1]))
                    # the next one must not begin just after a sample, where this one ended
                    time.sleep(dice.uniform(0.0, scrape))
                if time.monotonic() > deadline:
                    signal.raise_signal(signal.SIGTERM)  # as Ctrl-C: everything is stopped, the report is taken
        report = stack.report
    return _figures(runs, terms(scrape), AIMS) | {
        "injected": injected,
        "healed": report.healed if report else 0,
        "bystanders_touched": len(report.bystanders) if report else None,
        "scrape_seconds": scrape,
        "evaluation_seconds": stack.settings.evaluation,
        "rounds": rounds,
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
    }


def _look(stack: Stack, healed: FaultHealed) -> Run:
    """Ask the remediator's record for the stretches of the fault that was just verified."""
    fault = next(fault for fault in FAULTS if fault.name == healed.fault)
    whole = _newest_verified(stack, fault)
    verified, fired, started = (_moment(whole, key) for key in ("verified_at", "fired_at", "started_at"))
    ended = max(from_rfc3339(step["ended_at"]) for step in whole["steps"])
    injected = verified - healed.seconds
    return Run(fault.name, fired - injected, started - fired, ended - started, verified - ended)


def _newest_verified(stack: Stack, fault: Fault) -> dict[str, Any]:
    url = f"{stack.settings.url('remediator')}/api/v1/remediations"
    token = stack.settings.layout.api_token
    page = _answer(lambda: ask(url, {"limit": "100"}, token))
    # newest first
    item = next(item for item in page["items"] if item["playbook"] == fault.playbook and item["verified_at"])
    whole = _answer(lambda: ask(f"{url}/{item['id']}", None, token))
    return {**whole, "fired_at": whole["alert"]["starts_at"]}


def _answer(question: Callable[[], Any]) -> dict[str, Any]:
    end = time.monotonic() + 10.0
    while (found := question()) is None:
        if time.monotonic() > end:
            raise RuntimeError("the remediator does not answer")
        time.sleep(0.1)
    return dict(found)


def _moment(whole: Mapping[str, Any], key: str) -> float:
    return from_rfc3339(whole[key])


def _figures(runs: Sequence[Run], of_fault: Mapping[str, Terms], aims: Mapping[str, float]) -> dict[str, Any]:
    """Return medians: per fault with its terms, and over all runs of each kind beside the aim."""
    faults = {}
    for name, term in of_fault.items():
        mine = [run for run in runs if run.fault == name]
        stretches = {key: _median([getattr(run, key) for run in mine]) for key in ("found", "begun", "acted", "proven")}
        faults[name] = {
            "kind": term.kind,
            "runs": len(mine),
            "seconds": _median([run.seconds for run in mine]),
            "net_seconds": _median([_net(run, term) for run in mine]),
            "worst_seconds": max((round(run.seconds, 1) for run in mine), default=None),
            **stretches,
            "for": term.pending,
            "grace": term.grace,
            "healthy_for": term.healthy_for,
        }
    kinds = {}
    for kind, aim in aims.items():
        mine = [run for run in runs if of_fault[run.fault].kind == kind]
        net = _median([_net(run, of_fault[run.fault]) for run in mine])
        kinds[kind] = {
            "runs": len(mine),
            "seconds": _median([run.seconds for run in mine]),
            "net_seconds": net,
            "aim_seconds": aim,
            "reached": net is not None and net <= aim,
        }
    return {"faults": faults, **kinds}


def _net(run: Run, term: Terms) -> float:
    return run.seconds - term.pending - term.healthy_for


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 1) if values else None


def _line(run: Run) -> str:
    stretches = f"found {run.found:.1f}, begun {run.begun:.2f}, acted {run.acted:.2f}, proven {run.proven:.1f}"
    return f"{run.fault:13} {run.seconds:5.1f} s  ({stretches})"


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Measure and print; return 1 if a fault was not healed or anything else was touched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--scrape-interval", type=parse_duration, default=5.0)
    parser.add_argument("--seconds", type=float, default=510.0, help="end after so many seconds")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which faults are injected")
    given = parser.parse_args()
    scrape = given.scrape_interval
    _tell(f"{given.rounds} rounds of {len(FAULTS)} faults at a scrape interval of {format_duration(scrape)}")
    for name, term in terms(scrape).items():
        _tell(
            f"{name:13} {term.kind}; for {term.pending:g} s, grace {term.grace:g} s, healthy_for {term.healthy_for:g} s"
        )
    figures = measure(given.rounds, scrape, given.seconds, random.Random(given.seed))
    print(json.dumps(figures))
    return 0 if figures["healed"] == figures["injected"] > 0 and figures["bystanders_touched"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
