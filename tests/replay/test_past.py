"""A real Prometheus with backfilled ALERTS, read and replayed from end to end, and what its answers mean."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import free_port, until
from remediator.evidence.prometheus import Course, Prometheus
from remediator.replay import NotReadable, past
from remediator.replay.recording import Gap
from tests.replay.histories import HOUR, playbook, write
from tests.tools import tool

TOP = Path(__file__).parents[2]
STEP = 15
LENGTH = 3 * int(HOUR)
HOSTS = ("web-0", "web-1", "web-2")
HOLE = (7_200, 9_000)
"""When nothing at all was recorded."""
ON = {
    ("Sick", "web-0"): [(600, 1_800), (5_400, 6_000)],
    ("Sick", "web-1"): [(900, 1_500)],
    ("Spread", "web-2"): [(3_000, 4_500)],
    ("Other", "web-0"): [(100, 200)],
    # on when everything stopped, and again when it went on
    ("Spread", "web-1"): [(6_900, 9_600)],
}
PLAYBOOKS = [
    playbook("fix"),
    playbook(
        "spread",
        alert="Spread",
        limits="limits: {cooldown: 0s, rate: [1000/1h], lock: target, blast_radius: {by: [job], max: 40%}}\n",
    ),
]


@dataclass(frozen=True)
class History:
    url: str
    begin: int


def backfill(begin: int) -> str:
    """Return OpenMetrics text of what was on, and of targets that were up."""
    ups, alerts = [], []
    ticks = [at for at in range(0, LENGTH, STEP) if not HOLE[0] < at < HOLE[1]]
    for host in HOSTS:
        ups += [f'up{{instance="{host}",job="web"}} 1 {begin + at}' for at in ticks]
    for (alert, host), spans in ON.items():
        labels = f'alertname="{alert}",alertstate="firing",instance="{host}",job="web"'
        alerts += [
            f"ALERTS{{{labels}}} 1 {begin + at}" for at in ticks if any(first <= at < last for first, last in spans)
        ]
    return "\n".join(["# TYPE up gauge", *ups, "# TYPE ALERTS gauge", *alerts, "# EOF", ""])


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A Prometheus that scrapes nothing and knows three hours of long ago."""
    folder = tmp_path_factory.mktemp("prometheus")
    begin = (int(time.time()) - 86_400) // 7_200 * 7_200
    (folder / "past.txt").write_text(backfill(begin))
    rules = "groups:\n  - name: all\n    interval: 15s\n    rules:\n"
    for alert in ("Sick", "Spread", "Other"):
        rules += f"      - {{alert: {alert}, expr: 'condition{{alert=\"{alert}\"}} > 0', annotations: {{playbook: "
        rules += f"{'none' if alert == 'Other' else 'some'}, summary: 'of {{{{ $labels.instance }}}}'}}}}\n"
    (folder / "rules.yml").write_text(rules)
    (folder / "prometheus.yml").write_text("rule_files: [rules.yml]\n")
    promtool, prometheus = tool("promtool"), tool("prometheus")
    blocks = [promtool.path, "tsdb", "create-blocks-from", "openmetrics", folder / "past.txt", folder / "data"]
    subprocess.run(blocks, cwd=promtool.folder, check=True, capture_output=True, timeout=50)
    port = free_port()
    command = [
        prometheus.path,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=prometheus.folder, stdout=log, stderr=log)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/api/v1/rules"), 45)
            yield History(f"http://127.0.0.1:{port}", begin)
        finally:
            running.terminate()
            running.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer)["data"]["groups"])
    except OSError:
        return False


def run(history: History, folder: Path, *words: str) -> Any:
    config = write(folder, PLAYBOOKS)
    config.write_text(config.read_text().replace("http://127.0.0.1:1", history.url))
    span = ["--from", stamp(history.begin), "--to", stamp(history.begin + LENGTH)]
    command = [sys.executable, "-m", "selfheal.cli", "replay", "--config.file", str(config), *span, "--json", *words]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def test_a_backfilled_prometheus_is_replayed_with_its_gap_its_rules_and_its_groups(
    history: History, tmp_path: Path
) -> None:
    answer = run(history, tmp_path, "--every-host")

    assert answer["source"] == "prometheus"
    assert answer["step_seconds"] == STEP
    assert [each["from"] for each in answer["gaps"]] == [stamp(history.begin + HOLE[0]).replace("Z", ".000Z")]
    # the alert on both sides of the long gap is two
    assert answer["occurrences"] == 7
    best, worst = answer["scenarios"]
    assert {each["playbook"]: (each["ran"], each["fixed"]) for each in best["playbooks"]} == {
        "fix": (3, 3),
        "spread": (1, 1),
    }
    # one of three may be touched within an hour, whoever touched the others: the first waits in vain until it ends, the
    # second until Alertmanager would have taken it for over, the third begins as the last one leaves
    [held] = best["guards"]
    assert (held["guard"], held["alerts"], held["seconds"]) == ("blast_radius", 2, 1_500 + 540)
    assert {each["playbook"]: each["fixed"] for each in worst["playbooks"]}["fix"] < 3
    assert best["to_people"] == [{"reason": "human_only", "alert": "Other", "count": 1}]
    keys = [each["key"] for each in answer["assumptions"]]
    assert {"rules_now", "annotations_now", "gaps", "every_host"} <= set(keys)
    assert not {"groups_unknown", "rules_unknown"} & set(keys)


def test_only_the_configured_host_is_ours_otherwise(history: History, tmp_path: Path) -> None:
    answer = run(history, tmp_path)

    best = answer["scenarios"][0]
    assert {each["playbook"]: each["ran"] for each in best["playbooks"]} == {"fix": 2, "spread": 0}
    said = {(each["guard"], each["reason"]): each["alerts"] for each in best["guards"]}
    assert said[("owner", "not_our_host")] == 4


class Answers(Prometheus):
    """Gives range queries the answers that a Prometheus would, from samples and marks of their end."""

    def __init__(self, samples: list[float], marked: list[float], up: list[float]) -> None:
        self._samples, self._marked, self._up = samples, marked, up
        self.spans: list[tuple[float, float]] = []

    def rule_groups(self) -> list[dict[str, Any]]:
        return [{"name": "all", "interval": 10, "rules": [{"type": "alerting", "name": "Sick", "query": "x > 0"}]}]

    def external_labels(self) -> frozenset[str]:
        return frozenset()

    def course(self, expression: str, start: float, end: float, step_ms: int) -> tuple[Course, ...]:
        self.spans.append((start, end))
        alerts = expression == past.FIRING
        times, marks = (self._samples, self._marked) if alerts else (self._up, [])
        points = []
        asked = start
        while asked <= end:
            last = max((at for at in times if asked - 300 < at <= asked), default=None)
            if last is not None and not any(last < mark <= asked for mark in marks):
                points.append((asked, last))
            asked += step_ms / 1000
        labels = {"alertname": "Sick", "alertstate": "firing"} if alerts else {}
        return (Course(labels, tuple(points)),) if points else ()


class Slower(Answers):
    """The same, where another group is evaluated more often; `Gone` has no rule any more."""

    interval: float | None = 60.0

    def rule_groups(self) -> list[dict[str, Any]]:
        other = {"name": "fast", "interval": 10, "rules": [{"type": "alerting", "name": "Other", "query": "x > 0"}]}
        if self.interval is None:
            return [other]
        return [other, *({**each, "interval": self.interval} for each in super().rule_groups())]


def periods(answers: Answers, ends: float = 1_000.0) -> list[tuple[float, float | None]]:
    found = past.read(answers, 0.0, ends, 15.0).recording
    return [(each.begin, each.end) for series in found.series for each in series.periods]


EVERY = [float(at) for at in range(0, 1_001, 10)]


@pytest.mark.parametrize(
    ("samples", "marked", "up", "expected"),
    [
        ([100.0, 110.0, 120.0], [130.0], EVERY, [(100, 130)]),
        ([100.0, 110.0, 130.0], [120.0, 140.0], EVERY, [(100, 120), (130, 140)]),
        ([100.0, 110.0, 120.0], [], EVERY, [(100, 130)]),
        ([100.0, 110.0, 300.0, 310.0], [320.0], [at for at in EVERY if not 110 < at < 300], [(100, 320)]),
        ([100.0, 110.0, 300.0, 310.0], [320.0], EVERY, [(100, 120), (300, 320)]),
        ([980.0, 990.0, 1_000.0], [], EVERY, [(980, None)]),
    ],
    ids=[
        "a marked end",
        "a marked end of one evaluation",
        "what is only carried on for five minutes has ended",
        "a short time without anything is bridged",
        "a hole while others were recorded is not",
        "on at the end",
    ],
)
def test_staleness_and_gaps_are_read_as_they_are(
    samples: list[float], marked: list[float], up: list[float], expected: list[tuple[float, float | None]]
) -> None:
    assert periods(Answers(samples, marked, up)) == expected


@pytest.mark.parametrize("interval", [60.0, None], ids=["its group tells how often", "its rule is gone"])
def test_an_alert_of_a_group_that_is_evaluated_more_rarely_is_one(interval: float | None) -> None:
    marked = Slower([100.0, 160.0, 220.0, 280.0], [340.0], EVERY)
    crashed = Slower([100.0, 160.0, 220.0, 280.0, 700.0], [760.0], EVERY)
    marked.interval = crashed.interval = interval

    assert periods(marked) == [(100, 340)]
    assert periods(crashed) == [(100, 340), (700, 760)]


def test_a_long_span_is_asked_in_bounded_chunks_that_miss_nothing() -> None:
    answers = Answers([float(at) for at in range(0, 20_001, 10)], [], [float(at) for at in range(0, 20_001, 10)])

    found = periods(answers, 20_000.0)

    assert found == [(0, None)]
    spans = sorted(set(answers.spans))
    assert all(end - start <= (past.POINTS - 1) * 10 for start, end in spans)
    assert [start for start, _ in spans[1:]] == [end + 10 for _, end in spans[:-1]]


def test_a_time_of_which_nothing_is_known_is_told() -> None:
    with pytest.raises(NotReadable, match="no sample of that time; give a later --from"):
        past.read(Answers([], [], []), 0.0, 100.0, 15.0)


def test_times_without_a_sample_of_anything_are_gaps() -> None:
    found = past.read(Answers([], [], [at for at in EVERY if not 200 < at < 700]), 0.0, 1_000.0, 15.0)

    assert found.recording.gaps == (Gap(200, 700),)
