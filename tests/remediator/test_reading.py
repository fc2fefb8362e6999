"""Files read by a process of its own: the same values, the same problems, and nothing heavy left behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.config import DEFAULT_LISTEN_ADDRESS, SHIPPED_PLAYBOOKS, shipped_files
from remediator.reading import read, read_apart
from remediator.shell import run_own
from selfheal.common.problems import ConfigError

CONFIG = """
hosts: {here: {instances: ["here:9100"]}}
policy: policy.yml
prometheus: {url: "http://127.0.0.1:9090", basic_auth: {username: me, password_file: password}}
"""
POLICY = "process_groups: ['worker-*']\nroots: {/var/tmp/app: {older_than: 1h, keep: 2}}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with the shipped playbooks, a policy and a secret."""
    for name, text in (("remediator.yml", CONFIG), ("policy.yml", POLICY), ("password", "open sesame")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path / "remediator.yml"


def test_a_process_of_its_own_reads_the_same(config: Path) -> None:
    here = read(config, DEFAULT_LISTEN_ADDRESS)

    apart = read_apart(config, DEFAULT_LISTEN_ADDRESS)

    assert (apart.config, apart.playbooks) == (here.config, here.playbooks)
    # a grouping is compared by what it is
    assert replace(apart.policy, grouping=here.policy.grouping) == here.policy
    assert apart.config.prometheus.password is not None
    assert apart.config.prometheus.password.reveal() == "open sesame"
    assert len(apart.playbooks) == len(shipped_files(SHIPPED_PLAYBOOKS))


def test_every_problem_comes_back_with_its_place(config: Path) -> None:
    config.write_text("hosts: {here: {instances: [x]}}\nrecieiver: me\nreconcile: 0s\n")
    with pytest.raises(ConfigError) as here:
        read(config, DEFAULT_LISTEN_ADDRESS)

    with pytest.raises(ConfigError) as apart:
        read_apart(config, DEFAULT_LISTEN_ADDRESS)

    assert apart.value.problems == here.value.problems
    assert len(apart.value.problems) == 2


def test_a_reading_process_that_breaks_is_a_problem_and_no_values(config: Path) -> None:
    with pytest.raises(ConfigError, match="the reading process ended with 1; see the log above"):
        read_apart(config, DEFAULT_LISTEN_ADDRESS, "remediator.there_is_no_such_module")


def test_what_only_reading_needs_is_not_in_the_resident_program() -> None:
    code = "import sys, remediator.app; print(sorted({'pydantic', 'pydantic_core', 'flask'} & set(sys.modules)))"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)

    assert answer.stdout.strip() == "[]"


def test_our_own_module_is_ended_after_its_time() -> None:
    # a server on a free port never ends by itself
    assert run_own("http.server", ["--bind", "127.0.0.1", "0"], 0.5) == (-9, b"")


def test_our_own_module_is_found_where_we_are_found_and_not_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text("print('planted')")
    monkeypatch.chdir(tmp_path)

    code, output = run_own("planted", [], 20.0)

    assert (code, output) == (1, b"")
