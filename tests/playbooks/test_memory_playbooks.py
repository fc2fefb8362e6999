"""The four levels of memory: each does what its title says, and no level does what only a higher one may."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from selfheal.common.shipped import shipped

LEVELS = ("conservative", "balanced", "aggressive", "emergency")
ENDING = {"process.terminate"}
FOLDER = shipped("remediator", "playbooks", "shipped")


def written(level: str) -> dict[str, Any]:
    """Return a level's playbook as it is shipped."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"memory_{level}.yml").read_text("utf-8"))
    return found


def actions(level: str) -> list[str]:
    """Return a level's actions, in order."""
    return [step["action"] for step in written(level)["steps"]]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("conservative", ["disk.clean"]),
        ("balanced", ["command.run", "disk.clean", "memory.reclaim"]),
        ("aggressive", ["command.run", "disk.clean", "memory.reclaim", "process.terminate"]),
        ("emergency", ["notify.log", "command.run", "disk.clean", "memory.reclaim", "process.terminate"]),
    ],
)
def test_a_level_may_do_exactly_this(level: str, expected: list[str]) -> None:
    playbook = written(level)

    assert actions(level) == expected
    assert playbook["trigger"] == {"alert": f"MemoryRelief{level.capitalize()}"}
    assert "mode" not in playbook
    assert ("end the largest" in playbook["title"]["en"]) == bool(ENDING & set(expected))


@pytest.mark.parametrize("level", LEVELS)
def test_all_levels_are_about_one_target_so_that_one_rests_after_another(level: str) -> None:
    assert written(level)["target"] == {"host": "{{ $labels.instance }}", "memory": "used"}


@pytest.mark.parametrize("level", LEVELS)
def test_a_first_step_that_can_be_empty_stands_alone(level: str) -> None:
    """An empty first plan ends a remediation: what always has something to do comes first."""
    first, *others = actions(level)

    assert not others or first in {"command.run", "notify.log"}


@pytest.mark.parametrize("level", ["aggressive", "emergency"])
def test_members_are_ended_only_if_all_before_did_not_help_and_only_so_many(level: str) -> None:
    step = written(level)["steps"][-1]

    assert step["action"] == "process.terminate"
    assert step["unless_healed"] is True
    assert step["with"]["most"] <= 4
    assert "over_rss" in step["with"]
    assert ("under_cpu" in step["with"]) == (level == "aggressive")
    assert "alive" in written(level)["verify"]


def test_caches_are_dropped_by_nobody_who_did_not_ask_for_it() -> None:
    told = {level: "memory.drop_caches" in (FOLDER / f"memory_{level}.yml").read_text("utf-8") for level in LEVELS}

    assert not any("memory.drop_caches" in actions(level) for level in LEVELS)
    assert told == {"conservative": False, "balanced": False, "aggressive": True, "emergency": False}


def test_in_an_emergency_people_are_called() -> None:
    assert written("emergency")["otherwise"] == ["page_owner"]
    assert written("emergency")["limits"]["attempts"] == 1
