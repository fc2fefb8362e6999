"""A small server that speaks Prometheus's and Alertmanager's answers, and a remediator on it whose clock stands still.

For what a real Prometheus cannot be brought to do at a chosen moment: everything else is tested on the real ones.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.rig import LIFTED, until
from remediator import pipeline
from remediator.app import App
from remediator.config import DEFAULT_LISTEN_ADDRESS
from remediator.model import (
    Alert,
    Argument,
    ArgumentType,
    Context,
    Effect,
    Outcome,
    Plan,
    Reached,
    fingerprint,
    nothing_happens,
)
from remediator.reading import Files, read
from remediator.receive import Batch
from selfheal.common.clock import Clock, ManualClock, to_rfc3339

INSTANCE = "h1:9100"
PROOFLESS = "mode: auto\nverify: none\n"


def playbook(steps: str, rest: str = PROOFLESS, limits: str = "cooldown: 0s, rate: [1000/1h]") -> str:
    """Return the one playbook of a test, for the alert Sick."""
    return (
        "playbook: heal\ntrigger: {alert: Sick}\n"
        'target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}\n'
        f"limits: {{{limits}}}\nsteps: [{steps}]\n{rest}"
    )


def alert(item: str = "a", status: str = "firing", starts_at: float = 1_699_999_990.0, **more: str) -> Alert:
    """Return an alert as a delivery tells it."""
    labels = {"alertname": "Sick", "instance": INSTANCE, "item": item, **more}
    return Alert(status, labels, {}, starts_at, fingerprint(labels))


class Sources:
    """Both servers at one address; what they say is what stands in the attributes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.firing: list[Alert] = []
        """True for Prometheus, whose `ALERTS` has them too."""
        self.listed: list[Alert] = []
        """Active in Alertmanager for our receiver."""
        self.silenced: list[Alert] = []
        self.away = False
        self.reloaded_at = 0.0
        """When Prometheus last loaded its rules."""
        self.known: dict[str, Alert] = {}
        """What was ever firing: Prometheus remembers."""
        self.on_ask: Callable[[str], None] = lambda _question: None
        """Called with each question before it is answered."""
        sources = self

        class Page(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                form = {name: values[0] for name, values in parse_qs(parts.query).items()}
                question = form.get("query", parts.path)
                sources.on_ask(question)
                body = json.dumps(sources.answer(parts.path, form)).encode()
                self.send_response(503 if sources.away else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, form: Mapping[str, str]) -> Any:
        """Return the answer to one question."""
        match path:
            case "/api/v2/alerts":
                return self._alerts(form)
            case "/api/v2/silences":
                return []
            case "/api/v1/rules":
                return _success(groups=[{"name": "cases", "interval": 1, "rules": [_RULE]}])
            case "/api/v1/status/config":
                return _success(yaml="global: {}\n")
            case "/api/v1/status/runtimeinfo":
                return _success(startTime="2020-01-01T00:00:00Z", lastConfigTime=to_rfc3339(self.reloaded_at))
        if "timestamp(" in form["query"]:
            # nothing is from before its start
            return _success(resultType="vector", result=[])
        if form["query"] == "time()":
            return _success(resultType="scalar", result=[self.clock.now(), str(self.clock.now())])
        self.known |= {each.fingerprint: each for each in self.firing}
        told = self.known.values() if form["query"].startswith("last_over_time") else self.firing
        elements = [{"metric": dict(each.labels), "value": [self.clock.now(), "1"]} for each in told]
        return _success(resultType="vector", result=elements)

    def _alerts(self, form: Mapping[str, str]) -> list[Any]:
        """Return what Alertmanager lists: the silenced only where they are asked for, as are the active."""
        silenced = [self._entry(each, ["s1"]) for each in self.silenced if form.get("silenced") != "false"]
        active = [self._entry(each, []) for each in self.listed if form.get("active") != "false"]
        return silenced + active

    def _entry(self, each: Alert, silences: list[str]) -> Any:
        return {
            "fingerprint": each.fingerprint, "labels": dict(each.labels), "annotations": {},
            "startsAt": to_rfc3339(each.starts_at), "status": {"silencedBy": silences, "inhibitedBy": []},
        }  # fmt: skip


_RULE = {"type": "alerting", "name": "Sick", "query": "sick > 0", "duration": 0, "labels": {}, "alerts": []}


def _success(**data: Any) -> Any:
    return {"status": "success", "data": data}


@dataclass
class Act:
    """An action of a test: what it did is counted, and what happens while it runs is the test's."""

    name: str = "test.act"
    version: int = 1
    idempotent: bool = False
    effect: Effect = Effect.DESTRUCTIVE
    arguments: Mapping[str, Argument] = field(default_factory=lambda: {"note": Argument(ArgumentType.TEXT)})
    ran: list[Plan] = field(default_factory=list)
    planned: int = 0
    while_planning: Callable[[], None] = lambda: None
    while_running: Callable[[], None] = lambda: None

    def plan(self, _arguments: Mapping[str, Any], _context: Context) -> Plan:
        """Return another plan each time."""
        self.planned += 1
        self.while_planning()
        return Plan(({"kind": "command", "service": "test", "verb": str(self.planned)},))

    def run(self, plan: Plan, _context: Context) -> Outcome:
        """Have the effect."""
        self.ran.append(plan)
        self.while_running()
        return Outcome(True, plan.items)

    def verbs(self) -> list[str]:
        """The plans that took effect, by number."""
        return [plan.items[0]["verb"] for plan in self.ran]


class Bench:
    """A remediator without its web server; its engine runs, and time passes only when told."""

    def __init__(self, folder: Path, sources: Sources, clock: ManualClock, *actions: Act) -> None:
        self.folder, self.sources, self.clock = folder, sources, clock
        self.actions = {action.name: action for action in actions}
        self.careful = LIFTED
        """What of the configuration says from when on remediation holds back by itself."""
        self.app: App | None = None

    def start(self, *playbooks: str, reached: Reached = nothing_happens) -> App:
        """Write the configuration and start; what an earlier start left is taken up."""
        self.write(*playbooks)
        self.app = App(self._read, clock=self.clock, actions=self.actions, reached=reached)
        # as `App.start`, without listening
        self.app.parts.reloaded.set()
        pipeline.start(self.app.parts)
        self.app.engine.start()
        self.app._started = True
        self.rest()
        return self.app

    def _read(self) -> Files:
        return read(self.folder / "remediator.yml", DEFAULT_LISTEN_ADDRESS, self.actions)

    def write(self, *playbooks: str, highest_mode: str = "auto") -> None:
        """Write the configuration's files."""
        (self.folder / "playbooks").mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(playbooks):
            (self.folder / "playbooks" / f"{number}.yml").write_text(text, "utf-8")
        (self.folder / "remediator.yml").write_text(
            f"""state: {self.folder}/state
prometheus: {{url: "{self.sources.url}", scrape_interval: 5s}}
alertmanagers: [{{url: "{self.sources.url}"}}]
hosts: {{h1: {{instances: ["{INSTANCE}"]}}}}
playbooks: ["playbooks/*.yml"]
highest_mode: {highest_mode}
limits: {{rate: [1000/1h]}}
reconcile: 30s
{self.careful}
""",
            "utf-8",
        )

    def stop(self) -> None:
        """Stop, as SIGTERM does."""
        if self.app is not None:
            self.app.stop()
            self.app = None

    def rest(self) -> None:
        """Return when nothing is due any more."""
        assert self.app is not None
        until(self.app.engine.idle, 20, 0.005)

    def advance(self, seconds: float) -> None:
        """Let time pass, then rest."""
        assert self.app is not None
        self.clock.advance(seconds)
        self.app.engine.wake()
        self.rest()

    def deliver(self, *alerts: Alert, malformed: Sequence[tuple[str, str]] = (), rest: bool = True) -> None:
        """Take in a delivery."""
        assert self.app is not None
        pipeline.take_in(self.app.parts, Batch("selfheal", alerts, tuple(malformed)))
        if rest:
            self.rest()

    def remediations(self) -> list[dict[str, Any]]:
        """Return all, the newest first, as the API tells them."""
        assert self.app is not None
        with self.app.store.read() as reader:
            return list(reader.list_remediations(100, None)["items"])

    def detail(self, number: int = 0) -> dict[str, Any]:
        """Return everything about the newest but `number`."""
        assert self.app is not None
        with self.app.store.read() as reader:
            found = reader.remediation_detail(int(self.remediations()[number]["id"]))
        assert found is not None
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts, the newest first."""
        assert self.app is not None
        with self.app.store.read() as reader:
            return list(reader.list_alerts(100, None)["items"])

    def states(self) -> list[tuple[str, str]]:
        """Return (state, reason) of all remediations, the newest first."""
        return [(each["state"], each["reason"]) for each in self.remediations()]

    def value(self, metric: str, **labels: str) -> float:
        """Return a metric's value."""
        assert self.app is not None
        return self.app.metrics.registry.get_sample_value(metric, labels) or 0.0
