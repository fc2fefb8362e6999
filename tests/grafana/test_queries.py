"""Every query of the dashboard, asked of a real Prometheus that holds a scripted incident."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.grafana.dashboard import (
    MARKS,
    PANELS,
    VARIABLES,
    Choice,
    expand,
    label_values,
    metric_names,
    selectors,
)
from tests.grafana.incident import END, START, WELL
from tests.grafana.server import Prometheus

Incidents = Mapping[int, Prometheus]
CHOICES = [
    pytest.param(Choice(seconds, scrape, instances), id=f"{name}-{scrape}s-{len(instances) or 'all'}")
    for name, seconds in (("15m", 900), ("6h", 6 * 3600), ("7d", 7 * 86400))
    for scrape in (15, 60)
    for instances in ((), ("web-1:9976",), ("web-1:9976", "db-1:9100"))
]


def ask(prometheus: Prometheus, target: dict[str, Any], choice: Choice, end: int = END) -> list[dict[str, Any]]:
    expression = expand(target["expr"], choice)
    if target["instant"]:
        return prometheus.instant(expression, end)
    return prometheus.range(expression, end - choice.range, end, choice.interval)


def numbers(series: dict[str, Any]) -> list[float]:
    samples = series["values"] if "values" in series else [series["value"]]
    return [float(value) for _, value in samples]


def complaints(prometheus: Prometheus, panel: dict[str, Any], choice: Choice) -> list[str]:
    """Return what is wrong with what a panel would show."""
    found = []
    for target in panel["targets"]:
        answer = ask(prometheus, target, choice)
        where = f"{panel['title']} {target['refId']}"
        if not answer:
            found.append(f"{where}: nothing")
        if len(answer) > 20:
            found.append(f"{where}: {len(answer)} series")
        for series in answer:
            found += [f"{where}: {problem}" for problem in wrong(panel, target, series)]
        if not choice.instances:
            found += [f"{where}: no data for {name}" for name in unknown(prometheus, target["expr"], choice)]
    return found


def wrong(panel: dict[str, Any], target: dict[str, Any], series: dict[str, Any]) -> list[str]:
    defaults = panel["fieldConfig"]["defaults"]
    found = []
    for value in numbers(series):
        if math.isnan(value) or not defaults.get("min", -math.inf) <= value <= defaults.get("max", math.inf):
            found.append(f"value {value}")
    for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
        if label not in series["metric"]:
            found.append(f"no label {label} for the legend")
    return found


def unknown(prometheus: Prometheus, expression: str, choice: Choice) -> list[str]:
    """Return the selectors that found nothing in six hours: `or vector(0)` would hide a wrong name."""
    found = {str(selector) for selector in selectors(expand(expression, choice))}
    return [text for text in sorted(found) if not prometheus.instant(f"last_over_time({text}[6h])", END)]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_panel_shows_the_incident(incidents: Incidents, choice: Choice) -> None:
    for panel in PANELS:
        assert complaints(incidents[choice.scrape], panel, choice) == []


@pytest.mark.parametrize("scrape", [15, 60])
def test_what_the_figures_say_at_the_end_of_the_incident(incidents: Incidents, scrape: int) -> None:
    choice = Choice(scrape=scrape)
    shown = {
        panel["title"]: [
            [round(numbers(series)[-1], 2) for series in ask(incidents[scrape], target, choice)]
            for target in panel["targets"]
        ]
        for panel in PANELS[:4]
    }

    assert shown == {
        "Firing alerts by severity": [[2], [2], [2], [1]],
        "Targets down": [[2]],
        "Remediations in progress": [[1]],
        "Proven fixed": [[0.67]],
    }


@pytest.mark.parametrize("scrape", [15, 60])
def test_when_all_is_well_figures_are_zero_and_empty_panels_say_so(incidents: Incidents, scrape: int) -> None:
    choice = Choice(range=1800, scrape=scrape)
    for panel in PANELS:
        for target in panel["targets"]:
            answer = ask(incidents[scrape], target, choice, WELL)
            if not answer:
                assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
            elif panel["type"] == "stat":
                assert [numbers(series) for series in answer] == [[0.0]], panel["title"]


@pytest.mark.parametrize("scrape", [15, 60])
def test_one_verdict_is_one_for_the_hour_after_it(incidents: Incidents, scrape: int) -> None:
    target = PANELS[7]["targets"][0]
    by_verdict = {series["metric"]["verdict"]: numbers(series) for series in ask(incidents[scrape], target, Choice())}

    assert {verdict: round(max(values)) for verdict, values in by_verdict.items()} == {
        "fixed": 2,
        "unproven": 1,
        "worse": 0,
        "not_asked": 1,
    }


@pytest.mark.parametrize("scrape", [15, 60])
def test_marks_stand_at_the_moment_an_alert_became_active_and_a_remediation_ended(
    incidents: Incidents, scrape: int
) -> None:
    moments = {}
    for mark in MARKS:
        answer = incidents[scrape].range(expand(mark["expr"], Choice(scrape=scrape)), START, END, 60)
        for series in answer:
            assert all(label in series["metric"] for label in re.findall(r"{{(\w+)}}", mark["titleFormat"]))
        moments[mark["name"]] = sorted({value / 1000 for series in answer for value in numbers(series)})

    assert moments == {
        "Alerts": [START + minute * 60 for minute in (298, 318, 340, 343, 350, 352, 354, 355)],
        "Remediations": [START + minute * 60 + 7 for minute in (325, 352)],
        "Marked": [START + 351 * 60 + 2],
    }


@pytest.mark.parametrize("scrape", [15, 60])
def test_the_choices_list_every_job_and_the_instances_of_the_chosen_ones(incidents: Incidents, scrape: int) -> None:
    prometheus = incidents[scrape]
    job, instance = (label_values(variable) for variable in VARIABLES[1:])

    assert prometheus.label_values(expand(job[0], Choice()), job[1], START, END) == [
        "hosts", "prometheus", "selfheal-exporter", "selfheal-remediator", "shop",
    ]  # fmt: skip
    chosen = expand(instance[0], Choice(jobs=("hosts", "selfheal-exporter")))
    assert prometheus.label_values(chosen, instance[1], START, END) == ["db-1:9100", "web-1:9976", "web-2:9976"]


def test_the_limits_drawn_are_the_lowest_of_the_hosts_chosen(incidents: Incidents) -> None:
    cpu, memory = PANELS[6]["targets"][2:]
    for instances, expected in (((), (0.8, 0.85)), (("db-1:9100",), (0.95, 0.95))):
        choice = Choice(instances=instances)
        drawn = [ask(incidents[15], target, choice)[0] for target in (cpu, memory)]

        assert tuple(numbers(series)[-1] for series in drawn) == expected


@pytest.mark.parametrize("name", sorted(metric_names()))
def test_a_renamed_metric_is_found(incidents: Incidents, name: str) -> None:
    found = []
    for panel in PANELS:
        spoilt = [
            target | {"expr": re.sub(rf"(?<![\w:]){name}(?![\w:])", f"{name}x", target["expr"])}
            for target in panel["targets"]
        ]
        if spoilt != panel["targets"]:
            found += complaints(incidents[15], panel | {"targets": spoilt}, Choice())
    marks = [mark for mark in MARKS if re.search(rf"(?<![\w:]){name}(?![\w:])", mark["expr"])]
    for mark in marks:
        spoilt_mark = re.sub(rf"(?<![\w:]){name}(?![\w:])", f"{name}x", mark["expr"])
        found += unknown(incidents[15], spoilt_mark, Choice())

    assert any(f"{name}x" in complaint for complaint in found)
