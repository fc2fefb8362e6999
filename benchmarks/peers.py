"""The remediator beside Debian's `webhook`, in one run: `python -m benchmarks.peers`.

Both are given the same alerts by the same client and have the same command to run for each: a shell that appends a line
to a file and syncs it. First a burst in whose middle each is killed with kill -9 and started again: how many alerts
were answered 200, how many commands ran, how many were lost, how many ran twice. Then ten alerts a second: from the 200
until the command ran. Ours asks Prometheus before each command whether it is still needed; webhook does not.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from benchmarks import ledger
from benchmarks.crash import LIMITS, PLAYBOOK
from benchmarks.peer_programs import found
from benchmarks.rig import Rig, free_port, hook_headers, payload, running, until
from benchmarks.storm import RULES, alert, drip, page, percentile

CONNECTIONS = 32
PER_SECOND = 10.0
FOUND_HERE = "usr/bin/webhook"


class Subject(Protocol):
    """A receiver of alerts that can be killed and started again."""

    port: int
    path: str
    file: Path
    """Where its commands write their lines."""

    def start(self) -> None:
        """Start it, and return once it listens."""
        ...

    def kill(self) -> None:
        """End it as a crash does."""
        ...


class Ours:
    """The remediator."""

    path = "/hooks/alertmanager"

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.port = rig.port
        self.file = rig.folder / "ledger"

    def start(self) -> None:
        """Start it."""
        self._rig.start_remediator()

    def kill(self) -> None:
        """Kill it."""
        self._rig.stop_remediator(signal.SIGKILL)


class Webhook:
    """Debian's webhook, with one hook that runs the same command."""

    path = "/hooks/alert"

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary, self._folder = binary, folder
        self.port = free_port()
        self.file = folder / "ran"
        self._child: subprocess.Popen[bytes] | None = None
        command = folder / "command"
        # the same shell line as ours; the item comes as first argument and stands for the step's id
        command.write_text(f'#!/bin/sh\nset -- "$1" \'{self.file}\' "item $1"\n{ledger.APPEND}\n', "utf-8")
        command.chmod(0o755)
        hook = {
            "id": "alert",
            "execute-command": str(command),
            "pass-arguments-to-command": [{"source": "payload", "name": "alerts.0.labels.item"}],
        }
        (folder / "hooks.json").write_text(json.dumps([hook]), "utf-8")

    def start(self) -> None:
        """Start it."""
        listen = ["-ip", "127.0.0.1", "-port", str(self.port)]
        with (self._folder / "webhook.log").open("ab") as log:
            self._child = subprocess.Popen(
                [str(self._binary), "-hooks", str(self._folder / "hooks.json"), *listen], stdout=log, stderr=log
            )
        until(self._listens)

    def _listens(self) -> bool:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                connection.request("GET", "/")
                return connection.getresponse().status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


def post(connection: http.client.HTTPConnection, path: str, body: str) -> int:
    """Deliver one body; return the status."""
    connection.request("POST", path, body, hook_headers())
    answer = connection.getresponse()
    answer.read()
    return answer.status


def deliver(connection: http.client.HTTPConnection, path: str, body: str) -> int:
    """Deliver one body, again and again while nobody answers, as Alertmanager does; return the status."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return post(connection, path, body)
        except (OSError, http.client.HTTPException):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def burst(subject: Subject, rig: Rig, count: int) -> tuple[set[str], float]:
    """Post `count` alerts; in their middle the subject is killed and started again. Return what was answered 200."""
    bodies = {f"i{n}": json.dumps(payload([alert(rig, f"i{n}")])) for n in range(count)}
    left = iter(bodies.items())
    lock, third = threading.Lock(), threading.Event()
    answered: set[str] = set()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=30)
        while True:
            with lock:
                item, body = next(left, ("", ""))
            if not item:
                break
            if deliver(connection, subject.path, body) == 200:
                with lock:
                    answered.add(item)
                    if len(answered) >= count // 3:
                        third.set()
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    third.wait(120)
    subject.kill()
    seconds = time.perf_counter() - begun
    rate = len(answered) / seconds
    subject.start()
    for thread in threads:
        thread.join()
    return answered, rate


def ran(subject: Subject) -> Counter[str]:
    """Return how often the command ran for each item."""
    return Counter(line.split()[-1] for line in ledger.lines(subject.file))


def settled(subject: Subject) -> Counter[str]:
    """Return what ran, once nothing more has for three seconds."""
    before: Counter[str] = Counter()
    since = time.monotonic()
    while time.monotonic() - since < 3.0:
        time.sleep(0.25)
        now = ran(subject)
        if now != before:
            before, since = now, time.monotonic()
    return before


def delays(subject: Subject, answered: Mapping[str, float]) -> list[float]:
    """Given when each item was answered, return the seconds from each 200 until its command ran."""
    settled(subject)
    started = {line.split()[-1]: float(line.split()[1]) for line in ledger.lines(subject.file)}
    return [started[item] - at for item, at in answered.items() if item in started]


def measure_one(subject: Subject, rig: Rig, count: int, seconds: int, doubt: Callable[[], set[str]]) -> dict[str, Any]:
    """Return the figures of one subject."""
    subject.start()
    answered, rate = burst(subject, rig, count)
    commands = settled(subject)
    unknown = doubt()
    later = range(count, count + int(seconds * PER_SECOND))
    answered_at = drip(rig, later, PER_SECOND, subject.port, subject.path)
    waited = delays(subject, answered_at)
    subject.kill()
    return {
        "answered": len(answered),
        "answered_per_second": round(rate),
        "ran": sum(1 for item in answered if item in commands),
        # said to be unknown and left to a person is not lost
        "unknown": len(unknown),
        "lost": len(lost(answered, set(commands), unknown)),
        "twice": sum(number - 1 for number in commands.values()),
        "command_p50_ms": round(percentile(waited, 0.5) * 1000, 1),
        "command_p99_ms": round(percentile(waited, 0.99) * 1000, 1),
    }


def lost(answered: set[str], commands: set[str], unknown: set[str]) -> set[str]:
    """Return what was answered 200 and neither ran nor is itself said to be unknown: one doubt excuses no other."""
    return answered - commands - unknown


def measure(count: int, seconds: int) -> dict[str, Any]:
    """Run both, one after the other, and return their figures."""
    binary = found("webhook", FOUND_HERE)
    with (
        TemporaryDirectory() as folder,
        running(
            Rig(Path(folder) / "rig", RULES, scrape="5s", evaluation="5s", playbooks=[PLAYBOOK], limits=LIMITS)
        ) as rig,
    ):
        sick = count + int(seconds * PER_SECOND)
        rig.gauges.text = page(0, sick, 1)
        rig.start(deliver=False)
        until(lambda: len(rig.query("sick > 0")) == sick, 60)
        ours = measure_one(Ours(rig), rig, count, seconds, partial(in_doubt, rig))
        webhook = measure_one(Webhook(binary, Path(folder)), rig, count, seconds, set)
    return {"alerts": count, "ours": ours, "webhook": webhook}


def in_doubt(rig: Rig) -> set[str]:
    """Return the items whose outcomes the remediator says it does not know."""
    found: set[str] = set()
    cursor = ""
    while True:
        answer = rig.api(f"/api/v1/remediations?state=unknown&limit=500{cursor}")
        found |= {entry["alert"]["labels"]["item"] for entry in answer["items"]}
        if answer["next"] is None:
            return found
        cursor = f"&cursor={answer['next']}"


def main() -> int:
    """Measure and print; return 1 if ours lost or doubled anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=3_000)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    figures = measure(given.alerts, given.seconds)
    print(json.dumps(figures))
    return 1 if figures["ours"]["lost"] or figures["ours"]["twice"] else 0


if __name__ == "__main__":
    sys.exit(main())
