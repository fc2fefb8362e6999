"""kill -9 under load, again and again: `python -m benchmarks.crash --kills 500`.

A feeder posts distinct alerts without pause and notes each that was answered 200. The remediator is killed at random
moments and at every named point (before and after intent, effect, result and verify), and started again on the same
store. At the end every acknowledged alert must have a fate, no step may be silently absent and no remediation be left
without work before its end (lost 0), and no alert's effect may stand twice in the ledger (doubled 0), by whichever
remediation: the effect's own process writes and syncs it, outside the store.
A run counts only if at least a quarter of its kills fell between intent and result and some outcome became unknown.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import ledger
from benchmarks.rig import Rig, hook_headers, payload, running, until
from benchmarks.storm import alert

BETWEEN = ("intent_stored", "effect_begun", "effect_ended", "effect_done")
"""Points after the intent and before the result is stored."""
POINTS = ("receive", "before_intent", *BETWEEN, "result_stored", "before_verify", "verify_stored")
LEAST_BETWEEN = 0.25
"""Share of the kills that must fall between intent and result."""
PER_KILL = 50
"""Alerts for each kill."""
LEAST = 1_000
REACHED = 60.0
"""Seconds within which a point is reached, on a machine that has much else to do."""
WATCHED_EVERY = 10
"""One alert in so many is verified. Its rule is one of its own: the whole of a rule's answer is read for each proof."""
RULES = """groups:
  - name: crash
    rules:
      - {alert: Sick, expr: "sick > 0", labels: {severity: warning}, annotations: {summary: sick}}
      - {alert: Watched, expr: "watched > 0", labels: {severity: warning}, annotations: {summary: sick}}
"""
SCRAPE = "5s"
"""How often Prometheus scrapes and evaluates; every second it would take more of the machine than all else."""
PAUSE = 0.02
"""Seconds between two alerts on one connection."""
DRAINED = 1_800.0
"""Seconds that the last one may take to come to the end of what the killed ones left."""
MOST_OFTEN = 20
"""Times that a point is passed before it kills."""
MOST_VERIFIED = 3
"""The same for the points of verifying, which few come to."""
PLAYBOOK = """playbook: append_it
title: {en: Append it, ko: 덧붙이기}
trigger: {alert: Sick}
mode: auto
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
limits: {cooldown: 0s, rate: [1000000/1h], lock: target}
steps:
  - action: ledger.append
    with: {note: "item {{ $labels.item }}"}
verify: none
"""
PROVEN = (
    PLAYBOOK.replace("append_it", "append_and_prove")
    .replace("alert: Sick", "alert: Watched")
    .replace("verify: none", "verify: {healthy_for: 0s, within: 5s}")
    .replace("lock: target", "lock: target, attempts: 1")
)
LIMITS = "limits: {rate: [1000000/1h]}"


class Feeder:
    """Posts alerts one after the other on several connections, noting which were acknowledged."""

    def __init__(self, rig: Rig, connections: int = 4) -> None:
        self._rig = rig
        self.acknowledged: set[str] = set()
        self._next = 0
        self.most = 0
        """Alerts that may have been begun by now: a slow machine must not use up those of later kills."""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._feed) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def _feed(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._rig.port, timeout=5)
        number, body = None, ""
        while not self._ended.wait(PAUSE):
            if number is None:
                with self._lock:
                    if self._next >= self.most:
                        continue
                    number, self._next = self._next, self._next + 1
                body = self._body(number)
            try:
                connection.request("POST", "/hooks/alertmanager", body, hook_headers())
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                # the remediator is dead just now: nothing was promised, and the same one is sent again
                connection.close()
                continue
            if answer.status == 200:
                with self._lock:
                    self.acknowledged.add(f"i{number}")
            number = None
        connection.close()

    def _body(self, number: int) -> str:
        """Return the delivery of one alert; sent again it must be the same, for a later start is another period."""
        sick = alert(self._rig, f"i{number}")
        if number % WATCHED_EVERY == 0:
            sick["labels"]["alertname"] = "Watched"
        return json.dumps(payload([sick]))

    def stop(self) -> None:
        """End the feeding."""
        self._ended.set()
        for thread in self._threads:
            thread.join()


def page(most: int) -> str:
    """Return a metrics page on which all `most` items are sick."""
    names = ["watched" if number % WATCHED_EVERY == 0 else "sick" for number in range(most)]
    return "".join(f'{name}{{item="i{number}"}} 1\n' for number, name in enumerate(names))


def fates(rig: Rig) -> dict[str, Any]:
    """Return every stored alert's API entry by item."""
    found: dict[str, Any] = {}
    cursor = ""
    while True:
        answer = rig.api(f"/api/v1/alerts?limit=500{cursor}")
        for entry in answer["items"]:
            found[entry["labels"].get("item", "")] = entry
        if answer["next"] is None:
            return found
        cursor = f"&cursor={answer['next']}"


def kill(rig: Rig, number: int, dice: random.Random) -> str:
    """Run the remediator once and have it killed; return the point."""
    if number % 3 == 0:
        rig.start_remediator()
        time.sleep(dice.uniform(0.02, 0.4))
        rig.stop_remediator(signal.SIGKILL)
        return "random"
    point = POINTS[(number - number // 3 - 1) % len(POINTS)]
    most = MOST_VERIFIED if "verify" in point else MOST_OFTEN
    rig.start_remediator("--kill-at", f"{point}:{dice.randint(1, most)}", wait=False)
    assert rig.remediator is not None
    try:
        rig.remediator.wait(REACHED)
    except subprocess.TimeoutExpired:
        # the point was not reached that often: a random kill then
        point = "random"
    rig.stop_remediator(signal.SIGKILL)
    return point


def measure(kills: int, seed: int) -> dict[str, Any]:
    """Kill `kills` times, let the last one finish, and count."""
    dice = random.Random(seed)
    by_point: Counter[str] = Counter()
    most = max(LEAST, kills * PER_KILL)
    with (
        TemporaryDirectory() as folder,
        running(
            Rig(
                Path(folder) / "rig",
                RULES,
                scrape=SCRAPE,
                evaluation=SCRAPE,
                playbooks=[PLAYBOOK, PROVEN],
                limits=LIMITS,
            )
        ) as rig,
    ):
        rig.gauges.text = page(most)
        rig.start(deliver=False)
        until(lambda: len(rig.query("ALERTS")) == most, 120)
        feeder = Feeder(rig)
        try:
            for number in range(kills):
                feeder.most = most * (number + 1) // kills
                by_point[kill(rig, number, dice)] += 1
                if sys.stderr.isatty():
                    print(f"\r{number + 1} kills", end="", file=sys.stderr, flush=True)
            rig.start_remediator()
            feeder.stop()
            until(lambda: rig.api("/api/v1/status")["queue"]["depth"] == 0, DRAINED, 0.5)
            counts = rig.api("/api/v1/status")["counts"]
            found = fates(rig)
        finally:
            feeder.stop()
        rig.stop_remediator()
        ids = ledger.entries(rig.folder / "ledger")
        doubled = ledger.doubled(rig.folder / "ledger")
        absent = silently_absent(rig.folder / "state", set(ids)) + stranded(rig.folder / "state")
    lost = [item for item in feeder.acknowledged if item not in found or _without_fate(found[item])]
    between = sum(by_point[point] for point in BETWEEN)
    return {
        "kills": kills,
        "acknowledged": len(feeder.acknowledged),
        "lost": len(lost) + len(absent),
        "doubled": doubled,
        "valid": between >= LEAST_BETWEEN * kills and counts.get("unknown", 0) > 0,
        "unknown": counts.get("unknown", 0),
        "effects": len(ids),
        "by_point": dict(by_point),
        "seed": seed,
    }


def silently_absent(state: Path, done: set[str]) -> list[str]:
    """Return what the store tells of effects that the ledger does not know, and of successes without any step.

    The file is read as anybody could: the program under test is not asked about itself.
    """
    with _opened(state) as connection:
        steps = connection.execute("SELECT plan FROM step WHERE state = 'done'").fetchall()
        without = connection.execute(
            "SELECT id FROM remediation AS r WHERE state = 'succeeded'"
            " AND NOT EXISTS (SELECT 1 FROM step AS s WHERE s.remediation_id = r.id AND s.state IN ('done', 'unknown'))"
        ).fetchall()
    said = [item["verb"] for (plan,) in steps for item in json.loads(plan)["items"]]
    return [verb for verb in said if verb not in done] + [f"remediation {number}" for (number,) in without]


def stranded(state: Path) -> list[str]:
    """Return the remediations that the store has in a state before the end, with nothing that would take them on.

    One whose outcome is unknown waits for a person.
    """
    with _opened(state) as connection:
        found = connection.execute(
            "SELECT id, state FROM remediation AS r WHERE ended_at IS NULL AND state <> 'unknown'"
            " AND NOT EXISTS (SELECT 1 FROM work AS w WHERE w.kind = 'remediation' AND w.id = r.id)"
        ).fetchall()
    return [f"remediation {number} is {state}" for number, state in found]


def _opened(state: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{state / 'selfheal.db'}?mode=ro", uri=True))


def _without_fate(entry: dict[str, Any]) -> bool:
    # an unknown outcome is a fate: it stands there, with its reason, until a person settles it
    return entry["fate"] is None and entry["remediation_id"] is None


def main() -> int:
    """Measure and print; return 1 if anything was lost or doubled, or too few kills fell where they matter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    figures = measure(given.kills, given.seed)
    between = sum(figures["by_point"].get(point, 0) for point in BETWEEN) / given.kills
    print(f"lost               {figures['lost']:8} aim     0 floor     0")
    print(f"doubled            {figures['doubled']:8} aim     0 floor     0")
    print(f"share in between   {between:8.2f} floor {LEAST_BETWEEN:5}")
    print(f"unknown            {figures['unknown']:8} floor     1")
    print(json.dumps(figures))
    return 1 if figures["lost"] or figures["doubled"] or not figures["valid"] else 0


if __name__ == "__main__":
    sys.exit(main())
