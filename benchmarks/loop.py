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
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from selfheal.common.clock import SystemClock, from_rfc3339
from selfheal.common.durations import format_duration, parse_duration
from selfheal.stack import config, kernel, ports
from selfheal.stack.bystanders import foreign_effects
from selfheal.stack.events import ProgramDied
from selfheal.stack.follow import Follower, Seen
from selfheal.stack.layout import Layout
from selfheal.stack.loopback import ask
from selfheal.stack.patient import FAULTS, Fault, control
from selfheal.stack.patient.decoys import Decoys
from selfheal.stack.patient.identities import group_name
from selfheal.stack.patient.playbooks import render_playbooks
from selfheal.stack.patient.rules import Timing, render_rules
from selfheal.stack.patient.worker import KINDS
from selfheal.stack.programs import programs
from selfheal.stack.supervise import StartFailed, Supervisor
from selfheal.stack.tools import default_folder, provide

FOLLOW = 0.1
"""Seconds between two looks."""
STRETCHES = ("found", "begun", "acted", "proven")
GIVE_UP = 60.0
EVALUATION = 1.0
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


class Patient:
    """The demo's stack without its director: this benchmark decides when the patient falls ill."""

    def __init__(self, folder: Path, scrape: float) -> None:
        clock = SystemClock()
        layout = Layout(folder.resolve())
        layout.make()
        self.settings = config.Settings(layout, ports.choose(config.wanted_ports(True)), scrape, True, token_hex(4))
        self._decoys = Decoys(layout.patient, layout.decoys, self.settings.name, self.settings.ports["patient"])
        self._follower = Follower(self.settings.url("remediator"), layout.api_token, FOLLOW)
        self._supervisor = Supervisor(programs(self.settings, provide(default_folder(), _tell)), clock)
        self._clock = clock

    def start(self) -> None:
        """Start everything and return when Prometheus has seen every worker often enough for a window."""
        config.render(self.settings)
        kernel.adopt_orphans()
        self._decoys.start()
        for _ in self._supervisor.start():
            pass
        self.wait_for(lambda: self._supervisor.ready and self._decoys.ready, "every program is ready")
        seen = f'count(count_over_time(namedprocess_namegroup_num_procs{{groupname=~"{group_name(".*")}"}}[10m]) >= 3)'
        self.wait_for(lambda: self._value(seen) == len(KINDS), "the patient was scraped")

    def stop(self) -> None:
        """End every process."""
        self._supervisor.stop(lambda: False, time.sleep)
        self._decoys.stop()

    def heal(self, fault: Fault) -> Run | None:
        """Make the patient ill, return when it is proven healed and its alert is quiet, with the stretches."""
        injected = self._clock.now()
        control.ask(self.settings.layout.patient, f"ill {fault.name}")
        try:
            self.wait_for(lambda: self._verified(fault, injected) is not None, f"{fault.name} is proven", GIVE_UP)
            self.wait_for(lambda: self._is_quiet(fault), f"{fault.alert} is quiet", GIVE_UP)
        except TimeoutError as error:
            _tell(str(error))
            return None
        seen = self._verified(fault, injected)
        assert seen is not None
        whole = next(item for item in self._follower.details() if str(item["id"]) == seen.id)
        fired, started, verified = seen.fired_at, seen.started_at or 0.0, seen.verified_at or 0.0
        ended = max(from_rfc3339(step["ended_at"]) for step in whole["steps"])
        return Run(fault.name, fired - injected, started - fired, ended - started, verified - ended)

    def bystanders_touched(self) -> int:
        """Return how many decoys changed and how many recorded effects were not on the patient."""
        foreign = foreign_effects(self._follower.details(), self.settings.layout.patient)
        return len(self._decoys.changed()) + len(foreign)

    def verdicts(self) -> Counter[str]:
        """Return how often each verdict stands in the remediator's record of the patient's playbooks."""
        ours = {fault.playbook for fault in FAULTS}
        return Counter(item["verdict"] or "none" for item in self._follower.details() if item["playbook"] in ours)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Supervise until `condition` holds. Raise TimeoutError after `seconds`."""
        end = self._clock.monotonic() + seconds
        while not condition():
            if self._clock.monotonic() > end:
                raise TimeoutError(f"not within {seconds:g} s: {what}")
            for event in self._supervisor.turn():
                if isinstance(event, ProgramDied):
                    raise RuntimeError(f"{event.program} ended by itself with code {event.code}")
            self._follower.turn(self._clock.monotonic(), self._clock.now())
            time.sleep(FOLLOW)

    def _verified(self, fault: Fault, injected: float) -> Seen | None:
        # an evaluation is stamped with the moment it was due, which may lie just before the injection
        after = injected - EVALUATION
        ours = [seen for seen in self._follower.seen.values() if seen.playbook == fault.playbook]
        return next((seen for seen in ours if seen.fired_at >= after and seen.verdict == "fixed"), None)

    def _is_quiet(self, fault: Fault) -> bool:
        return self._value(f'count(ALERTS{{alertname="{fault.alert}"}}) or vector(0)') == 0

    def _value(self, query: str) -> float | None:
        answer = ask(f"{self.settings.url('prometheus')}/api/v1/query", {"query": query})
        found = [] if answer is None else answer["data"]["result"]
        return float(found[0]["value"][1]) if found else None


def measure(rounds: int, scrape: float, seconds: float, dice: random.Random) -> dict[str, Any]:
    """Let the patient fall ill `rounds` times with every fault, begin no round after `seconds`, return the figures."""
    outcomes: list[Round] = []
    begun = time.monotonic()
    for number in range(1, rounds + 1):
        if time.monotonic() - begun > seconds:
            _tell(f"{seconds:g} s are over")
            break
        _tell(f"round {number}")
        outcomes.append(_round(scrape, dice))
    runs = [run for outcome in outcomes for run in outcome.runs]
    verdicts = sum((outcome.verdicts for outcome in outcomes), Counter[str]())
    return _figures(runs, terms(scrape), AIMS) | {
        "rounds": len(outcomes),
        "injected": len(outcomes) * len(FAULTS),
        "healed": len(runs),
        "verdicts": dict(verdicts),
        "bystanders_touched": sum(outcome.touched for outcome in outcomes),
        "scrape_seconds": scrape,
        "evaluation_seconds": EVALUATION,
        "seconds": round(time.monotonic() - begun),
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
    }


@dataclass(frozen=True, slots=True)
class Round:
    """Every fault once, on a stack of its own."""

    runs: tuple[Run, ...]
    """Of the faults that were proven healed."""
    verdicts: Counter[str]
    touched: int
    """Bystanders."""


def _round(scrape: float, dice: random.Random) -> Round:
    """Start everything anew, so that no round inherits another's history, and let the patient fall ill five times."""
    runs = []
    with TemporaryDirectory() as folder:
        patient = Patient(Path(folder), scrape)
        try:
            patient.start()
            for fault in FAULTS:
                # any moment between two scrapes is as likely as any other
                time.sleep(dice.uniform(0.0, scrape))
                run = patient.heal(fault)
                if run is not None:
                    runs.append(run)
                    _tell(_line(run))
            return Round(tuple(runs), patient.verdicts(), patient.bystanders_touched())
        except StartFailed as error:
            # its log goes with the folder
            _tell("\n".join([str(error), *error.tail()]))
            raise
        finally:
            patient.stop()


def _figures(runs: Sequence[Run], of_fault: Mapping[str, Terms], aims: Mapping[str, float]) -> dict[str, Any]:
    """Return medians: per fault with its terms, and over all runs of each kind beside the aim."""
    faults = {}
    for name, term in of_fault.items():
        mine = [run for run in runs if run.fault == name]
        stretches = {key: _median([getattr(run, key) for run in mine], 2) for key in STRETCHES}
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


def _median(values: Sequence[float], digits: int = 1) -> float | None:
    return round(median(values), digits) if values else None


def _line(run: Run) -> str:
    stretches = f"found {run.found:.1f}, begun {run.begun:.2f}, acted {run.acted:.2f}, proven {run.proven:.1f}"
    return f"{run.fault:13} {run.seconds:5.1f} s  ({stretches})"


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Measure and print; return 1 if a fault was not healed or anything else was touched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault is injected")
    parser.add_argument("--scrape-interval", type=parse_duration, default=5.0)
    parser.add_argument("--seconds", type=float, default=400.0, help="begin no round after so many")
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
