"""What the stack renders is accepted by the programs it is for, keeps secrets private, and keeps what people edit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from selfheal.common.durations import parse_duration
from selfheal.common.secrets import read_tokens
from selfheal.stack import config
from selfheal.stack.config import Settings, render
from selfheal.stack.patient import FAULTS
from selfheal.stack.patient.playbooks import HEALTHY_FOR, render_playbooks
from selfheal.stack.patient.rules import Timing, render_rules
from tests.stack.support import read, run, settings_in
from tests.tools import binary, tool

INTERVALS = [1.0, 2.0, 4.999, 5.0, 15.0, 60.0]


@pytest.mark.parametrize("demo", [True, False], ids=["demo", "host"])
@pytest.mark.parametrize("scrape", [1.0, 15.0])
def test_promtool_and_amtool_accept_what_is_rendered(demo: bool, scrape: float, tmp_path: Path) -> None:
    settings = settings_in(tmp_path / 'a "quoted" state', demo, scrape)

    render(settings)

    folder = settings.layout.config
    promtool = run(binary("promtool"), "check", "config", folder / "prometheus.yml")
    amtool = run(tool("amtool").path, "check-config", folder / "alertmanager.yml", cwd=tool("amtool").folder)
    assert promtool.returncode == 0, promtool.stderr
    assert amtool.returncode == 0, amtool.stderr
    rules = sorted(file.name for file in (folder / "rules").glob("*")) if demo else []
    assert rules == (["patient.yml"] if demo else [])


@pytest.mark.parametrize("scrape", INTERVALS)
def test_promtool_accepts_the_patients_rules_at_every_interval(scrape: float, tmp_path: Path) -> None:
    file = tmp_path / "patient.yml"
    file.write_text(yaml.safe_dump(render_rules(Timing(scrape), '/a "b" \\ c')))

    done = run(binary("promtool"), "check", "rules", file)

    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(FAULTS)} rules found" in done.stdout


@pytest.mark.parametrize(
    ("scrape", "window", "service"),
    [
        (1.0, "5s", 'max_over_time(up{job="patient-web"}[3s]) == 0'),
        (2.0, "5s", 'max_over_time(up{job="patient-web"}[6s]) == 0'),
        (2.5, "5s", 'max_over_time(up{job="patient-web"}[7s500ms]) == 0'),
        (4.999, "9s998ms", 'max_over_time(up{job="patient-web"}[14s997ms]) == 0'),
        (5.0, "10s", 'up{job="patient-web"} == 0'),
        (15.0, "30s", 'up{job="patient-web"} == 0'),
    ],
)
def test_windows_follow_the_scrape_interval(scrape: float, window: str, service: str) -> None:
    rules = {rule["alert"]: rule for rule in render_rules(Timing(scrape), "/f")["groups"][0]["rules"]}

    assert list(rules) == [fault.alert for fault in FAULTS]
    assert f"[{window}]" in rules["PatientMemoryLeak"]["expr"]
    assert rules["PatientCpuSpin"]["expr"].endswith(f"[{window}])) > 0.4")
    assert rules["PatientServiceDown"]["expr"] == service
    assert {rule["for"] for rule in rules.values()} == {"0s"}


@pytest.mark.parametrize("scrape", INTERVALS)
def test_a_relapse_can_be_seen_and_a_proof_can_be_had_at_every_interval(scrape: float) -> None:
    timing = Timing(scrape)
    rules = {rule["alert"]: rule["expr"] for rule in render_rules(timing, "/f")["groups"][0]["rules"]}

    for playbook in render_playbooks(timing).values():
        expression = rules[playbook["trigger"]["alert"]]
        longest = max((parse_duration(text) for text in re.findall(r"\[(\w+)\]", expression)), default=0.0)
        verify = playbook["verify"]
        assert parse_duration(verify["watch"]) >= longest
        assert parse_duration(verify["within"]) >= max(30.0, longest + HEALTHY_FOR + 3 * scrape)
        assert verify["healthy_for"] == "3s"


def test_what_ends_or_restarts_something_also_proves_it_alive() -> None:
    playbooks = render_playbooks(Timing(1.0)).values()

    alive = {playbook["steps"][0]["action"] for playbook in playbooks if "alive" in playbook["verify"]}

    assert alive == {"process.terminate", "service.restart"}


def test_the_demo_acts_on_the_patient_and_the_host_is_only_observed(tmp_path: Path) -> None:
    demo, host = settings_in(tmp_path / "demo"), settings_in(tmp_path / "host", demo=False)
    render(demo)
    render(host)

    acting, watching = read(demo, "remediator.yml"), read(host, "remediator.yml")
    permitted, nothing = read(demo, "policy.yml"), read(host, "policy.yml")

    assert (acting["highest_mode"], watching["highest_mode"]) == ("auto", "observe")
    assert (acting["limits"], acting["reconcile"]) == ({"cooldown": "0s", "rate": ["1000/1h"]}, "5s")
    assert "playbooks" not in watching  # the shipped ones, which have no mode
    assert nothing == {"process_groups": [], "roots": {}, "commands": {}}
    assert permitted["process_groups"] == ["patient-leaker", "patient-sick-parent", "patient-spinner"]
    assert permitted["identities"] == str(demo.layout.patient / "identities.json")
    assert list(permitted["roots"]) == [str(demo.patient_folder)]
    assert {verb: argv[-1] for verb, argv in permitted["commands"]["web"].items()} == {
        "start": "start",
        "stop": "stop",
        "status": "status",
    }


def test_every_scraped_address_is_this_hosts(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    render(settings)

    scraped = [
        target
        for job in read(settings, "prometheus.yml")["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    ]

    hosts = read(settings, "remediator.yml")["hosts"]
    assert len(hosts) == 1
    assert sorted(next(iter(hosts.values()))["instances"]) == sorted(scraped)


def test_our_route_is_first_goes_on_and_has_its_own_timing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    render(settings)
    rendered = read(settings, "alertmanager.yml")

    route = rendered["route"]["routes"][0]
    hook = rendered["receivers"][0]["webhook_configs"][0]

    assert route == {
        "receiver": "selfheal",
        "continue": True,
        "group_by": ["alertname", "instance"],
        "group_wait": "0s",
        "group_interval": "1s",
        "repeat_interval": "5m",
    }
    assert hook["url"] == "http://127.0.0.1:9977/hooks/alertmanager"
    assert (hook["send_resolved"], hook["max_alerts"]) == (True, 0)
    assert hook["http_config"]["authorization"]["credentials_file"] == str(settings.layout.hook_token)


def test_tokens_are_private_differ_and_survive_the_next_start(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    render(settings)
    first = (read_tokens(settings.layout.hook_token), read_tokens(settings.layout.api_token))

    render(settings)

    assert (read_tokens(settings.layout.hook_token), read_tokens(settings.layout.api_token)) == first
    assert first[0] != first[1]
    token = first[0][0].reveal()
    assert all(token not in file.read_text() for file in settings.layout.config.glob("*.yml"))
    assert (settings.layout.config / "policy.yml").stat().st_mode & 0o777 == 0o600


def test_what_a_person_edited_stays_and_addresses_follow_the_ports(tmp_path: Path) -> None:
    before = settings_in(tmp_path, demo=False)
    render(before)
    file = before.layout.config / "remediator.yml"
    policy = before.layout.config / "policy.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"highest_mode": "auto", "retention": "7d"}))
    policy.write_text("process_groups: [mine]\n")

    render(Settings(before.layout, before.ports | {"prometheus": 19090}, 15.0, False))

    after = read(before, "remediator.yml")
    assert (after["highest_mode"], after["retention"]) == ("auto", "7d")
    assert after["prometheus"]["url"] == "http://127.0.0.1:19090"
    assert policy.read_text() == "process_groups: [mine]\n"


def test_what_a_person_wrote_beside_the_addresses_stays_as_written(tmp_path: Path) -> None:
    before = settings_in(tmp_path, demo=False, scrape=15.0)
    render(before)
    file = before.layout.config / "remediator.yml"
    text = file.read_text()
    mine = "# careful: paged at night\nhighest_mode: auto  # since May\nplaybooks: [shipped, playbooks/*.yml]\n"
    marked = text.replace("highest_mode: observe\n", mine).replace("policy: policy.yml", "\n# mine\npolicy: policy.yml")
    file.write_text(marked)

    render(Settings(before.layout, before.ports | {"prometheus": 19090}, 15.0, False))

    changed = marked.replace("url: http://127.0.0.1:9090", "url: http://127.0.0.1:19090")
    assert file.read_text() == changed.replace("- 127.0.0.1:9090\n", "- 127.0.0.1:19090\n")


def test_a_place_for_rules_and_playbooks_of_ones_own_is_there_and_is_explained(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    folder = settings.layout.config

    assert [(folder / name).is_dir() for name in ("rules", "playbooks")] == [True, True]
    for word in ("processes.yml", "playbooks/", "remediator.yml", "highest_mode: auto", "selfheal check"):
        assert word in (folder / "policy.yml").read_text()
    assert "playbooks: [shipped, playbooks/*.yml]" in (folder / "remediator.yml").read_text()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, "observe"),
        ("highest_mode: auto\n", "auto"),
        ("highest_mode: [auto]\n", "observe"),
        ("- auto\n", "observe"),
        ("highest_mode: [\n", "observe"),
        ("state: here\n", "observe"),
    ],
    ids=["absent", "auto", "a list", "no mapping", "broken", "not said"],
)
def test_how_far_playbooks_may_go_is_read_from_the_persons_file(
    tmp_path: Path, written: str | None, expected: str
) -> None:
    settings = settings_in(tmp_path, demo=False)
    if written is not None:
        (settings.layout.config / "remediator.yml").write_text(written)

    assert config.highest_mode(settings) == expected


def test_an_unchanged_or_broken_file_of_a_person_is_not_written_over(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "remediator.yml"
    commented = f"# mine\n{file.read_text()}"
    file.write_text(commented)

    render(settings)
    unchanged = file.read_text()
    file.write_text("hosts: [")
    render(settings)

    assert unchanged == commented
    assert file.read_text() == "hosts: ["


def test_example_files_are_no_rules() -> None:
    assert config.shipped_rules()
    assert not [path for path in config.shipped_rules() if "example" in path.name]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("web-1.example.org", "web-1.example.org"),
        ("_odd name_", "odd-name_"),
        ("", "localhost"),
        ("호스트", "localhost"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_host_name_is_one_that_the_remediator_accepts(
    given: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: given)

    assert config.host_name() == expected


def test_rendered_documents_are_plain_data(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    render(settings)

    for file in settings.layout.config.rglob("*.yml"):
        assert json.dumps(yaml.safe_load(file.read_text()))
        assert "&id" not in file.read_text()
