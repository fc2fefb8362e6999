"""One round: hosts made anew, every kind once, hosts in parallel and one fault at a time on each."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.healing.centre import Centre
from benchmarks.healing.configure import exporter_argv, remediator_argv, render_host
from benchmarks.healing.faults import Fault
from benchmarks.healing.hosts import Host
from benchmarks.healing.judge import Judge, Outcome
from benchmarks.healing.layout import Pace
from benchmarks.rig import until
from selfheal.stack.tools import Tool

CACHE = "/srv/app/cache"
READY_WITHIN = 180.0
QUIET_WITHIN = 90.0
Tell = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What one round, or several, came to."""

    outcomes: list[Outcome] = field(default_factory=list)
    bystanders: list[str] = field(default_factory=list)
    """Decoys that changed."""
    false_actions: list[str] = field(default_factory=list)
    """Effects on what was not ill, or was not to be touched."""
    decoys: int = 0


def spread(faults: Iterable[Fault], hosts: int, dice: random.Random) -> list[list[Fault]]:
    """Return for each host the kinds that it gets: long ones first where least is to do, in a random order each."""
    queues: list[list[Fault]] = [[] for _ in range(hosts)]
    mixed = list(faults)
    dice.shuffle(mixed)
    mixed.sort(key=lambda fault: fault.seconds, reverse=True)
    for fault in sorted(mixed, key=lambda fault: fault.only is None):
        queue = min(queues, key=lambda each: sum(other.seconds for other in each))
        if fault.only:
            queue = queues[fault.only - 1]
        elif fault.busy:
            # one core at a time is burnt, of two
            queue = next((each for each in queues if any(other.busy for other in each)), queue)
        queue.append(fault)
    for queue in queues:
        dice.shuffle(queue)
    return queues


class Round:
    """The hosts of one round and what befalls them."""

    def __init__(
        self, folder: Path, queues: Sequence[Sequence[Fault]], dice: random.Random, tell: Tell, pace: Pace
    ) -> None:
        self.folder, self._pace = folder, pace
        self.hosts = [Host(number, folder / f"host-{number}") for number in range(1, len(queues) + 1)]
        self._queues = dict(zip((host.name for host in self.hosts), queues, strict=True))
        self._moments = {fault.name: dice.uniform(0.0, pace.scrape) for queue in queues for fault in queue}
        self._tell = tell
        self.tally = Tally()

    def run(self, tools: Mapping[str, Tool]) -> Tally:
        """Run all of it and return what came of it; whatever was started has ended then."""
        centre = Centre(self.folder / "centre", tools)
        try:
            self._furnish()
            self._tell("hosts, workers and decoys are there")
            centre.start(self.hosts, self._pace)
            self._start_programs()
            self._wait_until_seen(centre)
            self._tell("everything was scraped; now they fall ill")
            self._all_hosts(lambda host: self._befall(host, centre))
            self._sum_up(centre)
            return self.tally
        finally:
            centre.stop()
            self.stop()

    def stop(self) -> None:
        """End every host."""
        for host in self.hosts:
            host.stop()

    def _furnish(self) -> None:
        for host in self.hosts:
            host.start()
            for fault in self._queues[host.name]:
                host.directories += fault.directories
                host.services |= fault.services
                host.heartbeats |= {fault.heartbeat} - {""}
                host.probes |= {fault.probe} - {""}
                fault.prepare(host)
            if not host.decoys.has_link:
                # permitted on every host, though nothing falls ill in it here
                (host.root / CACHE[1:]).mkdir(parents=True, exist_ok=True)
                host.decoys.around(CACHE, "quiet")
            render_host(host, self._pace)
        until(lambda: all(host.decoys.ready for host in self.hosts), READY_WITHIN)
        self.tally.decoys = sum(host.decoys.count for host in self.hosts)

    def _start_programs(self) -> None:
        for host in self.hosts:
            host.spawn("exporter", exporter_argv(host), log=True)
            host.spawn("remediator", remediator_argv(host), log=True)

    def _wait_until_seen(self, centre: Centre) -> None:
        """Wait until all remediators are ready and Prometheus has seen every target often enough for a window."""
        for host in self.hosts:
            until(lambda host=host: centre.is_ready(host) or not host.runs("remediator"), READY_WITHIN, 0.2)  # type: ignore[misc]
            if not host.runs("remediator"):
                log = (host.folder / "remediator.log").read_text("utf-8", "replace")
                raise RuntimeError(f"the remediator of {host.name} has ended:\n{log[-3000:]}")
        targets = 2 * len(self.hosts) + sum(len(host.services) for host in self.hosts)
        seen = "count(sum_over_time(up[10m]) >= 4)"
        until(lambda: [float(each["value"][1]) for each in centre.query(seen)] == [targets], READY_WITHIN, 0.5)

    def _all_hosts(self, work: Callable[[Host], None]) -> None:
        threads = [threading.Thread(target=work, args=(host,), name=host.name, daemon=True) for host in self.hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _befall(self, host: Host, centre: Centre) -> None:
        for fault in self._queues[host.name]:
            judge = Judge(host, centre, fault)
            try:
                outcome = self._one(host, centre, judge)
            except Exception as error:  # noqa: BLE001 - one kind that cannot be measured must not end the others
                outcome = judge.failed(f"{type(error).__name__}: {error}")
            self.tally.outcomes.append(outcome)
            self._tell(f"{host.name}: {outcome}")

    def _one(self, host: Host, centre: Centre, judge: Judge) -> Outcome:
        fault = judge.fault
        fault.before(host, centre)
        # any moment between two scrapes is as likely as any other
        time.sleep(self._moments[fault.name])
        outcome = judge.follow()
        with suppress(OSError, RuntimeError):
            fault.cure(host)
        with suppress(TimeoutError):
            until(lambda: not centre.fires(host, fault.alert, fault.about), QUIET_WITHIN, 0.3)
        return outcome

    def _sum_up(self, centre: Centre) -> None:
        """Look at every decoy and at every effect that any remediator stored."""
        for host in self.hosts:
            self.tally.bystanders += [f"{host.name}: {name}" for name in host.decoys.changed()]
            mine = [outcome for outcome in self.tally.outcomes if outcome.host == host.name]
            for remediation in centre.remediations(host):
                self.tally.false_actions += foreign(host, remediation, self._queues[host.name], mine)


def foreign(
    host: Host, remediation: Mapping[str, object], faults: Sequence[Fault], outcomes: Sequence[Outcome]
) -> list[str]:
    """Return every effect of a remediation that no fault of this host, in its time, accounts for."""
    labels = remediation["alert"]["labels"]  # type: ignore[index]
    effects = [
        effect
        for step in remediation["steps"]  # type: ignore[attr-defined]
        for effect in (step["outcome"] or {}).get("effects", ())
    ]
    if not effects:
        return []
    times = {outcome.kind: (outcome.injected, outcome.ended) for outcome in outcomes}
    begun = Judge.time_of(remediation["started_at"])
    causes = [
        fault
        for fault in faults
        if fault.is_about(labels) and (not fault.handed or fault.touched) and _within(begun, times.get(fault.name))
    ]
    return [
        f"{host.name}: {remediation['playbook']} touched {effect}"
        for effect in effects
        if not any(fault.owns(host, effect) for fault in causes)
    ]


def _within(moment: float | None, span: tuple[float, float] | None) -> bool:
    return moment is not None and span is not None and span[0] <= moment <= span[1]
