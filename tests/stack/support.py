"""What the tests of the stack share: waiting on conditions, free ports, questions over HTTP, what was rendered."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from selfheal.stack.config import Settings, wanted_ports
from selfheal.stack.layout import Layout

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return when `condition` holds; fail with its name when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        pause.wait(0.02)


def http_status(url: str, timeout: float = 2.0) -> int:
    """Return the status that `url` answers, 0 when nobody answers."""
    try:
        with _opener.open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def ended(pid: int) -> bool:
    """Say whether no such process runs: gone, or ended and not yet collected."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def settings_in(state: Path, demo: bool = True, scrape: float = 1.0) -> Settings:
    """Return the settings of a stack in `state`, whose folders are made."""
    layout = Layout(state)
    layout.make()
    layout.patient.mkdir(exist_ok=True)
    return Settings(layout, wanted_ports(demo), scrape, demo, "0123abcd" if demo else "")


def read(settings: Settings, name: str) -> Any:
    """Return what a rendered file says."""
    return yaml.safe_load((settings.layout.config / name).read_text())


def run(program: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    argv = [str(program), *map(str, arguments)]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=30, check=False)
