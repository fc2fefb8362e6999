"""A template may stand in few places of a playbook; in every other one it is refused when the file is read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.check import run

TEMPLATE = "{{ $labels.instance }}"
QUOTED = 'x{instance="{{ $labels.instance }}"} > 1'
WHOLE: dict[str, Any] = {
    "playbook": "a",
    "title": {"en": "A", "ko": "가"},
    "trigger": {"alert": "Ill", "match": ["zone=eu"]},
    "mode": "observe",
    "target": {"host": "h", "service": "web"},
    "limits": {
        "cooldown": "1m",
        "rate": ["3/1h"],
        "lock": "host",
        "hold_at_most": "1m",
        "blast_radius": {"by": ["job"], "max": "20%", "window": "1h", "quorum": QUOTED},
    },
    "diagnose": [
        {"probe": "http", "with": {"url": "http://127.0.0.1/"}, "timeout": "5s"},
        {"probe": "process.top", "with": {"by": "rss", "group": "g"}},
        {"probe": "service", "with": {"unit": "web.service"}},
        {"probe": "command", "with": {"command": "look", "parameters": {"what": "x"}}},
        {"probe": "prometheus", "with": {"query": QUOTED}},
    ],
    "steps": [
        {"action": "process.reap", "with": {"group": "g", "grace": "5s"}, "timeout": "30s", "on_failure": "stop"},
        {"action": "service.restart", "with": {"service": "web"}},
        {"action": "disk.clean", "with": {"root": "/var/tmp/a", "down_to": "1GB"}},
        {"action": "notify.log", "with": {"message": "x"}},
    ],
    "verify": {"healthy_for": "30s", "within": "2m", "watch": "1m", "healthy": QUOTED, "alive": QUOTED},
    "otherwise": ["page_owner"],
    "when": QUOTED,
}
PERMITTED = {
    "target.host",
    "target.service",
    "steps[0].with.group",
    "steps[1].with.service",
    "steps[2].with.root",
    "steps[3].with.message",
    "diagnose[1].with.group",
    "diagnose[2].with.unit",
    "diagnose[3].with.command",
    "diagnose[3].with.parameters.what",
}
"""Free text, and names that the policy is asked for."""


def places(node: Any, at: str = "") -> Iterator[str]:
    """Yield the path of every text."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, f"{at}.{key}" if at else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, f"{at}[{index}]")
    else:
        yield at


def with_template_at(path: str) -> dict[str, Any]:
    """Return the playbook with a template in place of the text at `path`."""
    found = copy.deepcopy(WHOLE)
    *way, last = [int(part) if part.isdigit() else part for part in path.replace("[", ".").replace("]", "").split(".")]
    inner: Any = found
    for part in way:
        inner = inner[part]
    inner[last] = TEMPLATE
    return found


def problems(document: Any, tmp_path: Path) -> list[tuple[str, str, str]]:
    file = tmp_path / "a.yml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return [(each.path, each.what, each.remedy) for each in run(None, playbooks=[file]).problems]


def test_templates_inside_of_quoted_matchers_are_fine(tmp_path: Path) -> None:
    assert problems(WHOLE, tmp_path) == []


@pytest.mark.parametrize("path", sorted(set(places(WHOLE))))
def test_a_template_is_refused_everywhere_else(path: str, tmp_path: Path) -> None:
    found = problems(with_template_at(path), tmp_path)

    assert (found == []) is (path in PERMITTED)
    for at, what, remedy in found:
        # a template in place of a kind or an action makes others unreadable, too: one of them names the place
        assert at
        assert what
        assert remedy
    if found:
        assert any(path.startswith(at.rstrip("].")) for at, _, _ in found)
