"""What the tests of the web share: a small service behind a real server, payloads, a client that sends any bytes."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from remediator.errors import RemediatorError, StoreUnavailable
from remediator.model import ENDS, Mode
from remediator.model.trust import Evidence
from remediator.web import Delivery, Metrics, WebServer
from selfheal.common.clock import SystemClock

HOOK_TOKEN = "hook-token-of-sixteen"
API_TOKEN = "api-token-of-sixteen-x"

RUN: dict[str, Any] = {
    "id": "7",
    "playbook": "restart_leaking_worker",
    "target": "web-1/process_group:worker",
    "state": "succeeded",
    "reason": "held_watch",
    "verdict": "fixed",
    "mode": "auto",
    "created_at": "2026-01-01T00:00:00.000Z",
    "started_at": "2026-01-01T00:00:01.000Z",
    "verified_at": "2026-01-01T00:00:05.000Z",
    "ended_at": "2026-01-01T00:45:05.000Z",
    "alert": {
        "alertname": "ProcessMemoryLeak",
        "fingerprint": "abcdef0123456789",
        "starts_at": "2026-01-01T00:00:00.000Z",
        "labels": {"alertname": "ProcessMemoryLeak", "instance": "web-1"},
    },
}
DETAIL: dict[str, Any] = RUN | {
    "decisions": [
        {
            "at": "2026-01-01T00:00:00.500Z",
            "guard": "pause",
            "answer": "allow",
            "reason": "allowed",
            "detail": {},
            "until": None,
        },
        {
            "at": "2026-01-01T00:00:00.500Z",
            "guard": "cooldown",
            "answer": "hold",
            "reason": "cooldown",
            "detail": {"target": "web-1/process_group:worker"},
            "until": "2026-01-01T00:10:00.000Z",
        },
    ],
    "steps": [
        {
            "position": 0,
            "action": "process.terminate",
            "state": "done",
            "undo": False,
            "attempt": 1,
            "plan": {"items": [{"kind": "process", "pid": 4242, "start_ticks": 9, "group": "worker"}]},
            "outcome": {"ok": True, "effects": [{"kind": "file", "path": "/var/tmp/x"}], "detail": {}},
            "intent_at": "2026-01-01T00:00:01.000Z",
            "ended_at": "2026-01-01T00:00:02.000Z",
        }
    ],
    "evidence": [{"at": "2026-01-01T00:00:05.000Z", "phase": "after", "body": {"value": 1}}],
    "events": [
        {
            "at": "2026-01-01T00:00:05.000Z",
            "kind": "moved",
            "from": "verifying",
            "to": "watching",
            "reason": "proven",
            "detail": {},
        }
    ],
}
ALERT: dict[str, Any] = {
    "id": "3",
    "fingerprint": "abcdef0123456789",
    "alertname": "ProcessMemoryLeak",
    "labels": {"alertname": "ProcessMemoryLeak", "instance": "web-1"},
    "status": "firing",
    "problem": None,
    "starts_at": "2026-01-01T00:00:00.000Z",
    "received_at": "2026-01-01T00:00:00.100Z",
    "closed_at": None,
    "fate": "succeeded",
    "reason": "held_watch",
    "remediation_id": "7",
}


@dataclass
class FakeService:
    """The program behind the web, as small as it can be."""

    deliveries: list[Delivery] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=lambda: [RUN])
    details: dict[int, dict[str, Any]] = field(default_factory=lambda: {7: DETAIL})
    alerts: list[dict[str, Any]] = field(default_factory=lambda: [ALERT])
    state: dict[str, Any] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    settled: list[tuple[int, str, str]] = field(default_factory=list)
    cancelled: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    proposed: list[tuple[str, Mode, Evidence]] = field(default_factory=list)
    full: bool = False
    broken: bool = False
    not_unknown: bool = False
    gate: threading.Event | None = None

    def receive(self, delivery: Delivery) -> None:
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.broken:
            raise RuntimeError("a mistake of ours, with a secret in it")
        if self.full:
            raise StoreUnavailable("disk full")
        self.deliveries.append(delivery)

    @contextmanager
    def reader(self) -> Iterator[FakeService]:
        if self.full:
            raise StoreUnavailable("disk full")
        if self.broken:
            raise RuntimeError("a mistake of ours, with a secret in it")
        yield self

    def list_remediations(self, limit: int, before: int | None, state: str | None = None) -> dict[str, Any]:
        self.asked.append((limit, before, state))
        return {"items": self.runs[:limit], "next": "6" if len(self.runs) > limit else None}

    def open_remediations(self, limit: int, before: int | None = None, state: str | None = None) -> dict[str, Any]:
        self.asked.append((limit, before, state, "open"))
        found = [run for run in self.runs if run["state"] not in ENDS and state in (None, run["state"])]
        return {"items": found[:limit], "next": None, "count": len(found)}

    def remediation_detail(self, id: int) -> dict[str, Any] | None:
        return self.details.get(id)

    def list_alerts(self, limit: int, before: int | None) -> dict[str, Any]:
        self.asked.append((limit, before))
        return {"items": self.alerts[:limit], "next": None}

    def open_alerts(self, limit: int, before: int | None = None, *, heartbeats: bool = False) -> dict[str, Any]:
        self.asked.append((limit, before, "open"))
        found = [
            each
            for each in self.alerts
            if each["status"] == "firing" and (heartbeats or each["labels"].get("severity") != "none")
        ]
        return {"items": found[:limit], "next": None, "count": len(found)}

    def status(self) -> dict[str, Any]:
        return {
            "version": "1.2.3",
            "highest_mode": "observe",
            "paused": None,
            "counts": {"succeeded": 1},
            "blind": [],
            "playbooks": {"restart_leaking_worker": "observe"},
        } | self.state

    def settle(self, id: int, how: str, who: str) -> None:
        if self.not_unknown:
            raise RemediatorError(f"remediation {id} is not waiting to be settled")
        self.settled.append((id, how, who))

    def cancel(self, id: int, who: str) -> None:
        if self.not_unknown:
            raise RemediatorError(f"remediation {id} is unknown: nothing of it is left to call off")
        self.cancelled.append((id, who))

    def trust(self) -> list[dict[str, Any]]:
        return []

    def proposals(self) -> list[tuple[str, Mode, Evidence]]:
        return self.proposed

    def problems(self) -> list[str]:
        return self.troubles


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Site:
    """A running server and what is behind it."""

    service: FakeService
    metrics: Metrics
    server: WebServer

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one ordinary request; `Content_Type` in the keywords means Content-Type."""
        connection = http.client.HTTPConnection(*self.server.address, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def deliver(self, body: Any, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/hooks/alertmanager", data, **{"Content_Type": "application/json"} | headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.server.address, timeout=20)

    def raw(self, request: bytes) -> bytes:
        """Send bytes and return everything until the server closes."""
        with self.connect() as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def read_all(client: socket.socket) -> bytes:
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def payload(*alerts: Any, **more: Any) -> dict[str, Any]:
    """Return a webhook body as Alertmanager 0.2x sends it."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ProcessMemoryLeak"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "selfheal",
        "groupLabels": {"alertname": "ProcessMemoryLeak"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts),
    } | more


def alert(**more: Any) -> dict[str, Any]:
    """Return one alert of such a body."""
    return {
        "status": "firing",
        "labels": {"alertname": "ProcessMemoryLeak", "instance": "web-1", "groupname": "worker"},
        "annotations": {"summary": "worker leaks"},
        "startsAt": "2026-01-01T00:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up",
        "fingerprint": "abcdef0123456789",
    } | more


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return when the condition holds; fail after the deadline."""
    clock, pulse = SystemClock(), threading.Event()
    deadline = clock.monotonic() + seconds
    while not condition():
        assert clock.monotonic() < deadline, "waited in vain"
        pulse.wait(0.01)
