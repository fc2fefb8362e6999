"""Write the dashboard as JSON, or say that the committed one is not what would be written."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana.frame import moments, variables
from grafana.panels import panels
from grafana.parts import Json
from selfheal.common.shipped import shipped

FILE = shipped("grafana", "dashboards", "selfheal-overview.json")


def overview() -> Json:
    """Return the dashboard "Selfheal / Overview" in Grafana's classic form."""
    return {
        "annotations": {"list": moments()},
        "description": "Is anything wrong, and is it being dealt with?",
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "links": [
            {
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "tags": ["selfheal"],
                "title": "Selfheal",
                "type": "dashboards",
            }
        ],
        "panels": panels(),
        "refresh": "30s",
        "schemaVersion": 41,
        "tags": ["selfheal", "overview"],
        "templating": {"list": variables()},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": "Selfheal / Overview",
        "uid": "selfheal-overview",
        "version": 1,
        "weekStart": "",
    }


def text() -> str:
    """Return the dashboard as it is committed: keys in order, two spaces, one line feed at the end."""
    return json.dumps(overview(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the dashboard; with `--check` write nothing and return 1 if the file differs."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description="Build the Grafana dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the committed file differs")
    parser.add_argument(
        "--output", type=Path, default=FILE, metavar="FILE", help="the dashboard (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    if not given.check:
        given.output.write_text(text(), "utf-8")
        return 0
    if given.output.exists() and given.output.read_text("utf-8") == text():
        return 0
    sys.stderr.write(f"{given.output} is not what the builder writes: run python -m grafana.build\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
