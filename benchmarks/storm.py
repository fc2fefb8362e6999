"""How the remediator takes a storm: `python -m benchmarks.storm --alerts 10000`.

Phase 1: `--alerts` distinct alerts, one a POST, over 32 keep-alive connections, while a real Prometheus scrapes as
many sick series every 5 s. Phase 2: those are healed, 600 others are sick, and ten alerts a second arrive for a minute
with an empty queue; each must be found still firing by a live question before its first step.
Our modules are compiled before, as an installation compiles them: what a start compiles itself it also keeps.
Figures end in one JSON line: alerts, per_second, ack and first-step times (p50, p99), memory, answers
of guards, start time. What the rig lifts for measuring stands in its configuration; every guard is still asked.
"""

from __future__ import annotations

import argparse
import compileall
import http.client
import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import remediator as remediator_package
import selfheal
from benchmarks.rig import HOST, Rig, hook_headers, payload, running, until
from selfheal.common.clock import from_rfc3339, to_rfc3339

CONNECTIONS = 32
SICK_LATER = 600
GIVEN_BACK = 6.0
"""Seconds after which the remediator has given back what the last answers needed."""
SCRAPE = "5s"
"""How often Prometheus scrapes and evaluates. Ten thousand alerts every second would take 1.3 cores of it alone."""
RULES = """groups:
  - name: storm
    rules:
      - alert: Sick
        expr: sick > 0
        for: 0s
        labels: {severity: warning}
        annotations: {summary: sick}
"""
PLAYBOOK = """playbook: note_it
title: {en: Note it, ko: 적어 두기}
trigger: {alert: Sick}
mode: auto
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
limits: {cooldown: 0s, rate: [1000000/1h], lock: target}
steps:
  - action: notify.log
    with: {message: "item {{ $labels.item }} is sick"}
verify: none
"""
LIMITS = "limits: {rate: [1000000/1h]}"


WANTED = {
    "per_second": (1_500, 1_000),
    "ack_p99_ms": (50, 100),
    "first_step_p50_ms": (3, 10),
    "first_step_p99_ms": (25, 50),
    "rss_idle_mb": (48, 48),
    "rss_mb": (60, 60),
    "start_seconds": (1, 1),
}
"""Aim, and what may not be missed; of `per_second` more is better, of all others less."""


def alert(rig: Rig, item: str) -> dict[str, Any]:
    """Return the alert that Prometheus itself would deliver for `item`."""
    labels = {"alertname": "Sick", "instance": rig.instance, "item": item, "job": "gauges", "severity": "warning"}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "sick"},
        "fingerprint": f"{hash(item) % 2**64:016x}",
        "startsAt": to_rfc3339(time.time()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
    }


def page(first: int, count: int, value: int, rest: tuple[int, int] = (0, 0)) -> str:
    """Return a metrics page of `count` items from `first` at `value`, and of others at 0."""
    lines = ["# TYPE sick gauge"]
    lines += [f'sick{{item="i{n}"}} {value}' for n in range(first, first + count)]
    lines += [f'sick{{item="i{n}"}} 0' for n in range(rest[0], rest[0] + rest[1])]
    return "\n".join(lines) + "\n"


def burst(rig: Rig, count: int) -> tuple[float, list[float], int]:
    """Post `count` alerts over the connections; return seconds, answer times, and how many were refused."""
    bodies = [json.dumps(payload([alert(rig, f"i{n}")])).encode() for n in range(count)]
    taken = iter(range(count))
    lock = threading.Lock()
    times: list[float] = []
    refused = 0

    def client() -> None:
        nonlocal refused
        connection = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=60)
        mine: list[float] = []
        bad = 0
        while True:
            with lock:
                number = next(taken, None)
            if number is None:
                break
            begun = time.perf_counter()
            connection.request("POST", "/hooks/alertmanager", bodies[number], hook_headers())
            answer = connection.getresponse()
            answer.read()
            mine.append(time.perf_counter() - begun)
            bad += answer.status != 200
        connection.close()
        with lock:
            times.extend(mine)
            refused += bad

    threads = [threading.Thread(target=client) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, times, refused


def drip(
    rig: Rig, numbers: range, per_second: float, port: int | None = None, path: str = "/hooks/alertmanager"
) -> dict[str, float]:
    """Post one alert at a time at an even pace, to the remediator or `port`; return when each was answered, by item."""
    answered = {}
    with closing(http.client.HTTPConnection("127.0.0.1", port or rig.port, timeout=60)) as connection:
        begun = time.monotonic()
        for turn, number in enumerate(numbers):
            time.sleep(max(0.0, begun + turn / per_second - time.monotonic()))
            item = f"i{number}"
            connection.request("POST", path, json.dumps(payload([alert(rig, item)])), hook_headers())
            answer = connection.getresponse()
            answer.read()
            answered[item] = time.time()
            if answer.status != 200:
                raise RuntimeError(f"an alert of the quiet phase was answered {answer.status}")
    return answered


def remediations(rig: Rig, wanted: set[str]) -> dict[str, float]:
    """Return when the first step of each wanted item was begun, from the API."""
    found: dict[str, float] = {}
    cursor = ""
    while True:
        answer = rig.api(f"/api/v1/remediations?limit=500{cursor}")
        for item in answer["items"]:
            name = item["alert"]["labels"].get("item", "")
            if name in wanted and item["started_at"]:
                found[name] = from_rfc3339(item["started_at"])
        if answer["next"] is None or len(found) == len(wanted):
            return found
        cursor = f"&cursor={answer['next']}"


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the sorted values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rss_mb(pid: int, which: str = "VmRSS") -> float:
    """Return a process's resident memory in MB, now or (VmHWM) the most it ever was."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.split(f"{which}:")[1].split()[0]) / 1000


def guards_evaluated(state: Path) -> int:
    """Return how many answers of guards the store holds."""
    with closing(sqlite3.connect(f"file:{state / 'selfheal.db'}?mode=ro", uri=True)) as connection:
        return sum(len(json.loads(answers)) for (answers,) in connection.execute("SELECT answers FROM decision"))


def queue_depth(rig: Rig) -> int:
    """Return how many rows of work are due."""
    return int(rig.api("/api/v1/status")["queue"]["depth"])


def compile_all() -> None:
    """Compile what the remediator is made of, as pip does when it installs."""
    for package in (remediator_package, selfheal):
        assert package.__file__
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)


def measure(count: int, quiet_seconds: int) -> dict[str, Any]:
    """Run both phases and return the figures."""
    compile_all()
    with (
        TemporaryDirectory() as folder,
        running(
            Rig(Path(folder) / "rig", RULES, scrape=SCRAPE, evaluation=SCRAPE, playbooks=[PLAYBOOK], limits=LIMITS)
        ) as rig,
    ):
        rig.gauges.text = page(0, count, 1, (count, SICK_LATER))
        rig.start(deliver=False)
        until(lambda: len(rig.query("sick > 0")) == count, 60)
        start_seconds = rig.start_remediator()
        assert rig.remediator is not None
        idle = rss_mb(rig.remediator.pid)
        seconds, acks, refused = burst(rig, count)
        print(f"phase 1: {count} alerts in {seconds:.2f} s, {refused} not answered 200", flush=True)
        drained = time.monotonic()
        until(lambda: queue_depth(rig) == 0, 300, 0.5)
        print(f"queue empty {time.monotonic() - drained:.1f} s later", flush=True)
        rig.gauges.text = page(count, SICK_LATER, 1, (0, count))
        until(lambda: len(rig.query("sick > 0")) == SICK_LATER and len(rig.query("ALERTS")) == SICK_LATER, 60)
        answered = drip(rig, range(count, count + min(SICK_LATER, quiet_seconds * 10)), 10.0)
        until(lambda: len(remediations(rig, set(answered))) == len(answered), 60, 0.5)
        begun = remediations(rig, set(answered))
        # started_at has milliseconds; the answer's clock is read by the client after the answer
        delays = [max(0.0, begun[item] - at) for item, at in answered.items()]
        time.sleep(GIVEN_BACK)
        after, most = rss_mb(rig.remediator.pid), rss_mb(rig.remediator.pid, "VmHWM")
        rig.stop_remediator()
        asked = guards_evaluated(rig.folder / "state")
    return {
        "alerts": count,
        "refused": refused,
        "per_second": round(count / seconds),
        "ack_p50_ms": round(percentile(acks, 0.5) * 1000, 1),
        "ack_p99_ms": round(percentile(acks, 0.99) * 1000, 1),
        "first_step_p50_ms": round(percentile(delays, 0.5) * 1000, 1),
        "first_step_p99_ms": round(percentile(delays, 0.99) * 1000, 1),
        "rss_idle_mb": round(idle, 1),
        "rss_mb": round(after, 1),
        "rss_peak_mb": round(most, 1),
        "guards_evaluated": asked,
        "start_seconds": round(start_seconds, 2),
        "cores": os.cpu_count(),
        "host": HOST,
    }


def main() -> int:
    """Measure and print; return 1 if an alert of the burst was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--quiet-seconds", type=int, default=60)
    given = parser.parse_args()
    figures = measure(given.alerts, given.quiet_seconds)
    for name, (aim, floor) in WANTED.items():
        print(f"{name:18} {figures[name]:8} aim {aim:5} floor {floor:5}")
    print(json.dumps(figures))
    return 1 if figures["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
