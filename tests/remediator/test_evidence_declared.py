"""What stands in for a rule: about which alert an element is, and when it may stand in at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.evidence.declared import concerns, goes_by_its_own_words, may_stand_in, refused, stand_in
from remediator.evidence.rules import FrozenRule
from remediator.model import Frozen, Limits, Mode, Target, Verify

ALERT = {"alertname": "Elsewhere", "instance": "web-1:9100", "item": "a", "grafana_folder": "Infra"}
FROZEN = Frozen(
    playbook="heal",
    digest="d",
    mode=Mode.AUTO,
    target=Target("web-1", "item", "a"),
    lock_key="web-1",
    labels=ALERT,
    starts_at=0.0,
    fingerprint="f",
    generator_url="",
    limits=Limits(),
    host_rates=(),
    steps=(),
    verify=Verify(healthy="x == 0"),
    when="x > 0",
)
MANUAL = replace(FROZEN, manual=True)
NAMELESS = replace(MANUAL, labels={"instance": "web-1:9100"})


@pytest.mark.parametrize(
    ("element", "alert", "expected"),
    [
        pytest.param({"instance": "web-1:9100"}, ALERT, True, id="the instance"),
        pytest.param(
            {"__name__": "x", "instance": "web-1:9100", "item": "a", "job": "j"}, ALERT, True, id="more labels"
        ),
        pytest.param({"instance": "web-2:9100", "item": "a"}, ALERT, False, id="another instance"),
        pytest.param({"instance": "web-1:9100", "item": "b"}, ALERT, False, id="another item"),
        pytest.param({"item": "a"}, ALERT, False, id="no instance"),
        pytest.param({"item": "a"}, {"item": "a"}, False, id="no instance on either side"),
        pytest.param({"instance": "", "item": "a"}, {"instance": "", "item": "a"}, False, id="an empty instance"),
    ],
)
def test_an_element_is_about_an_alert_of_its_instance_that_it_contradicts_nowhere(
    element: dict[str, str], alert: dict[str, str], expected: bool
) -> None:
    assert concerns(element, alert) is expected


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [
        (FROZEN, True),
        (replace(FROZEN, when=None), False),
        (replace(FROZEN, verify=None), False),
        (replace(FROZEN, verify=Verify()), False),
    ],
)
def test_both_sides_must_be_declared(frozen: Frozen, expected: bool) -> None:
    assert may_stand_in(frozen) is expected


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [
        pytest.param(FROZEN, False, id="an alert's"),
        pytest.param(MANUAL, True, id="a person's, with both declared"),
        pytest.param(replace(MANUAL, verify=None), True, id="a person's, with when and no proof asked"),
        pytest.param(replace(MANUAL, verify=Verify()), False, id="a person's, to be proven by the alert's rule"),
        pytest.param(replace(MANUAL, when=None), False, id="a person's, with the alert's rule"),
        pytest.param(replace(NAMELESS, when=None), True, id="a person's, without an alert"),
    ],
)
def test_a_rule_is_asked_unless_a_person_asks_without_one(frozen: Frozen, expected: bool) -> None:
    assert goes_by_its_own_words(frozen) is expected


def test_a_stand_in_survives_the_store_and_an_older_rule_is_none() -> None:
    rule = stand_in(FROZEN, {})
    older = {key: value for key, value in rule.to_json().items() if key != "declared"}

    assert FrozenRule.from_json(rule.to_json()) == rule
    assert rule.declared
    assert not FrozenRule.from_json(older).declared


@pytest.mark.parametrize("when", ["sum(x) > 0", "x >", "x == bool 0", "vector(1)"])
def test_words_that_cannot_be_judged_are_refused_with_a_remedy(when: str) -> None:
    problem = refused(stand_in(replace(FROZEN, when=when), {}))

    assert problem is not None
    assert problem.startswith("when: ")
    assert refused(stand_in(FROZEN, {})) is None
    assert refused(stand_in(replace(NAMELESS, when=None), {})) is None
