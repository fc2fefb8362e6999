"""Which playbook answers, and what one remediation is frozen to."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from remediator.actions import ACTIONS
from remediator.model import (
    Alert,
    BlastRadius,
    Effect,
    FrozenStep,
    Limits,
    Matcher,
    Mode,
    Playbook,
    Rate,
    Step,
    Target,
    Trigger,
    Verify,
)
from remediator.playbooks.match import Site, choose, freeze, matches_one
from remediator.playbooks.templates import TemplateRefused

SITE = Site({"web-1": ("web-1:9976", "127.0.0.1:9976")}, ACTIONS, Mode.AUTO, (Rate(10, 3600.0),))
LABELS = {"alertname": "Ill", "instance": "127.0.0.1:9976", "groupname": "worker", "severity": "warning"}


def alert(**labels: str) -> Alert:
    return Alert("firing", LABELS | labels, {}, 12.5, "f1", "http://prometheus/graph")


def playbook(name: str, *matchers: Matcher, alertname: str = "Ill") -> Playbook:
    return Playbook(
        name=name,
        title={"en": name, "ko": name},
        trigger=Trigger(alertname, matchers),
        mode=Mode.AUTO,
        target={"host": "{{ $labels.instance }}", "process_group": "{{ $labels.groupname }}"},
        limits=Limits(),
        steps=(Step("process.terminate", {"group": "{{ $labels.groupname }}", "over_rss": "400MiB"}, 20.0),),
        verify=Verify(alive='up{groupname="{{ $labels.groupname }}"} >= 1'),
        otherwise=("page_owner",),
        digest=f"digest of {name}",
    )


WARNING = Matcher("severity", "=", "warning")
WORKER = Matcher("groupname", "=~", "work.*")


def test_the_playbook_with_most_matchers_answers_whatever_the_order() -> None:
    several = [playbook("a"), playbook("b", WARNING), playbook("c", WARNING, WORKER), playbook("d", WORKER)]

    for order in itertools.permutations(several):
        found = choose(order, alert())

        assert found is not None
        assert found.name == "c"


def test_among_equals_the_first_name_answers_whatever_the_order() -> None:
    for order in itertools.permutations([playbook("b", WARNING), playbook("a", WORKER)]):
        found = choose(order, alert())

        assert found is not None
        assert found.name == "a"


def test_another_alert_has_no_playbook() -> None:
    assert choose([playbook("a", alertname="Other")], alert()) is None
    assert choose([playbook("a", Matcher("severity", "=", "critical"))], alert()) is None
    assert choose([], alert()) is None


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "expected"),
    [
        ("=", "a", "a", True),
        ("=", "a", "ab", False),
        ("=", "", "", True),
        ("!=", "a", "", True),
        ("!=", "a", "a", False),
        ("=~", "a|b", "b", True),
        ("=~", "a", "ab", False),
        ("=~", ".+", "", False),
        ("=~", ".*", "a\nb", True),
        ("!~", "a|b", "c", True),
        ("!~", "a|b", "a", False),
        ("=~", "x+", "x" * 4096, True),
        ("=~", "x+", "x" * 4097, False),
        ("!~", "y+", "x" * 4097, False),
        ("=", "한국", "한국", True),
    ],
)
def test_a_matcher_is_anchored_and_takes_a_missing_label_for_empty(
    operator: str, wanted: str, value: str, expected: bool
) -> None:
    assert matches_one(Matcher("a", operator, wanted), value) is expected


def test_freezing_fills_everything_in_once() -> None:
    frozen = freeze(playbook("a"), alert(), SITE)

    assert frozen.playbook == "a"
    assert frozen.digest == "digest of a"
    assert frozen.mode is Mode.AUTO
    assert frozen.target == Target("web-1", "process_group", "worker")
    assert frozen.lock_key == "host/web-1"
    assert frozen.labels == LABELS
    assert (frozen.starts_at, frozen.fingerprint, frozen.generator_url) == (12.5, "f1", "http://prometheus/graph")
    assert frozen.host_rates == (Rate(10, 3600.0),)
    assert frozen.steps == (
        FrozenStep("process.terminate", 1, Effect.DESTRUCTIVE, True, {"group": "worker", "over_rss": "400MiB"}, 20.0),
    )
    assert frozen.verify == Verify(alive='up{groupname="worker"} >= 1')
    assert frozen.otherwise == ("page_owner",)
    json.dumps([dict(step.arguments) for step in frozen.steps])


def test_a_lock_per_target_names_the_target() -> None:
    shared = replace(playbook("a"), limits=Limits(lock="target"))

    assert freeze(shared, alert(), SITE).lock_key == "target/web-1/process_group:worker"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("highest", list(Mode))
def test_the_mode_is_the_lower_of_playbook_and_site(mode: Mode, highest: Mode) -> None:
    order = [Mode.OBSERVE, Mode.APPROVE, Mode.AUTO]

    frozen = freeze(replace(playbook("a"), mode=mode), alert(), replace(SITE, highest_mode=highest))

    assert order.index(frozen.mode) == min(order.index(mode), order.index(highest))


def test_a_host_may_be_written_by_its_name_too() -> None:
    named = replace(playbook("a"), target={"host": "web-1", "service": "web"})

    assert freeze(named, alert(), SITE).target == Target("web-1", "service", "web")


def test_an_unknown_host_stays_as_it_was_rendered_for_the_owner_guard() -> None:
    assert freeze(playbook("a"), alert(instance="db-1:9976"), SITE).target.host == "db-1:9976"


def test_without_proof_asked_there_is_nothing_to_verify() -> None:
    assert freeze(replace(playbook("a"), verify=None), alert(), SITE).verify is None


def test_freezing_does_not_ask_the_policy() -> None:
    frozen = freeze(playbook("a"), alert(groupname="$(reboot)"), SITE)

    assert frozen.steps[0].arguments["group"] == "$(reboot)"
    assert frozen.verify is not None
    assert frozen.verify.alive == 'up{groupname="$(reboot)"} >= 1'


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"target": {"host": "{{ $labels.no }}", "service": "web"}}, "target.host"),
        ({"target": {"host": "web-1", "service": "{{ $labels.no }}"}}, "target.service"),
        ({"steps": (Step("notify.log", {"message": "{{ $labels.no }}"}),)}, "steps[0].with.message"),
        ({"verify": Verify(healthy='up{a="{{ $labels.no }}"}')}, "verify.healthy"),
        ({"verify": Verify(alive='up{a="{{ $labels.no }}"}')}, "verify.alive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_template_says_where_it_stands(changed: dict[str, object], where: str) -> None:
    with pytest.raises(TemplateRefused) as caught:
        freeze(replace(playbook("a"), **changed), alert(), SITE)  # type: ignore[arg-type]

    assert caught.value.detail == f"{where}: {{{{ $labels.no }}}} is missing or empty on this alert"


def of_a_group(*labels: str, quorum: str | None = None) -> Playbook:
    return replace(playbook("a"), limits=Limits(blast_radius=BlastRadius(labels, percent=20, quorum=quorum)))


def test_the_quorum_of_a_group_is_rendered_as_what_is_healthy_is() -> None:
    written = of_a_group("groupname", quorum='count(up{groupname="{{ $labels.groupname }}"} == 1) >= 3')

    frozen = freeze(written, alert(groupname='a"b'), SITE)

    assert frozen.limits.blast_radius is not None
    assert frozen.limits.blast_radius.quorum == r'count(up{groupname="a\"b"} == 1) >= 3'


@pytest.mark.parametrize("label", ["job", "empty"])
def test_an_alert_without_the_label_of_its_group_is_refused(label: str) -> None:
    with pytest.raises(TemplateRefused, match=f"limits.blast_radius: .*labels.{label} }}}} is missing or empty"):
        freeze(of_a_group("groupname", label), alert(empty=""), SITE)
