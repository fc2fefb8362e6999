"""The files that Grafana reads at start: they parse, and every uid in them and in the dashboard is known."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from selfheal.common.shipped import shipped
from tests.grafana.dashboard import DASHBOARD, VARIABLES

FOLDER = shipped("grafana", "provisioning")


def read(kind: str) -> dict[str, Any]:
    content = yaml.safe_load((FOLDER / kind / "selfheal.yml").read_text("utf-8"))
    assert content["apiVersion"] == 1
    return dict(content)


def test_there_is_one_file_for_sources_and_one_for_dashboards() -> None:
    files = sorted(str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*") if file.is_file())

    assert files == ["dashboards/selfheal.yml", "datasources/selfheal.yml"]


def test_the_sources_have_fixed_uids_and_say_what_grafana_cannot_guess() -> None:
    prometheus, alertmanager = read("datasources")["datasources"]

    assert (prometheus["uid"], prometheus["type"]) == ("selfheal-prometheus", "prometheus")
    assert prometheus["jsonData"]["timeInterval"] == "15s"
    assert prometheus["jsonData"]["httpMethod"] == "POST"
    assert (alertmanager["uid"], alertmanager["type"]) == ("selfheal-alertmanager", "alertmanager")
    assert alertmanager["jsonData"]["implementation"] == "prometheus"
    assert not any("isDefault" in source for source in (prometheus, alertmanager))


def test_every_uid_the_dashboard_names_is_a_variable_or_a_source_that_we_ship() -> None:
    shipped_uids = {source["uid"] for source in read("datasources")["datasources"]}
    named = set(re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD))) - {DASHBOARD["uid"]}

    assert named == {"${datasource}"}
    assert VARIABLES[0]["current"]["value"] in shipped_uids


def test_the_provider_keeps_the_files_in_charge() -> None:
    (provider,) = read("dashboards")["providers"]

    assert (provider["folder"], provider["folderUid"]) == ("Selfheal", "selfheal")
    assert provider["disableDeletion"] is False
    assert provider["allowUiUpdates"] is False
    assert provider["updateIntervalSeconds"] >= 30
    # with folders from the file structure Grafana would ignore `folder`
    assert provider["options"]["foldersFromFilesStructure"] is False


def test_the_readme_names_every_panel_and_the_path_of_the_provider() -> None:
    text = shipped("grafana", "README.md").read_text("utf-8")
    (provider,) = read("dashboards")["providers"]

    assert all(f"| {panel['title']} |" in text for panel in DASHBOARD["panels"])
    assert provider["options"]["path"].removesuffix("/dashboards") in text
