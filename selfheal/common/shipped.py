"""Where the files that ride with the programs are: the same beside a checkout and inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

_TOP = Path(__file__).resolve().parents[2]


def shipped(*parts: str) -> Path:
    """Given path parts below the top (`"rules"`, `"grafana", "dashboards"`), return where they are installed."""
    return _TOP.joinpath(*parts)
