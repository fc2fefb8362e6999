"""What the tests of the stack share: waiting on conditions, free ports, small questions over HTTP."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

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
