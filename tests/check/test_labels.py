"""What is known beforehand of an alert's labels."""

from __future__ import annotations

import pytest

from remediator.check.known_labels import labels_of_rule
from remediator.check.rules import Rule


def rule(name: str, expr: str, *, is_alert: bool = True, labels: dict[str, str] | None = None) -> Rule:
    return Rule("f", "groups[0].rules[0]", name, is_alert, expr, 0.0, None, labels or {}, {})


ZOMBIES = "selfheal_process_group_zombies"
RECORDED = (
    rule("level:zombies:sum", f"sum by (instance) ({ZOMBIES})", is_alert=False, labels={"level": "host"}),
    rule("level:again:sum", "level:zombies:sum * 2", is_alert=False),
    rule("loop:x", "loop:x + 1", is_alert=False),
)


@pytest.mark.parametrize(
    ("expr", "has", "lacks"),
    [
        (f"{ZOMBIES} > 1", "groupname instance job", "pid"),
        (f'{ZOMBIES}{{zone!=""}} > 1', "groupname zone", "area"),
        (f'{ZOMBIES}{{zone="eu"}} > 1', "zone", "area"),
        (f'{ZOMBIES}{{zone=~".+"}} > 1', "zone", "area"),
        (f'{ZOMBIES}{{zone=~".*"}} > 1', "groupname", "zone"),
        (f'{ZOMBIES}{{zone!~"eu|"}} > 1', "zone", "area"),
        (f'{ZOMBIES}{{job=""}} > 1', "groupname", "job"),
        ("mine > 1", "anything at_all", ""),
        ("sum by (a) (mine) > 1", "a", "instance"),
        ("sum without (a) (mine) > 1", "b", "a"),
        ("sum(mine) > 1", "alertname", "instance"),
        (f"sum without (groupname) ({ZOMBIES}) > 1", "instance", "groupname"),
        (f"topk by (job) (3, {ZOMBIES}) > 1", "groupname", "pid"),
        (f"{ZOMBIES} > on (instance) group_left () (group by (instance) (node_load1) * 2)", "groupname", "mode"),
        (f"{ZOMBIES} * on (instance) group_left (version) mine > 1", "groupname version", "pid"),
        (f"mine * on (instance) group_right (version) {ZOMBIES} > 1", "groupname version", "pid"),
        (f"{ZOMBIES} > on (instance) {ZOMBIES}", "instance", "groupname"),
        (f"{ZOMBIES} > ignoring (groupname) node_load1", "instance", "groupname"),
        (f"{ZOMBIES} > 1 and on (instance) mine", "groupname", "pid"),
        (f"{ZOMBIES} > 1 unless mine", "groupname", "pid"),
        ("node_load1 > 1 or node_filesystem_size_bytes > 2", "mountpoint", "pid"),
        ("1 < node_load1", "instance", "pid"),
        ("rate(node_cpu_seconds_total[5m]) > 1", "cpu mode", "pid"),
        ("max_over_time(rate(node_cpu_seconds_total[5m])[1h:]) > 1", "cpu mode", "pid"),
        ("-node_load1 < 1", "instance", "pid"),
        ('label_replace(node_load1, "new", "$1", "instance", "(.*)") > 1', "new instance", "pid"),
        ('absent(mine{a="b", c=~"d"})', "a", "c instance"),
        ("time() - up > 1", "instance", "groupname"),
        ("vector(1)", "alertname", "instance"),
        ('up{service!=""} == 0', "service instance job any_of_the_target", "groupname directory"),
        ("uptime > 1", "anything", ""),
        ("level:zombies:sum > 1", "instance level", "groupname"),
        ("level:again:sum > 1", "instance level", "groupname"),
        ("loop:x > 1", "anything", ""),
        ('{__name__=~"a|b"} > 1', "anything", ""),
    ],
)
def test_labels_follow_the_expression(expr: str, has: str, lacks: str) -> None:
    alert = rule("Ill", expr, labels={"severity": "warning"})

    known = labels_of_rule(alert, (alert, *RECORDED))

    assert [label for label in [*has.split(), "severity", "alertname"] if not known.may_have(label)] == []
    assert [label for label in lacks.split() if known.may_have(label)] == []
