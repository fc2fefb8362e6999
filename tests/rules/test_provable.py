"""What the judge says of every shipped alert: can it be proven healed by its own expression, and how soon?"""

from __future__ import annotations

import pytest

from remediator.judge import Case, Proof, Refusal, RefusalReason, RuleText, prepare
from selfheal.common.durations import parse_duration
from tests.rules.loaded import ALERTS, RECORDED, Alert

RECORDINGS = {name: (RuleText(name, str(rule["expr"]), rule.get("labels", {})),) for name, rule in RECORDED.items()}

# seconds of the window that must have passed after an action; all others are proven in two scrapes
WINDOWS = {
    "CollectorFailing": 240,
    "HostCpuHigh": 120,
    "ProcessSpinning": 60,
    "UnitCpuHigh": 60,
    "RemediatorStageErrors": 300,
    "RemediatorStoreErrors": 300,
    "RemediatorEvidenceErrors": 120,
    "RemediatorUnauthorizedCalls": 300,
}


def prepared(alert: Alert) -> Case | Refusal:
    rule = RuleText(
        alert.name, alert.expression, alert.rule["labels"], for_seconds=parse_duration(str(alert.rule["for"]))
    )
    return prepare(rule, RECORDINGS)


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if alert.name != "Watchdog"], ids=lambda alert: alert.name)
def test_every_alert_can_be_proven_healed_by_its_own_expression(alert: Alert) -> None:
    case = prepared(alert)

    assert isinstance(case, Case), str(case)
    assert case.window_seconds == WINDOWS.get(alert.name, 0)
    assert case.proof == (Proof.WINDOW if alert.name in WINDOWS else Proof.TWO_SCRAPES)


def test_the_watchdog_cannot_and_need_not_be_proven() -> None:
    (watchdog,) = [alert for alert in ALERTS if alert.name == "Watchdog"]
    refused = prepared(watchdog)

    assert isinstance(refused, Refusal)
    assert refused.reason == RefusalReason.PRESENCE
    assert watchdog.rule["annotations"]["playbook"] == "none"
