"""Services that a person lists are scraped, and their alerts are this host's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from selfheal.common.flags import variable_of
from selfheal.stack import services
from selfheal.stack.config import Settings, render
from tests.stack.support import read, run, settings_in
from tests.tools import binary


def test_a_service_that_a_person_lists_is_scraped_and_is_this_hosts(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    file = settings.layout.config / "services.yml"
    empty = _promtool_on(settings)
    listed = file.read_text() + "- {targets: ['127.0.0.1:8080', '127.0.0.1:8081'], labels: {service: web}}\n"
    named = listed + "- {targets: ['127.0.0.1:8082'], labels: {service: mail, instance: mailer}}\n"
    file.write_text(named)

    told = render(settings)

    (instances,) = [host["instances"] for host in read(settings, "remediator.yml")["hosts"].values()]
    (job,) = [job for job in read(settings, "prometheus.yml")["scrape_configs"] if "file_sd_configs" in job]
    filled = _promtool_on(settings)
    assert told == []
    assert file.read_text() == named
    assert job == {"job_name": "services", "file_sd_configs": [{"files": [str(file)]}]}
    assert instances[-3:] == ["127.0.0.1:8080", "127.0.0.1:8081", "mailer"]
    assert (empty.returncode, filled.returncode) == (0, 0), empty.stderr + filled.stderr


@pytest.mark.parametrize("text", ["[", "- 1\n", "targets: [a]\n", "- {targets: a}\n", "- {targets: [1], labels: 2}\n"])
def test_a_broken_list_of_services_makes_nothing_this_hosts(tmp_path: Path, text: str) -> None:
    file = tmp_path / "services.yml"
    file.write_text(text)

    assert services.instances(file) == []


def test_the_written_files_say_how_folders_and_services_come_to_be_watched(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, demo=False)
    render(settings)
    policy, listed = ((settings.layout.config / name).read_text() for name in ("policy.yml", "services.yml"))

    example = "\n".join(line.removeprefix("# ") for line in listed.splitlines() if line.startswith("#   "))
    assert f"{variable_of('--collector.directory.root')}=" in policy
    assert "services.yml" in policy
    assert yaml.safe_load(example) == [{"targets": ["127.0.0.1:8080"], "labels": {"service": "web"}}]


def _promtool_on(settings: Settings) -> subprocess.CompletedProcess[str]:
    return run(binary("promtool"), "check", "config", settings.layout.config / "prometheus.yml")
