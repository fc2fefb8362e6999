"""The programs of the stack as command lines: what each is started with, and how to know that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from selfheal.common.durations import format_duration
from selfheal.stack.config import Settings
from selfheal.stack.loopback import answers
from selfheal.stack.patient.control import Refused, ask
from selfheal.stack.supervise import Program
from selfheal.stack.tools import Tool

_RETENTION = "15d"


def programs(settings: Settings, tools: Mapping[str, Tool]) -> tuple[Program, ...]:
    """Return the programs in the order in which they are started."""
    ours = [_alertmanager(settings, tools["alertmanager"]), _prometheus(settings, tools["prometheus"])]
    ours.append(_exporter(settings))
    if settings.demo:
        ours.append(_patient(settings))
    return (*ours, _remediator(settings))


def _alertmanager(settings: Settings, tool: Tool) -> Program:
    argv = (
        str(tool.path),
        f"--config.file={settings.layout.config / 'alertmanager.yml'}",
        f"--storage.path={settings.layout.alertmanager}",
        f"--web.listen-address=127.0.0.1:{settings.ports['alertmanager']}",
        # no cluster: one instance, and no port open to the outside
        "--cluster.listen-address=",
    )
    return _program(settings, "alertmanager", argv, "/-/ready", tool.folder)


def _prometheus(settings: Settings, tool: Tool) -> Program:
    argv = (
        str(tool.path),
        f"--config.file={settings.layout.config / 'prometheus.yml'}",
        f"--storage.tsdb.path={settings.layout.prometheus}",
        f"--storage.tsdb.retention.time={_RETENTION}",
        f"--web.listen-address=127.0.0.1:{settings.ports['prometheus']}",
    )
    return _program(settings, "prometheus", argv, "/-/ready", tool.folder)


def _exporter(settings: Settings) -> Program:
    argv = [
        sys.executable,
        "-m",
        "exporter",
        f"--web.listen-address=127.0.0.1:{settings.ports['exporter']}",
        f"--config.path={settings.layout.config / 'processes.yml'}",
        # one slow folder must not cost the whole page, which comes within the scrape's timeout or not at all
        f"--collector.directory.deadline={format_duration(settings.scrape_timeout / 4)}",
    ]
    if settings.demo:
        argv.append(f"--collector.directory.root={settings.patient_folder}")
    return _program(settings, "exporter", tuple(argv), "/metrics")


def _remediator(settings: Settings) -> Program:
    argv = (
        sys.executable,
        "-m",
        "remediator",
        f"--config.file={settings.layout.config / 'remediator.yml'}",
        f"--web.listen-address=127.0.0.1:{settings.ports['remediator']}",
    )
    return _program(settings, "remediator", argv, "/-/ready")


def _patient(settings: Settings) -> Program:
    folder = settings.layout.patient
    argv = (
        sys.executable,
        "-m",
        "selfheal.stack.patient",
        str(folder),
        settings.name,
        str(settings.ports["patient"]),
    )

    def ready() -> bool:
        try:
            return ask(folder, "status") == "running"
        except Refused:
            return False

    return Program("patient", argv, settings.layout.logs / "patient.log", ready)


def _program(settings: Settings, name: str, argv: tuple[str, ...], ready: str, folder: Path | None = None) -> Program:
    url = settings.url(name)
    log = settings.layout.logs / f"{name}.log"
    return Program(name, argv, log, lambda: answers(f"{url}{ready}"), url, folder)
