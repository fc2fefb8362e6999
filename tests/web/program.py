"""A real remediator for tests of its API: real store and engine, sources that nobody answers for, its own address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediator.app import App
from remediator.reading import read
from selfheal.common.keys import Role, add_key
from tests.web.site import Answer, Site, alert, payload

NOBODY = "http://127.0.0.1:9"
PLAYBOOKS = {
    "by_hand": """playbook: by_hand
title: {en: By hand, ko: 손으로}
trigger: {manual: true}
mode: auto
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
steps: [{action: notify.log, with: {message: "{{ $labels.item }}"}}]
verify: none
""",
    "on_alert": """playbook: on_alert
title: {en: On alert, ko: 경보}
trigger: {alert: Sick}
mode: auto
target: {host: "{{ $labels.instance }}", item: all}
steps: [{action: notify.log, with: {message: sick}}]
verify: none
""",
}
POLICY = """process_groups: ["worker-*"]
commands: {web: {start: [/bin/echo, very-secret-word], stop: [/bin/true], status: [/bin/true]}}
"""


@dataclass
class Program:
    """A running remediator and a key for each role."""

    app: App
    site: Site
    folder: Path
    keys: dict[Role, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, role: Role | None = Role.ADMIN, **headers: str) -> Answer:
        """Send a request to the API in a role; a body is sent as JSON."""
        sent = dict(headers)
        if role is not None and role in self.keys:
            sent.setdefault("X_API_Key", self.keys[role])
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content_Type", "application/json")
        return self.site.ask(method, f"/api/v1{path}", data, **sent)

    def alert(self, item: str = "a", **more: Any) -> None:
        """Deliver one alert."""
        labels = {"alertname": "Sick", "instance": "web-1", "item": item}
        delivered = self.site.deliver(
            payload(alert(labels=labels, fingerprint=f"{hash(item) & 0xFFFFFFFF:016x}") | more)
        )
        assert delivered.status == 200


@contextmanager
def running(
    folder: Path, extra: str = "", *, keys: bool = True, sources: str = NOBODY, web_config: Path | None = None
) -> Iterator[Program]:
    """Give a remediator that is configured in `folder`; `extra` is added to its configuration."""
    (folder / "playbooks").mkdir()
    for name, text in PLAYBOOKS.items():
        (folder / "playbooks" / f"{name}.yml").write_text(text, "utf-8")
    policy = folder / "policy.yml"
    policy.write_text(POLICY, "utf-8")
    policy.chmod(0o600)
    made = {role: add_key(folder / "api.keys", role.value, role) for role in Role} if keys else {}
    api = "" if "api:" in extra or not keys else "api: {keys_file: api.keys}\n"
    config = folder / "remediator.yml"
    config.write_text(
        f"""state: {folder}/state
prometheus: {{url: "{sources}"}}
alertmanagers: [{{url: "{sources}"}}]
hosts: {{h1: {{instances: ["web-1"]}}}}
playbooks: ["playbooks/*.yml"]
policy: policy.yml
highest_mode: auto
{api}{extra}
""",
        "utf-8",
    )
    app = App(lambda: read(config, "127.0.0.1:0", web_config=web_config))
    try:
        app.start()
        yield Program(app, Site(None, app.metrics, app.server), folder, made)  # type: ignore[arg-type]
    finally:
        app.stop()
