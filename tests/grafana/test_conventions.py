"""What the dashboard must look like: the linter's rules and our own conventions."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfheal.common.shipped import shipped
from tests.grafana.dashboard import DASHBOARD, MARKS, PANELS, VARIABLES, targets
from tests.grafana.linter import RULES

Json = dict[str, Any]
FIGURES = [panel for panel in PANELS if "reduceOptions" in panel["options"]]
LINT = yaml.safe_load(shipped("grafana", "dashboards", ".lint").read_text("utf-8"))["exclusions"]
BUNDLED = {"stat", "table", "timeseries", "bargauge", "gauge"}


def excused(rule: str, title: str, number: int | None) -> bool:
    """Return whether the exceptions name this query of this panel."""
    for entry in LINT.get(rule, {"entries": []})["entries"]:
        same = entry["dashboard"] == DASHBOARD["title"] and entry["panel"] == title
        if same and entry.get("targetIdx", number) == number:
            return True
    return False


@pytest.mark.parametrize("rule", RULES)
def test_the_linter_has_nothing_against_the_dashboard(rule: str) -> None:
    left = [complaint for complaint in RULES[rule](DASHBOARD) if not excused(rule, *complaint[1:])]

    assert left == []


def test_every_exception_has_a_reason_and_is_needed() -> None:
    for rule, exception in LINT.items():
        assert len(exception["reason"]) > 20
        complaints = list(RULES[rule](DASHBOARD))
        for entry in exception["entries"]:
            assert any(
                title == entry["panel"] and entry.get("targetIdx", number) == number for _, title, number in complaints
            ), (rule, entry)


def spoil(change: Callable[[Json], object]) -> Json:
    changed = copy.deepcopy(DASHBOARD)
    change(changed)
    return changed


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("template-datasource-rule", lambda d: d["templating"]["list"].pop(0)),
        ("template-job-rule", lambda d: d["templating"]["list"][1].update(multi=False)),
        ("template-instance-rule", lambda d: d["templating"]["list"].pop(2)),
        (
            "template-label-promql-rule",
            lambda d: d["templating"]["list"][1]["query"].update(query="label_values(u{, job)"),
        ),
        ("template-on-time-change-reload-rule", lambda d: d["templating"]["list"][1].update(refresh=1)),
        ("panel-datasource-rule", lambda d: d["panels"][0]["datasource"].update(uid="prometheus")),
        ("panel-title-description-rule", lambda d: d["panels"][0].pop("description")),
        ("panel-units-rule", lambda d: d["panels"][0]["fieldConfig"]["defaults"].pop("unit")),
        ("panel-no-targets-rule", lambda d: d["panels"][0].update(targets=[])),
        ("target-promql-rule", lambda d: d["panels"][0]["targets"][0].update(expr="rate(up)")),
        ("target-rate-interval-rule", lambda d: d["panels"][0]["targets"][0].update(expr="rate(a_total[5m])")),
        ("target-job-rule", lambda d: d["panels"][1]["targets"][0].update(expr="up")),
        ("target-instance-rule", lambda d: d["panels"][1]["targets"][0].update(expr='up{instance=".+"}')),
        ("target-counter-agg-rule", lambda d: d["panels"][0]["targets"][0].update(expr="sum(a_total)")),
        ("uneditable-dashboard", lambda d: d.update(editable=True)),
    ],
    ids=list(RULES),
)
def test_the_linter_finds_what_it_is_for(rule: str, change: Callable[[Json], object]) -> None:
    before, after = list(RULES[rule](DASHBOARD)), list(RULES[rule](spoil(change)))

    assert [complaint for complaint in after if complaint not in before]


def test_the_dashboard_is_one_of_ours() -> None:
    assert DASHBOARD["uid"] == "selfheal-overview"
    assert DASHBOARD["title"] == "Selfheal / Overview"
    assert DASHBOARD["tags"] == ["selfheal", "overview"]
    assert 39 <= DASHBOARD["schemaVersion"] <= 42
    assert (DASHBOARD["graphTooltip"], DASHBOARD["timezone"], DASHBOARD["refresh"]) == (1, "browser", "30s")
    assert DASHBOARD["time"] == {"from": "now-6h", "to": "now"}
    assert not {"id", "iteration", "__inputs", "__requires", "gnetId"} & set(DASHBOARD)


def test_there_are_at_most_eight_panels_of_kinds_that_grafana_brings_along() -> None:
    assert len(PANELS) <= 8
    assert {panel["type"] for panel in PANELS} <= BUNDLED


def test_ids_are_stable_and_panels_fill_the_grid_without_overlap() -> None:
    cells = [
        {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        for place in (panel["gridPos"] for panel in PANELS)
    ]
    height = max(place["gridPos"]["y"] + place["gridPos"]["h"] for place in PANELS)

    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    assert all(one.isdisjoint(other) for one, other in combinations(cells, 2))
    assert set().union(*cells) == {(x, y) for x in range(24) for y in range(height)}
    assert min(panel["gridPos"]["h"] for panel in PANELS) >= 4


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_is_normal_and_never_shows_an_unexplained_gap(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert len(panel["title"]) <= 40
    assert panel["title"][0].isupper()
    assert "Normal: " in panel["description"]
    assert len(panel["description"].split(". ")) >= 3
    assert panel["type"] == "table" or defaults["min"] == 0
    assert defaults["unit"] != "percentunit" or defaults["max"] == 1
    healthy = all("vector(0)" in target["expr"] for target in panel["targets"])
    assert healthy or panel["type"] == "timeseries" or defaults["noValue"] not in {"", "No data"}


@pytest.mark.parametrize("panel", FIGURES, ids=lambda panel: panel["title"])
def test_a_figure_is_the_value_now(panel: Json) -> None:
    assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]
    assert all(target["instant"] for target in panel["targets"])


def test_every_query_says_how_it_is_asked_and_what_its_series_are_called() -> None:
    for panel, _, target in targets():
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["editorMode"] == "code"
        assert target["exemplar"] is False
        assert target["instant"] is not target["range"]
        assert target["legendFormat"] or panel["type"] == "table"
        assert target["legendFormat"] != "__auto"


def test_a_division_is_guarded() -> None:
    for _, _, target in targets():
        for divisor in re.findall(r" / (.*)", target["expr"]):
            assert divisor.endswith("> 0)"), target["expr"]


def test_variables_come_in_the_usual_order_and_never_match_an_absent_label() -> None:
    assert [variable["name"] for variable in VARIABLES] == ["datasource", "job", "instance"]
    assert all(variable["allValue"] == ".+" and variable["sort"] == 1 for variable in VARIABLES[1:])


def test_marks_are_on_the_curves_and_nowhere_else() -> None:
    curves = [panel["id"] for panel in PANELS if panel["type"] == "timeseries"]

    for mark in MARKS:
        assert mark["filter"]["exclude"] is False
        assert mark["filter"]["ids"]
        assert set(mark["filter"]["ids"]) <= set(curves)
        assert mark["useValueForTime"] is True
        assert mark["target"]["expr"] == mark["expr"]
        assert mark["datasource"]["uid"] == "${datasource}"


def test_colours_are_names_that_suit_both_themes_and_never_green_beside_red() -> None:
    text = json.dumps(DASHBOARD)
    colours = set(re.findall(r'"(?:color|fixedColor|iconColor)": "([^"]+)"', text))

    assert not re.search(r'"#[0-9a-fA-F]{3,8}"', text)
    assert not re.search(r"rgba?\(", text)
    assert colours <= {"blue", "light-blue", "dark-blue", "yellow", "orange", "dark-red", "text", "gray", "transparent"}
    assert "palette-colorblind" not in text


def test_what_differs_for_one_series_names_a_series_that_exists() -> None:
    for panel in PANELS:
        names = {target["legendFormat"] for target in panel["targets"]}
        queries = {target["refId"] for target in panel["targets"]}
        for step in panel.get("transformations", []):
            names |= set(step["options"].get("renameByName", {}).values())
        for override in panel["fieldConfig"]["overrides"]:
            matcher = override["matcher"]
            if matcher["id"] == "byFrameRefID":
                assert matcher["options"] in queries
            else:
                assert matcher["options"] in names or "{{verdict}}" in names


def test_every_severity_of_the_rules_has_a_tile_a_colour_and_its_place_in_the_table_from_the_worst_on() -> None:
    files = Path(str(shipped("rules"))).glob("*.yml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    used = {rule["labels"]["severity"] for group in groups for rule in group["rules"] if "alert" in rule}
    tiles, tables = PANELS[0], PANELS[4]
    painted = {each["matcher"]["options"] for each in tiles["fieldConfig"]["overrides"]}
    [severity] = [each for each in tables["fieldConfig"]["overrides"] if each["matcher"]["options"] == "Severity"]
    [mapped] = [each["value"][0]["options"] for each in severity["properties"] if each["id"] == "mappings"]
    order = [mapped[rank]["text"] for rank in sorted(mapped)]

    assert [target["legendFormat"] for target in tiles["targets"]] == order == ["critical", "high", "warning", "goal"]
    # `none` is what always fires, to show that alerts arrive; it concerns no instance, so it is not shown
    assert used - {"none"} == painted == set(order)
    for rank, text in zip(sorted(mapped), order, strict=True):
        assert f'"severity", "{rank}", "severity", "{text}"' in tables["targets"][0]["expr"]
