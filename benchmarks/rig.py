"""A real Prometheus, a real Alertmanager and a real remediator on loopback, with gauges that the measurer sets.

Used by the benchmarks and by the tests that need the whole path; it starts processes and ends each of them.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gauges import Gauges
from selfheal.common.memory import without_caches
from selfheal.stack.tools import default_folder, provide

HOOK_TOKEN = "hook-token-for-measuring"
API_TOKEN = "api-token-for-measuring"
HOST = "bench"
LIFTED = """\
# Raised for measuring and testing: the rig's Prometheus is always fresh, and its thousands of alerts are one machine's.
monitoring: {targets: 1000000, scrape_gap: 0, after_restart: 0s}
breaker: {minimum: 1000000}
repeats: {most: 1000000}
trust: {not_fixed: 6}
"""
"""What would rightly hold back a rig; every guard is still asked. A rig that is to be held gives its own text."""


def free_port() -> int:
    """Return a TCP port that nobody on loopback listens on now.

    It lies below those that the kernel gives to connections and to whoever asks for any: one that is free for a moment,
    while what listens there is started again, must not become another's.
    """
    first, last = 10_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        # not by a seed, which tests that run at the same time share
        port = random.SystemRandom().randrange(first, max(last, first + 1_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], Any], seconds: float = 30.0, pause: float = 0.05) -> Any:
    """Return the first true value of `condition`. Raise TimeoutError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} did not come true in {seconds} s")
        time.sleep(pause)


class Rig:
    """The parts around a remediator, and the remediator itself as a child that may be killed and started again."""

    def __init__(
        self,
        folder: Path,
        rules: str,
        *,
        scrape: str = "1s",
        evaluation: str = "1s",
        playbooks: Sequence[str],
        limits: str = "",
        policy: str = "",
        careful: str = LIFTED,
    ) -> None:
        """`limits` goes into the remediator's configuration, and so does `careful`, which stands for LIFTED."""
        self.folder = folder
        self.gauges = Gauges()
        self.instance = f"127.0.0.1:{self.gauges.port}"
        self.prometheus_port, self.alertmanager_port, self.port = free_port(), free_port(), free_port()
        self._children: list[subprocess.Popen[bytes]] = []
        self.remediator: subprocess.Popen[bytes] | None = None
        self._write(rules, scrape, evaluation, playbooks, f"{limits}\n{careful}", policy)

    def _write(
        self, rules: str, scrape: str, evaluation: str, playbooks: Sequence[str], limits: str, policy: str
    ) -> None:
        folder = self.folder
        (folder / "playbooks").mkdir(parents=True)
        for number, text in enumerate(playbooks):
            (folder / "playbooks" / f"{number}.yml").write_text(text, "utf-8")
        (folder / "rules.yml").write_text(rules, "utf-8")
        self._private("hook.token", HOOK_TOKEN)
        self._private("api.token", API_TOKEN)
        self._private("policy.yml", policy or "process_groups: []\n")
        (folder / "remediator.yml").write_text(
            f"""state: {folder}/state
prometheus: {{url: "http://127.0.0.1:{self.prometheus_port}", scrape_interval: {scrape}}}
alertmanagers: [{{url: "http://127.0.0.1:{self.alertmanager_port}"}}]
hosts: {{{HOST}: {{instances: ["{self.instance}"]}}}}
playbooks: ["playbooks/*.yml"]
policy: policy.yml
highest_mode: auto
hook: {{token_file: hook.token}}
api: {{token_file: api.token}}
reconcile: 5s
{limits}
""",
            "utf-8",
        )
        (folder / "prometheus.yml").write_text(
            f"""global: {{scrape_interval: {scrape}, evaluation_interval: {evaluation}}}
rule_files: [{folder}/rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{self.alertmanager_port}"]}}]}}]}}
scrape_configs:
  - {{job_name: gauges, static_configs: [{{targets: ["{self.instance}"]}}]}}
""",
            "utf-8",
        )
        (folder / "alertmanager.yml").write_text(
            f"""route:
  receiver: selfheal
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 5m
receivers:
  - name: selfheal
    webhook_configs:
      - url: http://127.0.0.1:{self.port}/hooks/alertmanager
        http_config: {{authorization: {{credentials_file: {folder}/hook.token}}}}
""",
            "utf-8",
        )

    def _private(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text, "utf-8")

    def start(self, *, deliver: bool = True) -> None:
        """Start Prometheus and Alertmanager; with `deliver`, alerts go on to the remediator by themselves."""
        tools = provide(default_folder(), lambda _line: None)
        if not deliver:
            config = self.folder / "prometheus.yml"
            lines = config.read_text("utf-8").splitlines()
            config.write_text("\n".join(line for line in lines if not line.startswith("alerting")) + "\n", "utf-8")
        self._spawn(
            tools["prometheus"].path,
            tools["prometheus"].folder,
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.prometheus_port}",
            "--log.level=error",
        )
        self._spawn(
            tools["alertmanager"].path,
            tools["alertmanager"].folder,
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.alertmanager_port}",
            "--cluster.listen-address=",
            "--log.level=error",
        )
        for port in (self.prometheus_port, self.alertmanager_port):
            until(partial(self._answers, port, "/-/ready"))

    def _spawn(self, binary: Path, folder: Path | None, *flags: str) -> None:
        log = (self.folder / f"{binary.name}.log").open("ab")
        with log:
            self._children.append(
                subprocess.Popen([str(binary), *flags], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def start_remediator(self, *flags: str, wait: bool = True) -> float:
        """Start the remediator with test actions; return the seconds until it was ready."""
        log = (self.folder / "remediator.log").open("ab")
        begun = time.monotonic()
        with log:
            self.remediator = subprocess.Popen(
                [
                    sys.executable, "-m", "benchmarks.subject",
                    "--config.file", str(self.folder / "remediator.yml"),
                    "--web.listen-address", f"127.0.0.1:{self.port}",
                    "--ledger", str(self.folder / "ledger"),
                    *flags,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                # as `selfheal up` starts it
                env=without_caches(os.environ),
            )  # fmt: skip
        if wait:
            remediator = self.remediator
            until(lambda: remediator.poll() is not None or self._answers(self.port, "/-/ready"), 30.0, 0.01)
            # whoever else answers there is not it
            assert remediator.poll() is None or flags, (self.folder / "remediator.log").read_text("utf-8")[-2000:]
        return time.monotonic() - begun

    def stop_remediator(self, number: int = signal.SIGTERM) -> None:
        """Send `number` to the remediator and wait for its end."""
        if self.remediator is not None:
            if self.remediator.poll() is None:
                os.kill(self.remediator.pid, number)
            self.remediator.wait(30)
            self.remediator = None

    def close(self) -> None:
        """End every process that was started here, by pid."""
        self.stop_remediator(signal.SIGKILL)
        for child in self._children:
            child.kill()
            child.wait(30)
        self.gauges.close()

    def _answers(self, port: int, path: str) -> bool:
        try:
            return self.get(path, port=port)[0] == 200
        except OSError:
            return False

    def get(self, path: str, *, port: int | None = None) -> tuple[int, bytes]:
        """Return status and body of a GET with the API's token."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {API_TOKEN}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def api(self, path: str) -> Any:
        """Return the API's JSON answer. Raise AssertionError if it is not 200."""
        status, body = self.get(path)
        assert status == 200, (status, body)
        return json.loads(body)

    def query(self, expression: str) -> list[Any]:
        """Return the vector that Prometheus answers for `expression` now."""
        from urllib.parse import quote

        status, body = self.get(f"/api/v1/query?query={quote(expression)}", port=self.prometheus_port)
        assert status == 200, body
        return list(json.loads(body)["data"]["result"])

    def deliver(self, *alerts: dict[str, Any]) -> int:
        """POST a version 4 delivery of `alerts` as Alertmanager would; return the status."""
        body = json.dumps(payload(alerts)).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/hooks/alertmanager", body, hook_headers())
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


def hook_headers() -> dict[str, str]:
    """Return the headers of a delivery."""
    return {"Authorization": f"Bearer {HOOK_TOKEN}", "Content-Type": "application/json"}


def payload(alerts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a version 4 body for `alerts`."""
    return {
        "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "receiver": "selfheal", "status": "firing",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": list(alerts),
    }  # fmt: skip


@contextmanager
def running(rig: Rig) -> Iterator[Rig]:
    """Close `rig` at the end, whatever happens; a SIGTERM ends the measurement like Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield rig
    finally:
        rig.close()
