"""Ten thousand payloads of Alertmanager and Grafana, each spoilt in some way, at the hook of a real remediator.

None may meet an error of ours, and no alert that was answered 200 may be missing in the store.
"""

from __future__ import annotations

import copy
import http.client
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import Rig, hook_headers, running

pytestmark = [pytest.mark.timeout(180)]

COUNT = 10_000
SENDERS = 8
ALLOWED = {200, 400, 413, 503}
ALERTMANAGER: dict[str, Any] = {
    "receiver": "web\\.hook",
    "status": "firing",
    "alerts": [],
    "groupLabels": {"alertname": "HostDiskFull"},
    "commonLabels": {"alertname": "HostDiskFull", "instance": "web-1:9976", "job": "node"},
    "commonAnnotations": {"summary": "the disk is full"},
    "externalURL": "http://alerts.example:9093",
    "version": "4",
    "groupKey": '{}/{job="node"}:{alertname="HostDiskFull"}',
    "truncatedAlerts": 0,
}
GRAFANA: dict[str, Any] = ALERTMANAGER | {
    "receiver": "selfheal",
    "version": "1",
    "orgId": 1,
    "title": "[FIRING:1] HostDiskFull",
    "state": "alerting",
    "message": "**Firing**\n\nValue: A=97.1, C=1\n",
}
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 10**40, 1e308, -0.0, "", "\x00", "\ud800", "한국어", "x" * 70_000, [], {}, [[]],
    {"a": {"b": {"c": []}}}, "'; DROP TABLE occurrence; --", "{{ $labels.instance }}", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z", "2026-02-30T00:00:00Z", "resolved", "firing", "__name__", "alertname",
]  # fmt: skip


def alert(mark: str, dice: random.Random, grafana: bool) -> dict[str, Any]:
    """Return an alert as it is really sent, with a label that no other one has."""
    found: dict[str, Any] = {
        "status": "firing",
        "labels": {"alertname": "HostDiskFull", "instance": "web-1:9976", "job": "node", "mark": mark},
        "annotations": {"summary": "the disk is full", "runbook_url": "https://runbooks.example/HostDiskFull"},
        "startsAt": f"2026-03-01T10:{dice.randrange(60):02}:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=disk_used+%3E+0.9&g0.tab=1",
        "fingerprint": f"{dice.getrandbits(64):016x}",
    }
    if grafana:
        found |= {"values": {"A": 97.1, "C": 1}, "valueString": "[ var='A' value=97.1 ]", "silenceURL": "http://g/s"}
        found |= {"dashboardURL": "", "panelURL": "", "imageURL": None, "orgId": 1}
    return found


def delivery(number: int, dice: random.Random) -> dict[str, Any]:
    grafana = dice.random() < 0.4
    body = copy.deepcopy(GRAFANA if grafana else ALERTMANAGER)
    body["alerts"] = [alert(f"mark-{number}-{at}-", dice, grafana) for at in range(dice.choice((1, 1, 1, 2, 5)))]
    return body


def somewhere(body: Any, dice: random.Random) -> tuple[Any, Any]:
    """Return an object or a list inside a document, and one of its keys."""
    holder = body
    while True:
        key = dice.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        # what is deep is met as often as what is on top
        if not isinstance(holder[key], dict | list) or not holder[key] or dice.random() < 0.1:
            return holder, key
        holder = holder[key]


def spoil_value(body: dict[str, Any], dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        if not body:
            break
        alerts = body.get("alerts")
        inside = isinstance(alerts, list) and alerts and dice.random() < 0.5
        holder, key = somewhere(alerts if inside else body, dice)
        match dice.randrange(4):
            case 0:
                holder[key] = copy.deepcopy(dice.choice(HOSTILE))
            case 1 if isinstance(holder, dict):
                holder[str(dice.choice(HOSTILE))] = holder.pop(key)
            case 2 if isinstance(holder, dict):
                del holder[key]
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
    return json.dumps(body).encode()


def spoil_bytes(body: dict[str, Any], dice: random.Random) -> bytes:
    data = bytearray(json.dumps(body, ensure_ascii=dice.random() < 0.5).encode())
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                del data[at : at + dice.randint(1, 40)]
            case 2:
                data[at:at] = data[at : at + dice.randint(1, 40)]
            case _:
                data[at:at] = dice.choice((b"[" * 3_000, b"\xff\xfe", b"1e999", b"NaN", b"9" * 5_000, b'"', b"}"))
        if not data:
            break
    return bytes(data)


SPOILT: tuple[Callable[[dict[str, Any], random.Random], bytes], ...] = (spoil_value, spoil_value, spoil_bytes)


def told(body: bytes) -> list[Any]:
    """Return what a delivery lists, read independently of the program; empty where that is no list."""
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return []
    found = document.get("alerts") if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def expected(entry: Any) -> str | None:
    """Return by what a firing alert must be found in the store, or None where it closes or merges with another."""
    if not isinstance(entry, dict) or not isinstance(entry.get("labels"), dict) or entry.get("status") == "resolved":
        return None
    mark = entry["labels"].get("mark")
    return mark if isinstance(mark, str) and mark.startswith("mark-") and mark.endswith("-") else None


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    # nobody answers where Prometheus and Alertmanager should be, and no playbook matches: only taking in is tried
    book = "playbook: none_of_these\ntitle: {en: x, ko: x}\ntrigger: {alert: Other}\ntarget: {host: h, item: i}\n"
    book += "steps: [{action: notify.log, with: {message: x}}]\nverify: none\n"
    with running(Rig(tmp_path / "rig", "groups: []\n", playbooks=[book])) as rig:
        rig.start_remediator()
        yield rig


@dataclass
class Sent:
    """What was answered, and by what each alert that was taken must be found, with the body it came in."""

    statuses: Counter[int] = field(default_factory=Counter)
    wanted: dict[str, bytes] = field(default_factory=dict)


def send(rig: Rig, first: int) -> Sent:
    """Spoil and send a share of the payloads, one after the other on one connection."""
    dice, sent = random.Random(first), Sent()
    with closing(http.client.HTTPConnection("127.0.0.1", rig.port, timeout=20)) as connection:
        for number in range(first, first + COUNT // SENDERS):
            body = dice.choice(SPOILT)(delivery(number, dice), dice)
            connection.request(dice.choice(("POST", "PUT")), "/hooks/alertmanager", body, hook_headers())
            answer = connection.getresponse()
            answer.read()
            sent.statuses[answer.status] += 1
            if answer.status == 200:
                sent.wanted |= {mark: body for entry in told(body) if (mark := expected(entry)) is not None}
    return sent


def test_no_spoilt_payload_meets_an_error_of_ours_or_loses_an_alert(rig: Rig) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        parts = list(pool.map(partial(send, rig), range(0, COUNT, COUNT // SENDERS)))
    rig.stop_remediator()

    with closing(sqlite3.connect(f"file:{rig.folder}/state/selfheal.db?mode=ro", uri=True)) as store:
        kept = " ".join(labels for (labels,) in store.execute("SELECT labels FROM occurrence"))
    statuses = sum((part.statuses for part in parts), Counter[int]())
    wanted = {mark: body for part in parts for mark, body in part.wanted.items()}
    assert statuses.total() == COUNT
    assert set(statuses) <= ALLOWED, statuses
    assert [(mark, body[:2_000]) for mark, body in wanted.items() if mark not in kept] == []
    assert "Traceback" not in (rig.folder / "remediator.log").read_text()
    # most are still alerts, many are not: the dice must not have spoilt everything or nothing
    assert statuses[200] > COUNT / 3 and statuses[400] > COUNT / 20 and len(wanted) > COUNT / 3
