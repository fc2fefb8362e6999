"""The pages on commands, on Ansible and on moving from other tools: what they show is right and fits together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from remediator.check import run
from remediator.model import Mode
from remediator.playbooks.loader import load_playbook
from tests.docs.pages import blocks, read

PAGES = ("run-a-command", "ansible", "move-from-prometheus-am-executor", "move-from-webhook")
NOT_ON_THIS_MACHINE = ("is no program that this user may start", "does not exist on this machine")
CONFIG = """state: {folder}/state
prometheus: {{url: http://127.0.0.1:9090, scrape_interval: 15s}}
alertmanagers: [{{url: http://127.0.0.1:9093}}]
hosts: {{web-1: {{instances: ["web-1:9976"]}}}}
playbooks: ["{folder}/playbook.yml"]
rules: {rules}
policy: policy.yml
highest_mode: auto
"""


def shown(page: str, begins: str) -> list[str]:
    return [body for body in blocks(read("docs", "how-to", f"{page}.md"), "yaml") if body.startswith(begins)]


def write(page: str, folder: Path) -> Path:
    """Write what a page shows as somebody who follows it would, who lets it act; return the configuration's file."""
    (policy,), (playbook,) = shown(page, "# policy.yml"), shown(page, "playbook:")
    rules = ["shipped"]
    for text in shown(page, "# rules.yml"):
        (folder / "rules.yml").write_text(text, "utf-8")
        rules.append("rules.yml")
    mode = "mode: auto\n"
    (folder / "playbook.yml").write_text(playbook.replace("mode: approve\n", "") + mode, "utf-8")
    (folder / "policy.yml").write_text(policy, "utf-8")
    (folder / "policy.yml").chmod(0o600)
    (folder / "remediator.yml").write_text(CONFIG.format(folder=folder, rules=json.dumps(rules)), "utf-8")
    return folder / "remediator.yml"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_passes_the_check_also_where_it_is_let_act(page: str, tmp_path: Path) -> None:
    report = run(write(page, tmp_path))

    # of the shipped alerts it answers one at most
    about_it = [str(problem) for problem in report.problems if "no playbook answers" not in str(problem)]
    assert [text for text in about_it if not any(known in text for known in NOT_ON_THIS_MACHINE)] == []
    assert load_playbook(tmp_path / "playbook.yml").mode is Mode.AUTO


@pytest.mark.parametrize("page", PAGES)
def test_without_its_policy_what_a_page_shows_would_not_pass(page: str, tmp_path: Path) -> None:
    config = write(page, tmp_path)
    (tmp_path / "policy.yml").write_text("{}\n")

    assert any("is not permitted" in str(problem) for problem in run(config).problems)


def test_every_setting_of_the_executor_that_is_shown_has_its_place_in_the_table() -> None:
    (before,) = shown("move-from-prometheus-am-executor", "# executor.yml")
    table = read("docs", "how-to", "move-from-prometheus-am-executor.md").partition("| there | here |")[2]
    (command,) = yaml.safe_load(before)["commands"]

    assert set(command) == {"cmd", "args", "match_labels", "max", "ignore_resolved", "notify_on_failure"}
    assert [key for key in command if f"`{key}" not in table] == []


def test_every_setting_of_a_hook_that_is_shown_has_its_place_in_the_table() -> None:
    page = read("docs", "how-to", "move-from-webhook.md")
    ((hook,),) = [json.loads(body) for body in blocks(page, "json")]

    assert "execute-command" in hook
    assert [key for key in hook if f"`{key}`" not in page.partition("| there | here |")[2]] == []
