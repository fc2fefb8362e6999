"""`--once` and `--config.check`: a page without a server, and all errors without a page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exporter.programs import TOP, clean_environment
from tests.exporter.trees import PROCFS, values


def run(*flags: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the exporter to its end."""
    argv = [sys.executable, "-W", "error", "-m", "exporter", *flags]
    return subprocess.run(argv, cwd=TOP, capture_output=True, timeout=50, env=clean_environment() | variables)


def test_one_page_is_printed() -> None:
    done = run("--once", "--collector.disable-defaults", "--collector.loadavg", f"--path.procfs={PROCFS}")

    found = values(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert found["node_load1"] == (PROCFS / "loadavg").read_text().split()[0]
    assert found['node_scrape_collector_success{collector="loadavg"}'] == "1"
    # no server, so that nothing is said about one
    assert not any("http" in series for series in found)


def test_all_default_collectors_answer_at_once() -> None:
    done = run("--once")

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(values(done.stdout)) > 200


def test_a_collector_that_fails_is_told_by_the_code_and_the_page_comes(tmp_path: Path) -> None:
    done = run("--once", "--collector.disable-defaults", "--collector.loadavg", f"--path.procfs={tmp_path}")

    assert done.returncode == 1
    assert values(done.stdout)['node_scrape_collector_success{collector="loadavg"}'] == "0"
    assert b'msg="collector failed" collector=loadavg' in done.stderr


def test_an_address_that_others_can_reach_does_not_matter_without_a_server() -> None:
    done = run("--once", "--collector.disable-defaults", "--web.listen-address=:9976")

    assert (done.returncode, done.stderr) == (0, b"")


def test_who_reads_only_the_beginning_is_no_error() -> None:
    argv = [sys.executable, "-W", "error", "-m", "exporter", "--once"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            argv, cwd=TOP, stdout=writing, stderr=subprocess.PIPE, timeout=50, env=clean_environment()
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_configuration_without_errors_is_said_to_be_in_order() -> None:
    done = run("--config.check")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"selfheal-exporter: flags and files are in order\n", b"")


def test_every_error_of_flags_and_files_is_printed(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text("process_names: [{name: a}]")
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: wonderland}\nhttp: {}\n")

    done = run(
        "--config.check", f"--config.path={tmp_path}/groups.yml", f"--web.config.file={tmp_path}/web.yml",
        "--web.max-requests=many", "--nonsense", SELFHEAL_WEB_MAX_CONNECTIONS="0",
    )  # fmt: skip

    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert done.stdout == b""
    for number, beginning in enumerate([
        "argument --web.max-requests: 'many'",
        "argument --web.max-connections: from $SELFHEAL_WEB_MAX_CONNECTIONS: '0': at least 1 is needed",
        "unrecognized arguments: --nonsense",
        f"{tmp_path}/groups.yml: process_names[0]: selects nothing",
        f"{tmp_path}/web.yml: http: unknown key; known are tls_server_config, http_server_config,",
    ]):  # fmt: skip
        assert lines[number].startswith(beginning), lines
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("text", "code"), [("", 1), ("basic_auth_users: {a: $2b$10$%s}" % ("a" * 53), 0)], ids=["nobody_asked", "asked"]
)
def test_a_check_knows_whether_everybody_may_come(tmp_path: Path, text: str, code: int) -> None:
    (tmp_path / "web.yml").write_text(text)

    flags = ("--web.listen-address=:9976", f"--web.config.file={tmp_path}/web.yml", "--collector.disable-defaults")
    done = run("--config.check", *flags)

    assert done.returncode == code
    assert (b"lets in everybody" in done.stderr) == (code == 1)
    assert run("--config.check", "--collector.disable-defaults", "--web.listen-address=:9976").returncode == 1
