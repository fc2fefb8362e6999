"""How long a month of a hundred hosts takes to replay: both bounds of healing, one after the other, on one core.

The history is made here, the same for the same seed: each host some alerts a day, a few hosts that flap every half
hour, and three storms in which most hosts fall ill within a minute. Last line: `{"days", "hosts", "seconds",
"decisions"}`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from remediator.config.reading import load
from remediator.replay import Known, Period, Recording, Series, Source, account, members
from remediator.replay.reading import setting_of

BEGIN = 1_750_000_000.0
DAY = 86_400.0
STEP = 15.0
LIMIT_SECONDS = 60.0
"""For thirty days and a hundred hosts."""
KINDS = ("DiskAlmostFull", "MemoryLeak", "ServiceDown", "ProcessStuck", "BackupOld")
PER_DAY = 5.0
"""Alerts of a host a day, on average."""
STORMS = 3
FLAPPING = 20
"""Of so many hosts one flaps."""

CONFIG = """state: state
prometheus: {url: "http://127.0.0.1:9090"}
alertmanagers: [{url: "http://127.0.0.1:9093"}]
hosts: {host-000: {instances: [host-000]}}
playbooks: [playbooks/*.yml]
highest_mode: auto
limits: {rate: [200/1h]}
"""
PLAYBOOK = """playbook: fix_{name}
title: {{en: fix, ko: fix}}
trigger: {{alert: {alert}}}
mode: {mode}
target: {{host: "{{{{ $labels.instance }}}}", group: "{{{{ $labels.groupname }}}}"}}
limits: {{cooldown: 10m, rate: [3/1h, 10/1d], lock: {lock}{more}}}
steps:
  - {{action: process.terminate, with: {{group: "{{{{ $labels.groupname }}}}", over_rss: 400MiB, grace: 5s}}}}
verify: {{healthy_for: 30s, within: 3m, watch: 30m}}
otherwise: [page_owner]
"""
PLAYBOOKS = (
    ("DiskAlmostFull", "auto", "target", ""),
    ("MemoryLeak", "auto", "host", ""),
    ("ServiceDown", "auto", "target", ", blast_radius: {by: [job], max: 20%}"),
    ("ProcessStuck", "observe", "target", ""),
)
"""Nobody answers for BackupOld."""


def history(days: int, hosts: int, seed: int = 1) -> Recording:
    """Given how long and how many, return a history; the same for the same seed."""
    chance = random.Random(seed)
    series: list[Series] = []
    for number in range(hosts):
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for begin, kind, seconds in _ills(chance, number, days):
            found[kind].append((begin, begin + seconds))
        labels = {"instance": f"host-{number:03}", "job": "node", "severity": "warning", "groupname": "worker"}
        series += [
            Series({"alertname": kind, **labels}, _apart(spans)) for kind, spans in sorted(found.items()) if spans
        ]
    return Recording(Source.OPENMETRICS, BEGIN, BEGIN + days * DAY, tuple(series), STEP)


def _ills(chance: random.Random, number: int, days: int) -> Iterator[tuple[float, str, float]]:
    """Yield when which alert of one host begins, and for how many seconds it is on."""
    at = BEGIN
    while (at := at + chance.expovariate(PER_DAY / DAY)) < BEGIN + days * DAY:
        yield at, chance.choice(KINDS), 30 + chance.expovariate(1 / 900)
    if number % FLAPPING == 0:
        for half_hour in range(days * 48):
            yield BEGIN + half_hour * 1_800 + chance.uniform(0, 300), "MemoryLeak", chance.uniform(60, 600)
    for storm in range(STORMS):
        # the same moment for every host
        begin = BEGIN + (storm + 0.4) * days * DAY / STORMS
        if chance.random() < 0.8:
            for kind in ("ServiceDown", "DiskAlmostFull", "ProcessStuck"):
                yield begin + chance.uniform(0, 60), kind, chance.uniform(300, 2_400)


def _apart(spans: list[tuple[float, float]]) -> tuple[Period, ...]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1] + STEP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(Period(begin, end) for begin, end in joined)


def write_setting(folder: Path) -> Path:
    """Write a configuration and its playbooks into a folder; return the configuration's path."""
    (folder / "playbooks").mkdir()
    for alert, mode, lock, more in PLAYBOOKS:
        text = PLAYBOOK.format(name=alert.lower(), alert=alert, mode=mode, lock=lock, more=more)
        (folder / "playbooks" / f"{alert.lower()}.yml").write_text(text, encoding="utf-8")
    path = folder / "remediator.yml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def main() -> int:
    """Replay and print the figures; return 1 if a full replay takes longer than its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = load(write_setting(Path(folder)))
        recording = history(options.days, options.hosts, options.seed)
        instances = len(recording.instances())
        print(f"{recording.occurrences()} alerts of {len(recording.series)} series", file=sys.stderr)
        known = Known(None, members([each.labels for each in recording.series]), lambda _at: instances)
        begun, spent = time.perf_counter(), time.process_time()
        answer = account(recording, known, (setting_of(config, None, recording),), 600.0)
        seconds = time.perf_counter() - begun
        print(f"{time.process_time() - spent:.1f} s of processor time", file=sys.stderr)
    figures = {
        "days": options.days,
        "hosts": options.hosts,
        "seconds": round(seconds, 1),
        "decisions": sum(each["decisions"] for each in answer["scenarios"]),
    }
    full = options.days >= 30 and options.hosts >= 100
    print(f"limit: {LIMIT_SECONDS:.0f} s for 30 days of 100 hosts", file=sys.stderr)
    print(json.dumps(figures))
    return 1 if full and seconds > LIMIT_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
