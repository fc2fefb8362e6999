"""Renders the configuration of every program into `<state>/config`, and keeps there what a person edits."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from selfheal.common.durations import format_duration, parse_duration
from selfheal.common.files import write_atomic
from selfheal.common.shipped import shipped
from selfheal.stack import first, services
from selfheal.stack.edits import dump, with_values
from selfheal.stack.events import SettingPutBack
from selfheal.stack.kept import Merge, NotMergeable
from selfheal.stack.layout import Layout
from selfheal.stack.patient import SERVICE
from selfheal.stack.patient.identities import group_name
from selfheal.stack.patient.playbooks import render_playbooks, render_policy
from selfheal.stack.patient.rules import JOB, Timing, render_rules
from selfheal.stack.patient.worker import KINDS, pattern

WANTED_PORTS: Mapping[str, int] = {"exporter": 9976, "remediator": 9977, "prometheus": 9090, "alertmanager": 9093}
PATIENT_PORT = 9978

SCRAPE_INTERVAL = 15.0
DEMO_SCRAPE_INTERVAL = 1.0
_DEMO_EVALUATION_INTERVAL = 1.0

_OBSERVE = "observe"

_JOBS: Mapping[str, str] = {
    "selfheal-exporter": "exporter",
    "selfheal-remediator": "remediator",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
}
"""Job of Prometheus → the program that it scrapes."""

_GENERATED = "# Rendered by `selfheal up` at every start: edits are lost.\n"

SCRAPE_TIMEOUT = 2.0
"""Seconds. Everything scraped is on this machine; a service that hangs is down, and is found so much the sooner."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one `selfheal up` was asked for, and the ports it got."""

    layout: Layout
    ports: Mapping[str, int]
    scrape: float
    demo: bool
    name: str = ""
    """What tells this demo's processes from another's; empty without a demo."""

    @property
    def scrape_timeout(self) -> float:
        """Seconds a scrape may take."""
        return min(SCRAPE_TIMEOUT, self.scrape)

    @property
    def evaluation(self) -> float:
        """Seconds between evaluations of rules; often in the demo, which buys early detection."""
        return min(self.scrape, _DEMO_EVALUATION_INTERVAL) if self.demo else self.scrape

    def url(self, program: str) -> str:
        """Return where `program` listens."""
        return f"http://127.0.0.1:{self.ports[program]}"

    @property
    def patient_folder(self) -> Path:
        """The folder that fills; as the exporter names it."""
        return self.layout.patient / "folder"


def highest_mode(settings: Settings) -> str:
    """Return how far playbooks may go, as remediator.yml says; `observe` while it is not there or cannot be read."""
    try:
        written = yaml.safe_load((settings.layout.config / "remediator.yml").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return _OBSERVE
    mode = written.get("highest_mode", _OBSERVE) if isinstance(written, dict) else _OBSERVE
    return mode if isinstance(mode, str) else _OBSERVE


def wanted_ports(demo: bool) -> dict[str, int]:
    """Return program → the port it would like."""
    return {**WANTED_PORTS, "patient": PATIENT_PORT} if demo else dict(WANTED_PORTS)


def render(settings: Settings) -> list[SettingPutBack]:
    """Write every configuration file; return what a person had changed in remediator.yml and is as it was.

    Raise OSError if the state folder cannot be written.
    """
    config = settings.layout.config
    last = _last_time(settings)
    for folder in ("rules", "playbooks"):
        (config / folder).mkdir(exist_ok=True)
    for token in (settings.layout.hook_token, settings.layout.api_token):
        if not token.exists():
            write_atomic(token, f"{secrets.token_hex(24)}\n".encode(), 0o600)
    if settings.demo:
        _render_demo(settings)
    else:
        _keep(config / "policy.yml", first.POLICY)
        _keep(config / "processes.yml", first.PROCESSES)
        _keep(config / services.NAME, first.SERVICES)
    _write(config / "prometheus.yml", prometheus(settings))
    _write(config / "alertmanager.yml", alertmanager(settings))
    if settings.demo:
        _render_demo_remediator(settings)
        return []
    return _render_remediator(settings, last)


def prometheus(settings: Settings) -> dict[str, Any]:
    """Return Prometheus's configuration: the stack is scraped, and the patient's service or those of the person."""
    scrapes = [_scrape(job, _address(settings, program), {}) for job, program in _JOBS.items()]
    if settings.demo:
        scrapes.append(_scrape(JOB, _address(settings, "patient"), {"service": SERVICE}))
    else:
        scrapes.append(services.scrape(settings.layout.config / services.NAME))
    return {
        "global": {
            "scrape_interval": format_duration(settings.scrape),
            "scrape_timeout": format_duration(settings.scrape_timeout),
            "evaluation_interval": format_duration(settings.evaluation),
        },
        "rule_files": [*map(str, shipped_rules()), str(settings.layout.config / "rules" / "*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_address(settings, "alertmanager")]}]}]},
        "scrape_configs": scrapes,
    }


def alertmanager(settings: Settings) -> dict[str, Any]:
    """Return Alertmanager's configuration: our route first, alone with its timing, and nobody told besides."""
    hook = {
        "url": f"{settings.url('remediator')}/hooks/alertmanager",
        "send_resolved": True,
        "max_alerts": 0,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": str(settings.layout.hook_token)},
            "follow_redirects": False,
        },
    }
    ours = {
        "receiver": "selfheal",
        "continue": True,
        "group_by": ["alertname", "instance"],
        "group_wait": "0s",
        "group_interval": "1s",
        "repeat_interval": "5m",
    }
    return {
        "route": {"receiver": "people", "group_by": ["alertname", "instance"], "routes": [ours]},
        "receivers": [{"name": "selfheal", "webhook_configs": [hook]}, {"name": "people"}],
    }


def remediator(settings: Settings) -> dict[str, Any]:
    """Return what the stack itself decides in remediator.yml."""
    layout = settings.layout
    return {
        "state": str(layout.remediator),
        "prometheus": {"url": settings.url("prometheus"), "scrape_interval": format_duration(settings.scrape)},
        "alertmanagers": [{"url": settings.url("alertmanager")}],
        "hosts": {host_name(): {"instances": [_address(settings, program) for program in settings.ports]}},
        "policy": "policy.yml",
        "process_config": "processes.yml",
        "protected": [str(path) for path in (layout.prometheus, layout.alertmanager, layout.config, layout.logs)],
        "hook": {"token_file": layout.hook_token.name},
        "api": {"token_file": layout.api_token.name},
    }


def processes(name: str) -> dict[str, Any]:
    """Return the process groups of the demo `name`: the patient's, then everything else by its command."""
    groups = [{"name": group_name(kind), "cmdline": [pattern(kind, name)]} for kind in KINDS]
    return {"process_names": [*groups, {"name": "{{.Comm}}", "cmdline": [".+"]}]}


def shipped_rules() -> list[Path]:
    """Return the rule files that come with the program, examples left out."""
    return sorted(path for path in shipped("rules").glob("*.yml") if not path.name.endswith(".example.yml"))


def host_name() -> str:
    """Return this machine's name with nothing in it that a configured host must not have."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:63].lstrip("._-")
    return name or "localhost"


def _render_demo(settings: Settings) -> None:
    config = settings.layout.config
    timing = Timing(settings.scrape)
    _write(config / "rules" / "patient.yml", render_rules(timing, str(settings.patient_folder)))
    for name, playbook in render_playbooks(timing).items():
        _write(config / "playbooks" / name, playbook)
    _write(config / "processes.yml", processes(settings.name))
    _write(config / "policy.yml", render_policy(settings.layout.patient), 0o600)


def _render_demo_remediator(settings: Settings) -> None:
    shipped_playbooks = shipped("remediator", "playbooks", "shipped") / "*.yml"
    extra = {
        "playbooks": [str(shipped_playbooks), "playbooks/*.yml"],
        "rules": [*map(str, shipped_rules()), "rules/*.yml"],
        "highest_mode": "auto",
        "limits": {"cooldown": "0s", "rate": ["1000/1h"]},
        # its Prometheus has just started, all its faults are one machine's, and they come again and again
        "monitoring": {"targets": 100, "scrape_gap": 20, "after_restart": "0s"},
        "breaker": {"minimum": 100},
        "repeats": {"most": 1000},
        "reconcile": "5s",
    }
    _write(settings.layout.config / "remediator.yml", remediator(settings) | extra)


def _render_remediator(settings: Settings, last: Settings) -> list[SettingPutBack]:
    file = settings.layout.config / "remediator.yml"
    ours = remediator(settings)
    for host in ours["hosts"].values():
        listed = services.instances(settings.layout.config / services.NAME)
        host["instances"] += [instance for instance in listed if instance not in host["instances"]]
    if not file.exists():
        _write_text(file, first.REMEDIATOR + dump({"highest_mode": _OBSERVE, **ours}))
        return []
    merge = Merge(ours, remediator(last))
    try:
        written = file.read_text("utf-8")
        theirs = yaml.safe_load(written)
        values = merge.values(theirs)
    except (ValueError, yaml.YAMLError, NotMergeable):
        return []  # the remediator says where it is broken; writing over it would lose it
    if any(theirs.get(key) != value for key, value in values.items()):
        _write_text(file, with_values(written, values))
    return merge.noted


def _last_time(settings: Settings) -> Settings:
    """Return the settings with the ports and pace of the start before, as its prometheus.yml has them."""
    try:
        rendered = yaml.safe_load((settings.layout.config / "prometheus.yml").read_text("utf-8"))
        jobs = {job["job_name"]: job for job in rendered["scrape_configs"]}
        scraped = {program: jobs[job]["static_configs"][0]["targets"][0] for job, program in _JOBS.items()}
        ports = {program: int(address.rpartition(":")[2]) for program, address in scraped.items()}
        scrape = parse_duration(rendered["global"]["scrape_interval"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return settings  # this is the first start
    return replace(settings, ports={**settings.ports, **ports}, scrape=scrape)


def _scrape(job: str, address: str, labels: dict[str, str]) -> dict[str, Any]:
    target: dict[str, Any] = {"targets": [address]}
    return {"job_name": job, "static_configs": [target | ({"labels": labels} if labels else {})]}


def _address(settings: Settings, program: str) -> str:
    return f"127.0.0.1:{settings.ports[program]}"


def _keep(file: Path, text: str) -> None:
    if not file.exists():
        _write_text(file, text, 0o600)


def _write(file: Path, document: Mapping[str, Any], mode: int = 0o644) -> None:
    _write_text(file, _GENERATED + dump(document), mode)


def _write_text(file: Path, text: str, mode: int = 0o644) -> None:
    write_atomic(file, text.encode(), mode)
