"""What every shipped rule must look like: thresholds, annotations, pages, unit tests, and what can be proven healed."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import promql_parser
import pytest
import yaml

from selfheal.common.durations import parse_duration
from selfheal.common.shipped import shipped
from tests.rules.loaded import (
    ALERTS,
    FILES,
    RECORDED,
    RULES,
    UNIT_TESTS,
    WITH_THRESHOLD,
    Alert,
    groups,
    seconds,
    unit_tests,
)

LEVELS = {"goal", "warning", "high", "critical"}
HEADINGS = [
    "## What it means",
    "## What Selfheal does",
    "## What you do",
    "## How it is proven healed",
    "## How to change the threshold",
]
# the alerts that a machine answers, and the longest a rule of theirs may look back
ANSWERED = {
    "ProcessMemoryLeak", "ProcessSpinning", "ZombiesPiledUp", "DirectoryTooLarge", "ServiceDown", "SelfhealSelftest",
    "SystemdUnitFailed", "UnitCpuHigh", "WorkTreeBacklog", "WorkTreeUnsaved",
    "MemoryReliefConservative", "MemoryReliefBalanced", "MemoryReliefAggressive", "MemoryReliefEmergency",
}  # fmt: skip
# they fire although nothing is wrong
NOTHING_WRONG = {"Watchdog", "SelfhealSelftest"}
TREND = {"deriv", "predict_linear"}
# the levels of memory, of which one acts at a time
LADDER = ("Conservative", "Balanced", "Aggressive", "Emergency")


def each(alerts: list[Alert]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("alert", alerts, ids=lambda alert: alert.name)


def test_there_is_one_group_in_every_file_so_that_no_boundary_delays_an_alert() -> None:
    assert len(FILES) == 7
    for file in FILES:
        assert [group["name"] for group in groups(file)] == [f"selfheal-{file.stem}"], file.name


def test_every_recorded_series_is_read_only_by_alerts_of_its_own_group() -> None:
    for file in FILES:
        text = file.read_text("utf-8")
        own = {rule["record"] for group in groups(file) for rule in group["rules"] if "record" in rule}
        for series in RECORDED:
            assert (series in text) == (series in own), f"{series} in {file.name}"


def test_no_alert_and_no_check_has_its_name_twice() -> None:
    names = Counter(alert.name for alert in ALERTS)
    checks = Counter(threshold["check"] for alert in ALERTS for threshold in alert.thresholds)

    assert [name for name, count in names.items() if count > 1] == []
    assert [check for check, count in checks.items() if count > 1] == []


@each(ALERTS)
def test_an_alert_says_how_long_how_bad_what_and_where_to_read(alert: Alert) -> None:
    rule = alert.rule

    assert re.fullmatch(r"([A-Z][a-z]+)+", alert.name)
    assert parse_duration(rule["for"]) >= 0
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in LEVELS or alert.name in NOTHING_WRONG
    assert (rule["labels"]["severity"] == "none") == (alert.name in NOTHING_WRONG)
    assert set(rule["annotations"]) - {"playbook"} == {"summary", "description", "runbook_url"}
    assert len(rule["annotations"]["summary"]) <= 100


@each(ALERTS)
def test_an_alert_has_a_playbook_or_says_that_it_has_none(alert: Alert) -> None:
    annotations = alert.rule["annotations"]

    assert (annotations.get("playbook") != "none") == (alert.name in ANSWERED)
    assert "playbook" not in annotations or annotations["playbook"] == "none"


@each([alert for alert in ALERTS if alert.name in ANSWERED])
def test_what_a_machine_answers_fires_soon_and_looks_back_about_a_minute(alert: Alert) -> None:
    windows = [node.range.total_seconds() for node in walk(alert.expression) if matrix(node)]

    assert parse_duration(alert.rule["for"]) <= 120
    assert all(window <= 60 for window in windows)


@each(ALERTS)
def test_a_trend_has_a_floor_without_a_window_over_the_same_series(alert: Alert) -> None:
    tree = promql_parser.parse(alert.expression)
    if not any(isinstance(node, promql_parser.Call) and node.func.name in TREND for node in walk(alert.expression)):
        return

    assert isinstance(tree, promql_parser.BinaryExpr)
    assert str(tree.op) == "and"
    floor = str(tree.rhs)
    assert isinstance(tree.rhs, promql_parser.BinaryExpr)
    assert str(tree.rhs.op) == ">"
    assert not any(matrix(node) for node in walk(floor))
    assert not any("[" in str(RECORDED[name]["expr"]) for name in names(floor) & set(RECORDED))


@each([alert for alert in ALERTS if alert.name != "Watchdog"])
def test_no_alert_fires_on_mere_presence(alert: Alert) -> None:
    """Every leaf compares: a judge can then say when it is false."""
    for leaf in leaves(promql_parser.parse(alert.condition)):
        assert isinstance(leaf, promql_parser.BinaryExpr), str(leaf)
        assert str(leaf.op) in {">", "<", "=="}
        assert leaf.modifier is None or not leaf.modifier.return_bool


@each(WITH_THRESHOLD)
def test_a_threshold_has_the_one_form_that_an_override_cannot_break(alert: Alert) -> None:
    assert len(alert.thresholds) == alert.condition.count("selfheal:threshold")
    for threshold in alert.thresholds:
        assert threshold["level"] == alert.rule["labels"]["severity"]
        measured = alert.expression.split(f'check="{threshold["check"]}"')[0].rsplit("> on (instance)", 1)[0]
        assert threshold["left"] in measured or threshold["left"].split("{")[0] in measured


def test_a_gate_is_a_higher_level_that_fires_and_that_is_evaluated_before() -> None:
    names = [alert.name for alert in ALERTS]
    gated = {alert.name: alert for alert in ALERTS if " unless " in alert.expression}

    assert set(gated) == {f"MemoryRelief{level}" for level in LADDER[:-1]}
    for number, level in enumerate(LADDER[:-1]):
        name, higher = f"MemoryRelief{level}", [f"MemoryRelief{above}" for above in LADDER[number + 1 :]]
        _, _, gate = gated[name].expression.partition(" unless on (instance) ")
        (named,) = re.findall(r'^ALERTS\{alertname=~"(.*)", alertstate="firing"\}$', gate)
        assert [other for other in names if re.fullmatch(named, other)] == list(reversed(higher))
        assert all(names.index(other) < names.index(name) for other in higher)


def test_every_number_that_is_a_matter_of_taste_can_be_overridden() -> None:
    for alert in ALERTS:
        for node in walk(alert.expression):
            if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {">", "<", "=="}:
                literal = node.rhs
                if isinstance(literal, promql_parser.NumberLiteral):
                    assert literal.val == 0, f"{alert.name}: {node}"


@each(ALERTS)
def test_the_page_of_an_alert_exists_and_is_complete(alert: Alert) -> None:
    page = shipped() / alert.rule["annotations"]["runbook_url"]

    assert page == shipped("docs", "alerts", f"{alert.name}.md")
    text = page.read_text("utf-8")
    assert text.startswith(f"# {alert.name}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    sections = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert all(section.strip() for section in sections)


@each(ALERTS)
def test_the_head_of_a_page_says_what_the_rule_says(alert: Alert) -> None:
    head = shipped("docs", "alerts", f"{alert.name}.md").read_text("utf-8").splitlines()[2]
    duration = parse_duration(alert.rule["for"])
    waits = f"{duration:.0f} seconds" if duration < 60 else f"{duration / 60:.0f} minute" + "s" * (duration > 60)

    assert f"`{alert.rule['labels']['severity']}`" in head
    assert ("at once" if duration == 0 else f"after {waits}") in head or alert.name == "Watchdog"
    assert ("no playbook" in head) == ("playbook" in alert.rule["annotations"])


@each(WITH_THRESHOLD)
def test_the_page_names_every_check_level_and_default_of_the_rule(alert: Alert) -> None:
    text = shipped("docs", "alerts", f"{alert.name}.md").read_text("utf-8").split(HEADINGS[-1])[1]
    shown = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)

    overrides = yaml.safe_load("".join(shown))
    assert [rule["labels"]["check"] for rule in overrides] == [t["check"] for t in reversed(alert.thresholds)] or [
        rule["labels"]["check"] for rule in overrides
    ] == [t["check"] for t in alert.thresholds]
    for threshold in alert.thresholds:
        assert f"heck `{threshold['check']}`, level `{threshold['level']}`" in text
        literal = threshold["default"]
        assert f"seconds; default `{literal}`" in text or readable(float(literal), literal) in text
    assert all(rule["labels"]["level"] == alert.rule["labels"]["severity"] for rule in overrides)


def test_there_is_no_page_without_an_alert_and_no_dead_link_between_pages() -> None:
    pages = sorted(shipped("docs", "alerts").glob("*.md"))

    assert {page.stem for page in pages} == {alert.name for alert in ALERTS}
    for page in pages:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@each([alert for alert in ALERTS if alert.name != "Watchdog"])
def test_every_alert_is_unit_tested_at_the_minute_before_and_the_minute_of_firing(alert: Alert) -> None:
    for test in unit_tests(alert):
        cases = [case for case in test.get("alert_rule_test", []) if case["alertname"] == alert.name]
        silent = [seconds(case["eval_time"]) for case in cases if not case["exp_alerts"]]
        firing = [seconds(case["eval_time"]) for case in cases if case["exp_alerts"]]
        if any(0 < at - before <= 60 for before in silent for at in firing):
            return
    pytest.fail(f"no unit test of {alert.name} at the minute before and the minute of firing")


@each(WITH_THRESHOLD)
def test_every_threshold_is_unit_tested_with_none_one_clashing_and_orphaned_overrides(alert: Alert) -> None:
    for threshold in alert.thresholds:
        without, with_overrides = 0, 0
        for test in unit_tests(alert):
            if alert.name not in str(test):
                continue
            series = [entry["series"] for entry in test.get("input_series", [])]
            overrides = [instance(text) for text in series if f'check="{threshold["check"]}"' in text]
            measured = {instance(text) for text in series if "selfheal:threshold" not in text}
            counts = Counter(overrides)
            without += not any("selfheal:threshold" in text for text in series)
            with_overrides += (
                any(count == 1 and name in measured for name, count in counts.items())
                and any(count == 2 and name in measured for name, count in counts.items())
                and any(name not in measured for name in counts)
            )

        assert (without >= 1, with_overrides >= 1) == (True, True), threshold["check"]


def test_every_test_file_belongs_to_a_rule_file() -> None:
    stems = {file.stem.removesuffix("_test") for file in UNIT_TESTS}

    assert stems == {file.stem for file in FILES} | {"overrides"}
    assert (RULES / "overrides.example.yml").exists()


def test_the_example_overrides_name_checks_and_levels_that_an_alert_reads() -> None:
    read = {(threshold["check"], threshold["level"]) for alert in ALERTS for threshold in alert.thresholds}

    for group in groups(RULES / "overrides.example.yml"):
        for rule in group["rules"]:
            assert rule["record"] == "selfheal:threshold"
            assert (rule["labels"]["check"], rule["labels"]["level"]) in read


def walk(expression: str) -> list[Any]:
    """Return every node of an expression."""
    found: list[Any] = []
    waiting = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        found.append(node)
        for name in ("lhs", "rhs", "expr", "args"):
            child = getattr(node, name, None)
            waiting += child if isinstance(child, list) else [child] if child is not None else []
    return found


def matrix(node: Any) -> bool:
    return isinstance(node, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr))


def names(expression: str) -> set[str]:
    return {str(node.name) for node in walk(expression) if isinstance(node, promql_parser.VectorSelector)}


def leaves(node: Any) -> list[Any]:
    """Return what `and` connects."""
    if isinstance(node, promql_parser.ParenExpr):
        return leaves(node.expr)
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "and":
        return leaves(node.lhs) + leaves(node.rhs)
    return [node]


def instance(series: str) -> str:
    found = re.search(r'instance="([^"]*)"', series)
    return found.group(1) if found else ""


def readable(value: float, literal: str) -> str:
    """Return a default as a page writes it."""
    for size, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if value >= size:
            return f"{value / size:.0f} {unit}"
    return f"`{literal}`"


def test_readable_defaults_are_those_a_person_writes() -> None:
    assert [readable(float(text), text) for text in ("10737418240", "65536", "0.80", "900")] == [
        "10 GiB",
        "64 KiB",
        "`0.80`",
        "`900`",
    ]


def test_the_page_of_an_answered_alert_names_the_shipped_playbook() -> None:
    for file in sorted(shipped("remediator", "playbooks", "shipped").glob("*.yml")):
        playbook = yaml.safe_load(file.read_text("utf-8"))
        if "alert" not in playbook["trigger"]:
            # people start it, and there is no page of an alert to name it
            continue
        page = shipped("docs", "alerts", f"{playbook['trigger']['alert']}.md").read_text("utf-8")

        assert f"playbook `{playbook['playbook']}`" in page.splitlines()[2]
        assert playbook["trigger"]["alert"] in ANSWERED
