"""Prometheus and Alertmanager of all hosts, and what people do through their interfaces and the remediators'."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.healing.configure import API_TOKEN, render_centre
from benchmarks.healing.hosts import Host
from benchmarks.healing.layout import ALERTMANAGER_PORT, PROMETHEUS_PORT, REMEDIATOR_PORT, ROUTER, Pace
from benchmarks.rig import hook_headers, payload, until
from selfheal.stack import kernel
from selfheal.stack.tools import Tool

TIMEOUT = 15.0


class Centre:
    """The parts that all hosts share."""

    def __init__(self, folder: Path, tools: Mapping[str, Tool]) -> None:
        self.folder = folder
        self._tools = tools
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def start(self, hosts: Sequence[Host], pace: Pace) -> None:
        """Start both, and return once they are ready. Raise TimeoutError if they do not become so."""
        render_centre(self.folder, hosts, pace)
        self._spawn(
            "alertmanager", f"--config.file={self.folder}/alertmanager.yml", f"--storage.path={self.folder}/alerts",
            f"--web.listen-address={ROUTER}:{ALERTMANAGER_PORT}", "--cluster.listen-address=", "--log.level=warn",
        )  # fmt: skip
        self._spawn(
            "prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address={ROUTER}:{PROMETHEUS_PORT}", "--log.level=warn",
        )  # fmt: skip
        for port in (ALERTMANAGER_PORT, PROMETHEUS_PORT):
            until(lambda port=port: self._is_ready(ROUTER, port), 60.0)  # type: ignore[misc]

    def stop(self) -> None:
        """End both."""
        for child in self._children:
            kernel.end_group(child)
        self._children.clear()

    def is_ready(self, host: Host) -> bool:
        """Say whether a host's remediator is ready."""
        return self._is_ready(host.address, REMEDIATOR_PORT)

    def query(self, expression: str) -> list[Any]:
        """Return the vector that Prometheus answers now."""
        answer = _json(ROUTER, PROMETHEUS_PORT, "GET", f"/api/v1/query?query={quote(expression)}")
        return list(answer["data"]["result"])

    def fires(self, host: Host, alert: str, about: Mapping[str, str]) -> bool:
        """Say whether Prometheus has this alert of a host as firing or pending."""
        labels = "".join(f",{label}={json.dumps(value)}" for label, value in about.items())
        return bool(self.query(f'ALERTS{{alertname="{alert}",instance=~"{host.name}:.*"{labels}}}'))

    def remediations(self, host: Host) -> Iterator[dict[str, Any]]:
        """Yield every remediation of a host, whole."""
        cursor: str | None = ""
        while cursor is not None:
            page = self._api(host, f"/api/v1/remediations?limit=200{f'&cursor={quote(cursor)}' if cursor else ''}")
            for item in page["items"]:
                yield self._api(host, f"/api/v1/remediations/{item['id']}")
            cursor = page["next"]

    def listed(self, host: Host) -> list[dict[str, Any]]:
        """Return the newest remediations of a host, in short."""
        return list(self._api(host, "/api/v1/remediations?limit=50")["items"])

    def alerts(self, host: Host) -> list[dict[str, Any]]:
        """Return the newest alerts of a host with their fates."""
        return list(self._api(host, "/api/v1/alerts?limit=50")["items"])

    def remediation(self, host: Host, number: object) -> dict[str, Any]:
        """Return one remediation, whole."""
        found: dict[str, Any] = self._api(host, f"/api/v1/remediations/{number}")
        return found

    def playbook(self, host: Host, name: str) -> dict[str, Any]:
        """Return a playbook as it is in force on a host."""
        found: dict[str, Any] = self._api(host, f"/api/v1/playbooks/{name}")
        return found

    def pending_of(self, alert: str) -> float:
        """Return the `for` of a rule, in seconds."""
        groups = _json(ROUTER, PROMETHEUS_PORT, "GET", "/api/v1/rules?type=alert")["data"]["groups"]
        return float(next(rule["duration"] for group in groups for rule in group["rules"] if rule["name"] == alert))

    def pause(self, host: Host, target: str) -> None:
        """Pause a target."""
        body = {"target": target, "why": "people work on it", "for": "1h", "who": "benchmark"}
        self._api(host, "/api/v1/pause", "PUT", body)

    def silence(self, matchers: Mapping[str, str]) -> None:
        """Silence alerts that have these labels for an hour."""
        now = time.time()
        body = {
            "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in matchers.items()],
            "startsAt": _rfc3339(now), "endsAt": _rfc3339(now + 3600), "createdBy": "benchmark", "comment": "known",
        }  # fmt: skip
        _json(ROUTER, ALERTMANAGER_PORT, "POST", "/api/v2/silences", body)

    def deliver(self, host: Host, alert: str, about: Mapping[str, str]) -> None:
        """Deliver a firing alert to the host's remediator, as if it had crossed a silence on its way."""
        until(lambda: self.fires(host, alert, about), 60.0, 0.2)
        alerts = _json(ROUTER, PROMETHEUS_PORT, "GET", "/api/v1/alerts")["data"]["alerts"]
        wanted = {"alertname": alert, **about}
        found = next(
            each for each in alerts
            if wanted.items() <= each["labels"].items() and each["labels"]["instance"].startswith(f"{host.name}:")
        )  # fmt: skip
        item = {
            "status": "firing", "labels": found["labels"], "annotations": found["annotations"],
            "startsAt": found["activeAt"], "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
        }  # fmt: skip
        status, said = _ask(
            host.address, REMEDIATOR_PORT, "POST", "/hooks/alertmanager", payload([item]), hook_headers()
        )
        if status != 200:
            raise RuntimeError(f"{host.name} answered a delivery with {status}: {said[:200]!r}")

    def _api(self, host: Host, path: str, method: str = "GET", body: object = None) -> Any:
        return _json(host.address, REMEDIATOR_PORT, method, path, body)

    def _is_ready(self, address: str, port: int) -> bool:
        try:
            return _ask(address, port, "GET", "/-/ready", None, {})[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _spawn(self, name: str, *flags: str) -> None:
        tool = self._tools[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._children.append(kernel.start([str(tool.path), *flags], log, tool.folder))


def _json(address: str, port: int, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"}
    status, said = _ask(address, port, method, path, body, headers)
    if status != 200:
        raise RuntimeError(f"{method} {path} at {address}: {status} {said[:300]!r}")
    return json.loads(said)


def _ask(address: str, port: int, method: str, path: str, body: object, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
