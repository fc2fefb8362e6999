"""What a person set in remediator.yml survives the next start, and what the stack decides is put back and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfheal.stack import config, kept
from selfheal.stack.config import render
from selfheal.stack.events import SettingPutBack
from tests.stack.support import read, settings_in


@pytest.mark.parametrize(
    "mine",
    [
        {"protected": ["/srv/precious"]},
        {"api": {"keys_file": "api.keys", "cors": ["https://ops.example.org"]}},
        {"hook": {"hmac": {"secret_file": "grafana.secret", "tolerance": "1m"}}},
        {"prometheus": {"ignore_labels": ["dc"], "headers": {"X-Scope-OrgID": "1"}}},
        {"policy": "mine.yml"},
        {"alertmanagers": [{"url": "http://am.example.org:9093", "headers": {"X-Team": "ops"}}]},
        {"hosts": {"NAME": {"instances": ["web-1.example.org:8080"]}}},
    ],
    ids=lambda mine: next(iter(mine)),
)
def test_safety_and_access_that_a_person_set_survive_the_next_start(tmp_path: Path, mine: dict[str, Any]) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    edited = _joined(read(settings, "remediator.yml"), _named(mine))
    file.write_text(yaml.safe_dump(edited, sort_keys=False))
    written = file.read_text()

    told = render(settings)
    same_ports = file.read_text()
    told += render(replace(settings, ports=settings.ports | {"prometheus": 19090, "alertmanager": 19093}))

    moved = written.replace("127.0.0.1:9090", "127.0.0.1:19090").replace("127.0.0.1:9093", "127.0.0.1:19093")
    assert told == []
    assert same_ports == written
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(moved)


def test_a_policy_that_a_person_took_away_stays_away(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    file.write_text(file.read_text().replace("policy: policy.yml\n", ""))

    assert render(settings) == []
    assert "policy" not in read(settings, "remediator.yml")


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        (("state",), "/srv/elsewhere"),
        (("process_config",), "others.yml"),
        (("prometheus", "url"), "http://prometheus.example.org:9090"),
        (("prometheus", "scrape_interval"), "2m"),
        (("hook", "token_file"), "other.token"),
        (("api", "token_file"), None),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_what_the_stack_decides_is_put_back_and_told(
    tmp_path: Path, path: tuple[str, ...], changed: str | None
) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    before = read(settings, "remediator.yml")
    edited = read(settings, "remediator.yml")
    inner = edited[path[0]] if len(path) == 2 else edited
    ours, inner[path[-1]] = inner[path[-1]], changed
    file.write_text(yaml.safe_dump(edited))

    told = render(settings)

    assert told == [SettingPutBack(".".join(path), ours, changed or "")]
    assert read(settings, "remediator.yml") == before


def test_what_of_the_stacks_own_was_taken_out_of_a_list_is_back_and_told(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    edited = read(settings, "remediator.yml")
    (name,) = edited["hosts"]
    logs = str(settings.layout.logs)
    edited["protected"] = [path for path in edited["protected"] if path != logs] + ["/srv/precious"]
    edited["alertmanagers"] = [{"url": "http://am.example.org:9093"}]
    edited["hosts"][name]["instances"].remove("127.0.0.1:9976")
    file.write_text(yaml.safe_dump(edited))

    told = render(settings)

    after = read(settings, "remediator.yml")
    assert told == [
        SettingPutBack("protected", logs, ""),
        SettingPutBack("alertmanagers", "http://127.0.0.1:9093", ""),
        SettingPutBack(f"hosts.{name}.instances", "127.0.0.1:9976", ""),
    ]
    assert after["protected"][-2:] == ["/srv/precious", logs]
    assert [each["url"] for each in after["alertmanagers"]] == ["http://am.example.org:9093", "http://127.0.0.1:9093"]
    assert "127.0.0.1:9976" in after["hosts"][name]["instances"]


def test_a_host_that_a_person_named_keeps_its_name(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    edited = read(settings, "remediator.yml")
    edited["hosts"] = {"front": next(iter(edited["hosts"].values()))}
    file.write_text(yaml.safe_dump(edited))

    render(settings)

    assert read(settings, "remediator.yml") == edited


@pytest.mark.parametrize("broken", ["hosts: [front]", "hook: token", "alertmanagers: [1]", "protected: /srv", "[]", ""])
def test_what_the_remediator_will_refuse_is_left_as_it_is(tmp_path: Path, broken: str) -> None:
    settings = settings_in(tmp_path, demo=False)
    file = settings.layout.config / "remediator.yml"
    file.write_text(broken)

    assert render(settings) == []
    assert file.read_text() == broken


def test_the_head_of_the_file_names_all_that_is_put_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    head = (settings.layout.config / "remediator.yml").read_text().partition("\nhighest_mode:")[0]

    named = [*kept.WHOLE, *(f"{section}.{key}" for section, keys in kept.OWNED.items() for key in keys)]

    assert [key for key in [*named, "alertmanagers", "protected", "hosts"] if key not in head] == []


def _named(mine: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with this host's name where NAME stands."""
    return {key: {config.host_name(): value["NAME"]} if key == "hosts" else value for key, value in mine.items()}


def _joined(one: Any, other: Any) -> Any:
    """Return both: mappings key by key, lists one behind the other; the other where they differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: _joined(one[key], value) if key in one else value for key, value in other.items()}
    return one + other if isinstance(one, list) else other
