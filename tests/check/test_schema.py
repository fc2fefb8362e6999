"""The schemas for editors: every file that is right is accepted, and what is wrong by itself is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from remediator.actions import ACTIONS
from remediator.check import described
from remediator.check.schema import SCHEMAS, schema
from remediator.config import SHIPPED_PLAYBOOKS, shipped_files
from remediator.config.written import KEYS as CONFIG_KEYS
from remediator.playbooks.written import KEYS as PLAYBOOK_KEYS
from remediator.policy_written import KEYS as POLICY_KEYS
from remediator.probes import PROBES
from selfheal.stack.config import Settings, render, wanted_ports
from selfheal.stack.layout import Layout

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"
CASES = Path(__file__).parent / "cases"
KEYS = {"playbook": PLAYBOOK_KEYS, "config": CONFIG_KEYS, "policy": POLICY_KEYS}

BEYOND_A_SCHEMA = {
    "templates_in_expressions.yml",
    "a_template_in_when.yml",
    "malformed_templates.yml",
    "manual_that_is_watched_by_nothing.yml",
    "manual_without_proof.yml",
    "matchers_without_an_alert.yml",
}
"""Playbooks that are wrong in a way that no schema tells."""


def faults(name: str, document: Any) -> list[str]:
    made = schema(name)
    return [each.json_path for each in jsonschema.Draft7Validator(made).iter_errors(document)]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_explains_every_key(name: str) -> None:
    made = schema(name)

    jsonschema.Draft7Validator.check_schema(made)
    assert made["$schema"].startswith("http://json-schema.org/draft-07/")
    assert set(described_keys(made)) == set(KEYS[name])


def described_keys(node: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield the path of every key with a description."""
    for branch in (node, *node.get("anyOf", ())):
        for key, inner in branch.get("properties", {}).items():
            if "description" in inner and inner["description"][-1] != ".":
                yield f"{at}{key}"
            yield from described_keys(inner, f"{at}{key}.")
        if isinstance(branch.get("items"), dict):
            yield from described_keys(branch["items"], f"{at.removesuffix('.')}[].")
        if isinstance(branch.get("additionalProperties"), dict):
            yield from described_keys(branch["additionalProperties"], f"{at}NAME.")


def test_no_key_is_explained_that_does_not_exist() -> None:
    assert set(described.PLAYBOOK) == set(PLAYBOOK_KEYS)
    assert set(described.CONFIG) <= set(CONFIG_KEYS)
    assert set(described.POLICY) <= set(POLICY_KEYS)


@pytest.mark.parametrize("path", shipped_files(SHIPPED_PLAYBOOKS), ids=lambda path: path.stem)
def test_every_shipped_playbook_is_accepted(path: Path) -> None:
    assert faults("playbook", read(path)) == []


def test_the_examples_are_accepted() -> None:
    assert faults("config", read(EXAMPLES / "remediator.yml")) == []
    assert faults("policy", read(EXAMPLES / "policy.yml")) == []


@pytest.mark.parametrize("demo", [True, False], ids=["demo", "host"])
def test_what_is_rendered_is_accepted(demo: bool, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    layout.patient.mkdir(exist_ok=True)
    render(Settings(layout, wanted_ports(demo), 1.0, demo, "0123abcd" if demo else ""))

    playbooks = sorted((layout.config / "playbooks").glob("*.yml"))
    policies = sorted(layout.config.glob("policy.yml"))
    assert faults("config", read(layout.config / "remediator.yml")) == []
    assert [(path.name, found) for path in playbooks if (found := faults("playbook", read(path)))] == []
    assert [(path.name, found) for path in policies if (found := faults("policy", read(path)))] == []
    assert policies
    assert bool(playbooks) is demo


@pytest.mark.parametrize("path", sorted(CASES.glob("*/playbooks/*.yml")), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_what_check_finds_between_files_a_schema_does_not_refuse(path: Path) -> None:
    structural = {("everything_at_once", "a"): ["$"]}
    try:
        document = read(path)
    except yaml.YAMLError:
        return

    assert faults("playbook", document) == structural.get((path.parts[-3], path.stem), [])


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("config", "a_configuration_that_is_broken/remediator.yml"),
        ("policy", "everything_at_once/policy.yml"),
        ("playbook", "everything_at_once/playbooks/a.yml"),
    ],
)
def test_what_is_wrong_by_itself_is_refused(name: str, case: str) -> None:
    assert faults(name, read(CASES / case)) != []


@pytest.mark.parametrize("path", sorted((TESTS / "playbooks" / "bad").glob("*.yml")), ids=lambda path: path.stem)
def test_a_playbook_that_the_loader_refuses_is_refused_unless_a_schema_cannot_tell(path: Path) -> None:
    document = read(path)

    assert (faults("playbook", document) == []) is (path.name in BEYOND_A_SCHEMA)


def playbook(**changes: Any) -> dict[str, Any]:
    return {
        "playbook": "a",
        "trigger": {"alert": "Ill"},
        "target": {"host": "h", "service": "web"},
        "steps": [{"action": "notify.log", "with": {"message": "x"}}],
        "verify": "none",
    } | changes


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        (playbook(), []),
        (playbook(title="A"), []),
        (playbook(title={"de": "A"}), ["$.title"]),
        (playbook(trigger={"manual": True}), []),
        (playbook(trigger={"manual": False}), ["$.trigger"]),
        (playbook(trigger={"alert": "Ill", "match": ['a=~"b|c"', "d!=e"]}), []),
        (playbook(trigger={"alert": "Ill", "match": ["a==b c"]}), ["$.trigger.match[0]"]),
        (playbook(verify={"within": "1h30m"}), []),
        (playbook(verify={"within": "30 s"}), ["$.verify"]),
        (playbook(verify={"within": 30}), ["$.verify"]),
        (playbook(verify=None), ["$.verify"]),
        (playbook(limits={"rate": ["3/1h"], "blast_radius": {"by": ["job"], "max": "20%"}}), []),
        (playbook(limits={"blast_radius": {"by": ["job"], "max": "101%"}}), ["$.limits.blast_radius"]),
        (playbook(limits={"rate": ["3 per hour"]}), ["$.limits.rate"]),
        (playbook(limits={"lock": "none"}), ["$.limits.lock"]),
        (playbook(target={"host": "h"}), ["$.target"]),
        (playbook(steps=[{"action": "notify.log"}]), ["$.steps[0]"]),
        (playbook(steps=[{"action": "notify.log", "with": {"massage": "x", "message": "x"}}]), ["$.steps[0].with"]),
        (playbook(steps=[{"action": "shell.run"}]), ["$.steps[0].action"]),
        (
            playbook(steps=[{"action": "notify.log", "with": {"message": "x"}, "undo": True}]),
            ["$.steps[0].undo"],
        ),
        (playbook(steps=[{"action": "disk.clean", "with": {"root": "/a", "down_to": "1 GiB"}}]), []),
        (
            playbook(steps=[{"action": "disk.clean", "with": {"root": "/a", "down_to": "1 gig"}}]),
            ["$.steps[0].with.down_to"],
        ),
        (playbook(diagnose=[{"probe": "http", "with": {"url": "ftp://a"}}]), ["$.diagnose[0].with.url"]),
        (playbook(diagnose=[{"probe": "process.top"}]), []),
    ],
    ids=str,
)
def test_a_playbooks_forms_are_known(document: dict[str, Any], wrong: list[str]) -> None:
    assert faults("playbook", document) == wrong


HOSTS = {"hosts": {"web-1": {"instances": ["web-1:9976"]}}}


@pytest.mark.parametrize(
    ("name", "document", "wrong"),
    [
        ("config", HOSTS, []),
        ("config", {"hosts": {"a": {"instances": ["a"]}, "b": {"instances": ["b"]}}}, ["$.hosts"]),
        ("config", HOSTS | {"highest_mode": "full"}, ["$.highest_mode"]),
        ("config", HOSTS | {"breaker": {"share": "50%"}}, []),
        ("config", HOSTS | {"breaker": {"share": 0.5}}, ["$.breaker.share"]),
        ("config", HOSTS | {"prometheus": {"url": "http://user:secret@p"}}, ["$.prometheus.url"]),
        (
            "config",
            HOSTS | {"windows": [{"name": "w", "cron": "0 2 * *", "for": "1h", "timezone": "UTC"}]},
            ["$.windows[0].cron"],
        ),
        ("policy", {"users": ["www-data", 1000], "process_groups": ["a-*"]}, []),
        ("policy", {"process_groups": ["a-[bc]"]}, ["$.process_groups[0]"]),
        ("policy", {"commands": {"web": {"run": "systemctl restart web"}}}, ["$.commands.web.run"]),
        ("policy", {"units": {"web.service": {"verbs": ["enable"]}}}, ["$.units['web.service'].verbs[0]"]),
        ("policy", {"units": {"*.service": {"verbs": ["status"]}}}, ["$.units"]),
        ("policy", {"urls": {"http://a/": {"methods": ["get"]}}}, ["$.urls['http://a/'].methods[0]"]),
        ("policy", {"roots": {"/": {"older_than": "1d"}}}, ["$.roots"]),
        ("policy", {"ansible": {"x": {"playbook": "site.yml", "inventory": "h,"}}}, ["$.ansible.x.playbook"]),
    ],
    ids=str,
)
def test_the_forms_of_configuration_and_policy_are_known(name: str, document: dict[str, Any], wrong: list[str]) -> None:
    assert faults(name, document) == wrong


def test_every_action_and_probe_is_known_with_its_arguments() -> None:
    made = schema("playbook")["properties"]

    for section, key, known in (("steps", "action", ACTIONS), ("diagnose", "probe", PROBES)):
        item = made[section]["items"]
        told = {each["if"]["properties"][key].get("const"): each["then"] for each in item["allOf"]}
        assert item["properties"][key]["enum"] == sorted(known)
        for name, plug_in in known.items():
            assert set(told[name]["properties"]["with"]["properties"]) == set(plug_in.arguments)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_default_is_written_as_a_person_would_write_it(name: str) -> None:
    defaults = list(with_default(schema(name)))

    assert [node for node in defaults if not jsonschema.Draft7Validator(node).is_valid(node["default"])] == []
    assert len(defaults) > 3


def with_default(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema inside that has a default."""
    if isinstance(node, dict):
        if "default" in node and "title" in node:
            yield node
        for inner in node.values():
            yield from with_default(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from with_default(inner)
