"""Questions to the programs of the stack over loopback HTTP: short, never through a proxy, an answer or None."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 2.0

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Say whether `url` answers 200 now."""
    try:
        with _opener.open(url, timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException, ValueError):
        return False


def ask(url: str, parameters: dict[str, str] | None = None, token_file: Path | None = None) -> Any:
    """Return the JSON that `url` answers, or None when there is no such answer now."""
    whole = f"{url}?{urlencode(parameters)}" if parameters else url
    request = urllib.request.Request(whole)
    try:
        if token_file is not None:
            token = token_file.read_text("utf-8").splitlines()[0].strip()
            request.add_header("Authorization", f"Bearer {token}")
        with _opener.open(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())
    except (OSError, HTTPException, ValueError, IndexError):
        # urllib's own errors are OSErrors; the supervisor tells when the program behind is dead
        return None
