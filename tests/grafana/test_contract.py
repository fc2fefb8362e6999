"""Names are a contract: what dashboard and rules ask for is what the programs export."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.__main__ import build_registry
from exporter.config import read_config
from exporter.encode import encode
from grafana.panels import ASKED, IN_PROGRESS
from remediator.model.states import Mode, State, Verdict
from remediator.web.metrics import Metrics, Readings
from selfheal.common.clock import SystemClock
from tests.docs.pages import read
from tests.grafana.dashboard import DASHBOARD, matchers, metric_names, selectors
from tests.rules.loaded import ALERTS, RECORDED

PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE"}
EXPORTER = {
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "selfheal_exporter_collector_failures_total",
    "namedprocess_namegroup_cpu_seconds_total",
    "namedprocess_namegroup_memory_bytes",
    "selfheal_directory_bytes",
    "selfheal_process_group_zombies",
}
REMEDIATOR = {
    "selfheal_annotation_timestamp_seconds",
    "selfheal_config_last_reload_successful",
    "selfheal_decisions_total",
    "selfheal_deliveries_total",
    "selfheal_evidence_errors_total",
    "selfheal_last_remediation_timestamp_seconds",
    "selfheal_queue_oldest_seconds",
    "selfheal_remediator_audit_broken",
    "selfheal_remediator_breaker_open",
    "selfheal_remediator_root_cause_candidates",
    "selfheal_remediator_selftest_age_seconds",
    "selfheal_remediator_selftest_wanted",
    "selfheal_remediator_under_way_oldest_seconds",
    "selfheal_remediator_unhealed_in_a_row",
    "selfheal_remediations",
    "selfheal_stage_errors_total",
    "selfheal_store_errors_total",
    "selfheal_verdicts_total",
    "selfheal_watchdog_last_seen_timestamp_seconds",
}
SWITCHED_ON = {
    "node_systemd_unit_state",
    "selfheal_cgroup_cpu_seconds_total",
    "selfheal_workspace_unsaved_age_seconds",
    "selfheal_workspace_unsaved_files",
}
"""What only hosts export on which a collector was switched on; the reference is made from the collectors."""
THRESHOLD = "selfheal:threshold"


def selectors_of_rules() -> list[promql_parser.VectorSelector]:
    expressions = [alert.expression for alert in ALERTS] + [str(rule["expr"]) for rule in RECORDED.values()]
    return [selector for text in expressions for selector in selectors(text)]


def asked_by_rules() -> set[str]:
    return {str(selector.name) for selector in selectors_of_rules()}


def test_the_dashboard_asks_only_for_what_is_exported_or_recorded() -> None:
    assert metric_names() <= PROMETHEUS | EXPORTER | REMEDIATOR | set(RECORDED) | {THRESHOLD}


def test_the_rules_ask_only_for_what_is_exported_or_recorded() -> None:
    assert asked_by_rules() <= PROMETHEUS | EXPORTER | SWITCHED_ON | REMEDIATOR | set(RECORDED) | {THRESHOLD}


def test_what_must_be_switched_on_is_in_the_reference_of_metrics() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", read("docs", "reference", "metrics.md"), re.MULTILINE)) >= SWITCHED_ON


def test_the_remediator_exports_what_the_contract_says() -> None:
    metrics = Metrics("0")
    metrics.show_playbooks({"any": Mode.OBSERVE})
    metrics.observe("breaker_open", 0.0, playbook="any")
    metrics.read_from(Readings(dict, lambda: 0, lambda: 0.0, lambda: False, selftest_age=lambda: 0.0))
    exported = {
        sample.name for family in metrics.registry.collect() for sample in [*family.samples, Sample(family.name, {}, 0)]
    }

    assert exported >= REMEDIATOR


def test_the_exporter_exports_what_the_contract_says_with_the_labels_that_rules_match(tmp_path: Path) -> None:
    groups = tmp_path / "groups.yml"
    groups.write_text("process_names:\n  - {name: tests, comm: [python]}\n", "utf-8")
    config = read_config(["--config.path", str(groups), f"--collector.directory.root={tmp_path}"])
    page = encode(build_registry(config, SystemClock()).gather()).decode()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]

    assert {sample.name for sample in samples} >= EXPORTER
    for selector in selectors_of_rules():
        if selector.name in EXPORTER:
            wanted = {label: value for label, (kind, value) in matchers(selector).items() if kind == "Equal"}
            assert any(sample.name == selector.name and wanted.items() <= sample.labels.items() for sample in samples)


def test_the_contract_lists_no_name_that_nobody_asks_for() -> None:
    assert asked_by_rules() | metric_names() >= EXPORTER | SWITCHED_ON | REMEDIATOR


def test_every_recorded_series_is_read() -> None:
    assert set(RECORDED) <= asked_by_rules()


@pytest.mark.parametrize(("used", "known"), [(IN_PROGRESS, State), (ASKED, Verdict)], ids=["states", "verdicts"])
def test_label_values_are_those_of_the_model(used: str, known: type[State] | type[Verdict]) -> None:
    assert set(used.split("|")) <= {str(value) for value in known}


def test_what_counts_as_proof_asked_is_every_verdict_after_an_effect() -> None:
    assert {str(value) for value in Verdict} - set(ASKED.split("|")) == {Verdict.SELF_RESOLVED, Verdict.NOT_ASKED}


def test_every_verdict_has_its_colour() -> None:
    panel = DASHBOARD["panels"][7]

    assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} == {
        str(value) for value in Verdict
    }


def test_the_severities_shown_are_those_of_the_alerts() -> None:
    shown = set(re.findall(r'severity=\\"(\w+)\\"', json.dumps(DASHBOARD)))

    assert shown == {alert.rule["labels"]["severity"] for alert in ALERTS} - {"none"}
