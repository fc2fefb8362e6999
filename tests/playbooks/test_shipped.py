"""The shipped playbooks: five that observe and one without effect, each bounded, proven and named in both languages."""

from __future__ import annotations

import yaml

from remediator.actions import ACTIONS
from remediator.config import SHIPPED_PLAYBOOKS, shipped_files
from remediator.model import Alert, Mode, Playbook
from remediator.playbooks.loader import load_playbooks
from remediator.playbooks.match import Site, choose, freeze

EXPECTED = {
    "ProcessMemoryLeak": ("restart_leaking_worker", "process.terminate"),
    "ProcessSpinning": ("restart_spinning_worker", "process.terminate"),
    "ZombiesPiledUp": ("reap_zombies", "process.reap"),
    "ServiceDown": ("restart_service", "service.restart"),
    "DirectoryTooLarge": ("clean_directory", "disk.clean"),
    "SelfhealSelftest": ("selftest", "notify.log"),
    "SystemdUnitFailed": ("restart_failed_unit", "service.reset_failed"),
    "UnitCpuHigh": ("limit_busy_unit", "process.limit"),
    "MemoryReliefConservative": ("memory_conservative", "disk.clean"),
    "MemoryReliefBalanced": ("memory_balanced", "command.run"),
    "MemoryReliefAggressive": ("memory_aggressive", "command.run"),
    "MemoryReliefEmergency": ("memory_emergency", "notify.log"),
    "WorkTreeBacklog": ("keep_safe_work", "git.commit_safe"),
    "WorkTreeUnsaved": ("checkpoint_work", "git.checkpoint"),
}
MANUAL = {
    "clear_cache": "http.request",
    "collect_garbage": "command.run",
    "fail_over_model_server": "command.run",
    "reload_certificate": "service.reload",
    "repair_by_ansible": "annotate.mark",
    "restart_model_server": "command.run",
    "scale_workers": "scale.set",
    "start_unit": "service.start",
}
"""For people, who give the labels; each says by `when:` whether it is needed."""
UNPROVEN = {"calm_busy_group"}
"""They make nothing healthy by themselves and say so: `verify: none`."""
FILES = shipped_files(SHIPPED_PLAYBOOKS)


def shipped() -> tuple[Playbook, ...]:
    return load_playbooks(FILES)


def test_each_of_the_alerts_has_its_playbook_and_action() -> None:
    found = {playbook.trigger.alert: (playbook.name, playbook.steps[0].action) for playbook in shipped()}
    found.pop("", None)

    assert found == EXPECTED


def test_what_people_start_is_needed_by_its_own_measurement_and_proven_by_one() -> None:
    manual = [playbook for playbook in shipped() if playbook.name in MANUAL]

    assert {each.name: each.steps[0].action for each in manual if each.trigger.manual} == MANUAL
    assert all(each.when and each.verify is not None and each.verify.healthy for each in manual)


def test_every_action_has_a_playbook_that_shows_it() -> None:
    # dropping caches is for whoever opts in: memory_aggressive has it as a comment
    assert {step.action for playbook in shipped() for step in playbook.steps} == set(ACTIONS) - {"memory.drop_caches"}


def test_a_file_has_the_name_of_its_playbook() -> None:
    assert sorted(path.stem for path in FILES) == [playbook.name for playbook in shipped()]


def test_no_shipped_playbook_with_an_effect_says_a_mode_so_all_observe() -> None:
    acting = [path.stem for path in FILES if "mode" in yaml.safe_load(path.read_text("utf-8"))]

    assert acting == ["selftest"]
    assert {playbook.name: playbook.mode for playbook in shipped() if playbook.mode is not Mode.OBSERVE} == {
        "selftest": Mode.AUTO
    }
    assert {step.action for playbook in shipped() if playbook.name == "selftest" for step in playbook.steps} == {
        "notify.log"
    }


def test_each_has_two_titles_limits_of_its_own_and_a_watch() -> None:
    for path in FILES:
        written = yaml.safe_load(path.read_text("utf-8"))

        assert set(written["title"]) == {"en", "ko"}
        assert written["title"]["en"].isascii()
        assert not written["title"]["ko"].isascii()
        assert {"cooldown", "rate"} <= set(written["limits"])
        assert (written["verify"] == "none") == (path.stem in UNPROVEN)
        assert path.stem in UNPROVEN or {"healthy_for", "within", "watch"} <= set(written["verify"])


def test_what_ends_or_restarts_something_proves_that_it_is_alive() -> None:
    asked = {playbook.name: playbook.verify.alive for playbook in shipped() if playbook.verify is not None}

    assert all(asked[name] for name in ("restart_leaking_worker", "restart_spinning_worker", "restart_service"))


def test_each_freezes_for_the_alert_it_answers() -> None:
    labels = {
        "instance": "web-1:9976",
        "job": "web",
        "groupname": "worker",
        "service": "web",
        "directory": "/var/tmp/app",
        "name": "web.service",
        "unit": "system.slice/web.service",
        "workspace": "/srv/work",
    }
    site = Site({"web-1": ("web-1:9976",)}, ACTIONS, Mode.AUTO)
    names = {"process_group": "worker", "service": "web", "directory": "/var/tmp/app", "selftest": "way"}
    names |= {"memory": "used", "work_tree": "/srv/work"}
    units = {"SystemdUnitFailed": "web.service", "UnitCpuHigh": "system.slice/web.service"}

    for alertname, (name, _) in EXPECTED.items():
        alert = Alert("firing", {"alertname": alertname, **labels}, {}, 0.0, "f")
        playbook = choose(shipped(), alert)
        assert playbook is not None
        frozen = freeze(playbook, alert, site)

        assert frozen.playbook == name
        assert frozen.mode is (Mode.AUTO if name == "selftest" else Mode.OBSERVE)
        assert frozen.target.name == (units.get(alertname) or names[frozen.target.kind])
        assert "{{" not in repr(frozen)
