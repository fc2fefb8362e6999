"""Playbook files: what is read, what is refused with which words, and that the reference names every key."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.actions import ACTIONS
from remediator.model import Limits, Matcher, Mode, Rate, Step, Verify
from remediator.playbooks.loader import load_playbook, load_playbooks
from remediator.playbooks.written import KEYS, parse_matcher
from selfheal.common.problems import ConfigError

unhurried = settings(deadline=None)  # a busy machine is no fault; the whole test has its time-out

BAD = sorted((Path(__file__).parent / "bad").glob("*.yml"))
TOP = Path(__file__).parents[2]
SMALLEST = """\
playbook: one
trigger: {alert: Ill}
target: {host: "{{ $labels.instance }}", service: web}
steps: [{action: notify.log, with: {message: "{{ $labels.instance }} is ill"}}]
verify: none
"""


def write(folder: Path, text: str, name: str = "one.yml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def problems(*paths: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_playbooks(paths)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("source", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_every_error_and_its_remedy(source: Path, tmp_path: Path) -> None:
    text = source.read_text("utf-8").replace("EVERY_ACTION", ", ".join(sorted(ACTIONS)))
    expected = [line.removeprefix("#= ") for line in text.splitlines() if line.startswith("#= ")]
    path = tmp_path / source.name
    shutil.copyfile(source, path)

    found = problems(path)

    assert expected
    assert found == [f"{path}: {line}" for line in expected]


def test_the_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    paths = [write(tmp_path, "playbook: 7\n", "a.yml"), write(tmp_path, SMALLEST, "b.yml"), tmp_path / "c.yml"]

    found = problems(*paths)

    assert found[0] == f"{paths[0]}: playbook: must be text, not a number; put it in quotes"
    assert found[-1] == f"{paths[2]}: cannot be read (No such file or directory); name a file that this user can read"
    assert not any(str(paths[1]) in line for line in found)


def test_a_name_used_twice_is_an_error(tmp_path: Path) -> None:
    first, second = write(tmp_path, SMALLEST, "a.yml"), write(tmp_path, SMALLEST, "b.yml")

    assert problems(first, second) == [f"{second}: playbook: 'one' is used by {first} too; rename one of them"]


def test_the_smallest_playbook_observes_and_has_the_defaults(tmp_path: Path) -> None:
    playbook = load_playbook(write(tmp_path, SMALLEST))

    assert playbook.mode is Mode.OBSERVE
    assert playbook.title == {"en": "one", "ko": "one"}
    assert playbook.trigger.match == ()
    assert playbook.limits == Limits()
    assert playbook.steps == (Step("notify.log", {"message": "{{ $labels.instance }} is ill"}, 30.0, False, "stop"),)
    assert playbook.verify is None
    assert playbook.otherwise == ()


def test_every_key_is_read(tmp_path: Path) -> None:
    text = """\
playbook: two
title: {en: Restart, ko: 재시작}
trigger: {alert: Ill, match: ['severity=~"warning|critical"', zone!=eu]}
mode: auto
target: {host: "{{ $labels.instance }}", process_group: "{{ $labels.groupname }}"}
limits: {cooldown: 5m, rate: [3/1h, 10/1d], lock: target, hold_at_most: 1m, attempts: 2}
steps:
  - action: process.terminate
    with: {group: "{{ $labels.groupname }}", over_rss: 400MiB, grace: 5s}
    timeout: 1m
    on_failure: continue
  - {action: notify.log, with: {message: 끝}, always: true}
verify: {healthy_for: 1s, within: 1m, watch: 1h, healthy: up == 1, alive: 'up{instance="{{ $labels.instance }}"} == 1'}
otherwise: [page_owner]
"""
    playbook = load_playbook(write(tmp_path, text))

    assert playbook.title == {"en": "Restart", "ko": "재시작"}
    assert playbook.trigger.match == (Matcher("severity", "=~", "warning|critical"), Matcher("zone", "!=", "eu"))
    assert playbook.mode is Mode.AUTO
    assert playbook.limits == Limits(300.0, (Rate(3, 3600.0), Rate(10, 86_400.0)), "target", 60.0, 2)
    assert playbook.steps[0].timeout == 60.0
    assert playbook.steps[0].on_failure == "continue"
    assert playbook.steps[1] == Step("notify.log", {"message": "끝"}, always=True)
    assert playbook.verify == Verify(1.0, 60.0, 3600.0, "up == 1", 'up{instance="{{ $labels.instance }}"} == 1')
    assert playbook.otherwise == ("page_owner",)


def test_limits_that_are_not_written_come_from_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST + "limits: {attempts: 9}\n")

    playbook = load_playbook(path, Limits(cooldown=0.0, rate=(Rate(1000, 3600.0),)))

    assert playbook.limits == Limits(cooldown=0.0, rate=(Rate(1000, 3600.0),), attempts=9)


def test_one_title_stands_in_for_the_other(tmp_path: Path) -> None:
    assert load_playbook(write(tmp_path, SMALLEST + "title: Hello\n")).title == {"en": "Hello", "ko": "Hello"}
    assert load_playbook(write(tmp_path, SMALLEST + "title: {ko: 안녕}\n")).title == {"en": "안녕", "ko": "안녕"}


def test_the_digest_follows_the_meaning_and_not_the_writing(tmp_path: Path) -> None:
    plain = load_playbook(write(tmp_path, SMALLEST, "a.yml"))
    commented = load_playbook(write(tmp_path, "# a remark\n" + SMALLEST + "mode: observe\n", "b.yml"))
    other = load_playbook(write(tmp_path, SMALLEST.replace("is ill", "is sick"), "c.yml"))

    assert re.fullmatch("[0-9a-f]{64}", plain.digest)
    assert commented.digest == plain.digest
    assert other.digest != plain.digest


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ('a="b"', Matcher("a", "=", "b")),
        ("a=b", Matcher("a", "=", "b")),
        ('  a  !=  "" ', Matcher("a", "!=", "")),
        (r'a=~"\\d+|\"x\""', Matcher("a", "=~", r'\d+|"x"')),
        (r'a!~"\d+"', Matcher("a", "!~", r"\d+")),
        ('a="한국, {어}"', Matcher("a", "=", "한국, {어}")),
    ],
)
def test_matchers_are_read_as_alertmanager_does(text: str, matcher: Matcher) -> None:
    assert parse_matcher(text) == matcher


@pytest.mark.parametrize("text", ["", "a", "=b", 'a="b', 'a=="b"', '1a="b"', 'a="b",c="d"', 'a="b""c"'])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no matcher; write for example"):
        parse_matcher(text)


KEYS_AND_MORE = sorted({part for key in KEYS for part in re.split(r"[.\[\]]+", key) if part} | {"x", "host", "group"})
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.just("{{ $labels.a }}")
)
values = st.deferred(
    lambda: leaves | st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS_AND_MORE), values, max_size=4)
)


@unhurried
@given(st.dictionaries(st.sampled_from(KEYS_AND_MORE), values, max_size=10))
def test_any_values_are_a_playbook_or_are_refused_in_words(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), json.dumps(document, ensure_ascii=False))
        try:
            load_playbook(path)
        except ConfigError as error:
            assert all(problem.what for problem in error.problems)


@unhurried
@given(st.binary(max_size=300) | st.text("{}[]:,-&*!|>'\"%@`#? \nab", max_size=60).map(str.encode))
def test_any_bytes_are_yaml_or_are_refused_in_words(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yml"
        path.write_bytes(data)
        with pytest.raises(ConfigError) as caught:
            load_playbook(path)
    assert caught.value.problems[0].what


def test_the_reference_has_a_row_for_every_key_and_for_nothing_else() -> None:
    text = (TOP / "docs" / "reference" / "playbooks.md").read_text("utf-8")
    section = text.partition("\n## Keys")[2].partition("\n## ")[0]

    rows = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)

    assert sorted(rows) == sorted(KEYS)


def test_the_reference_shows_a_playbook_that_loads(tmp_path: Path) -> None:
    text = (TOP / "docs" / "reference" / "playbooks.md").read_text("utf-8")
    shown = text.partition("```yaml\n")[2].partition("```")[0]

    playbook = load_playbook(write(tmp_path, shown))

    assert playbook.name == "restart_leaking_worker"
