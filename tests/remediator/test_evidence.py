"""What the stages ask, against a real Prometheus and a real Alertmanager."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import pytest

from benchmarks.rig import free_port
from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence import Evidence, FrozenRule, Trouble
from remediator.evidence.evidence import ASKED_ONE_BY_ONE
from remediator.evidence.prometheus import external_labels_of, in_pieces, without_active_alerts
from remediator.evidence.shared import Shared
from remediator.model import Alert, Reason, Verify
from selfheal.common.clock import ManualClock, SystemClock
from tests.judge.clinic import Clinic, Scraped, alerting, scraping, silence
from tests.stack.support import wait_until

RULES = """
groups:
  - name: sick
    rules:
      - {record: 'x:doubled', expr: 'x * 2'}
      - {record: 'x:again', expr: 'x:doubled / 2'}
      - alert: Sick
        expr: x:again > 5
        labels: {severity: high, note: 'value {{ $value }}'}
      - {alert: Quiet, expr: 'x > 6'}
      - {alert: Root, expr: 'x > 5'}
      - {alert: Leaf, expr: 'x > 5'}
      - {alert: Twin, expr: 'x > 5'}
      - {alert: Twin, expr: 'x > 5.5'}
      - {alert: Same, expr: 'x > 5', labels: {severity: high}}
      - {alert: Same, expr: 'x > 50', labels: {severity: critical}}
      - {alert: Never, expr: 'x > 1000'}
      - {alert: Gated, expr: 'x > 5 unless on (instance) maintenance == 1'}
      - {alert: Present, expr: 'x'}
"""

ALERTMANAGER = """
route: {receiver: selfheal, group_by: [alertname, instance], group_wait: 0s, group_interval: 1s}
receivers:
  - name: selfheal
    webhook_configs: [{url: 'http://127.0.0.1:9/'}]
inhibit_rules:
  - {source_matchers: [alertname = Root], target_matchers: [alertname = Leaf], equal: [instance]}
"""

HOSTILE = 'a "quoted" \\ {{ $labels.x }}'

GLOBAL = "global:\n  scrape_interval: 1s\n"

pytestmark = pytest.mark.timeout(90)


@dataclass
class World:
    """Both sources running, with patients a and b sick since before the tests began."""

    clinic: Clinic
    scraped: Scraped
    alertmanager: str
    evidence: Evidence
    failed: list[str]

    def alert(self, name: str, patient: str = "a") -> Alert:
        found = {(alert.name, alert.labels["instance"]): alert for alert in self.all()}
        return found[name, patient]

    def all(self) -> list[Alert]:
        with urllib.request.urlopen(f"{self.alertmanager}/api/v2/alerts", timeout=5) as answer:
            values = json.load(answer)
        return [
            Alert("firing", v["labels"], v["annotations"], 0.0, v["fingerprint"], v["generatorURL"]) for v in values
        ]

    def rule(self, alert: Alert) -> FrozenRule:
        rule = self.evidence.rule_for(alert.name, alert.labels, alert.generator_url)
        assert isinstance(rule, FrozenRule), rule
        return rule


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    clinic = Clinic()
    for patient in ("a", "b", "healing"):
        clinic.put(patient, {"x": 9, "maintenance": 0})
    try:
        with alerting(folder, ALERTMANAGER) as url:
            address = url.removeprefix("http://")
            config = f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]}}\n"
            with scraping(folder / "prometheus", RULES, config) as scraped:
                scraped.scrape(clinic, {name: {"zone": HOSTILE} for name in ("a", "b", "healing")})
                failed: list[str] = []
                made = Client(url, source="alertmanager")
                evidence = Evidence(scraped.client, [made], SystemClock(), failed=failed.append)
                here = World(clinic, scraped, url, evidence, failed)
                wait_until(lambda: len(here.all()) >= 3 * 8, 40)
                yield here
                made.close()
    finally:
        clinic.close()


def test_a_rule_is_frozen_with_the_recorded_rules_it_uses(world: World) -> None:
    rule = world.rule(world.alert("Sick"))

    assert (rule.expression, rule.group, rule.interval, rule.for_seconds) == ("x:again > 5", "sick", 1.0, 0.0)
    assert {name: [r.expr for r in rules] for name, rules in rule.recorded.items()} == {
        "x:again": ["x:doubled / 2"],
        "x:doubled": ["x * 2"],
    }
    assert FrozenRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


def test_rules_of_one_name_are_told_apart_by_labels_then_by_the_generator_url(world: World) -> None:
    labels = world.alert("Twin").labels
    for expression in ("x > 5", "x > 5.5"):
        url = f"http://anywhere/graph?g0.expr={quote_plus(expression)}&g0.tab=1"
        found = world.evidence.rule_for("Twin", labels, url)
        assert isinstance(found, FrozenRule)
        assert found.expression == expression
    assert world.rule(world.alert("Same")).expression == "x > 5"


@pytest.mark.parametrize(
    ("name", "labels", "url", "reason"),
    [
        ("Twin", {}, "", Reason.RULE_AMBIGUOUS),
        ("Twin", {}, "http://[broken", Reason.RULE_AMBIGUOUS),
        ("Twin", {}, "http://evil/graph?g0.expr=vector(1)", Reason.RULE_AMBIGUOUS),
        ("Nobody", {}, "", Reason.RULE_UNKNOWN),
        ("Same", {"severity": "low"}, "", Reason.RULE_UNKNOWN),
    ],
)
def test_a_rule_that_cannot_be_told_is_trouble(
    world: World, name: str, labels: Mapping[str, str], url: str, reason: Reason
) -> None:
    found = world.evidence.rule_for(name, {"alertname": name, **labels}, url)

    assert isinstance(found, Trouble)
    assert found.reason is reason


@pytest.mark.parametrize("name", ["Sick", "Root", "Gated", "Present", "Same"])
def test_an_alert_that_fires_is_found_firing_and_active_without_its_external_labels(world: World, name: str) -> None:
    alert = world.alert(name)
    assert (alert.labels["replica"], alert.labels["site"], alert.labels["zone"]) == ("one", "test", HOSTILE)
    before = SystemClock().now()

    live = world.evidence.live(world.rule(alert), alert.labels, alert.fingerprint, before)

    assert live.asked_at >= before
    assert (live.firing, live.active, live.seen_since_delivery, live.labels_differ) == (True, True, True, ())
    assert (live.silenced_by, live.inhibited_by, live.blind) == ((), (), ())


def test_a_silence_is_found_on_the_alert_it_covers_and_on_no_other(world: World) -> None:
    quiet, other = world.alert("Quiet", "a"), world.alert("Quiet", "b")
    made = silence(world.alertmanager, quiet.labels)

    def live(alert: Alert) -> tuple[str, ...]:
        return world.evidence.live(world.rule(alert), alert.labels, alert.fingerprint, SystemClock().now()).silenced_by

    wait_until(lambda: live(quiet) == (made,), 10)
    assert live(other) == ()


def test_an_inhibited_alert_is_found_inhibited(world: World) -> None:
    leaf, root = world.alert("Leaf"), world.alert("Root")

    live = world.evidence.live(world.rule(leaf), leaf.labels, leaf.fingerprint, SystemClock().now())
    assert live.inhibited_by == (root.fingerprint,)


def test_a_silence_is_found_for_an_alert_that_alertmanager_does_not_have(world: World) -> None:
    alert = world.alert("Twin")
    rule = world.evidence.rule_for("Twin", alert.labels, alert.generator_url)
    assert isinstance(rule, FrozenRule)
    unknown = dict(alert.labels) | {"instance": "elsewhere"}
    made = silence(world.alertmanager, unknown)
    evidence = Evidence(world.scraped.client, [Client(world.alertmanager, source="alertmanager")], SystemClock())

    def found() -> tuple[str, ...]:
        return evidence.live(rule, unknown, "0", SystemClock().now()).silenced_by

    # alone, and when so many ask at once that they are answered together
    for _ in range(2):
        wait_until(lambda: found() == (made,), 10)
        assert {found() for _ in range(ASKED_ONE_BY_ONE + 5)} == {(made,)}


def test_in_a_storm_the_answers_are_the_same_but_few_are_asked(world: World) -> None:
    sick = world.alert("Sick", "b")
    rule = world.rule(sick)
    asked: list[str] = []
    counting = Counting(world.scraped.url, asked)
    evidence = Evidence(counting, [Client(world.alertmanager, source="alertmanager")], SystemClock())
    evidence.rules()
    asked.clear()
    since = SystemClock().now()

    lives = [evidence.live(rule, sick.labels, sick.fingerprint, since) for _ in range(ASKED_ONE_BY_ONE + 300)]

    assert {(live.firing, live.active, live.blind) for live in lives} == {(True, True, ())}
    alone = [query for query in asked if "instance" in query]
    whole = [query for query in asked if "instance" not in query]
    assert 0 < len(alone) <= 2 * ASKED_ONE_BY_ONE
    # one answer about the whole rule serves everybody for a second
    assert 2 <= len(whole) <= 6
    healthy = dict(sick.labels) | {"instance": "nobody"}
    gone = evidence.live(rule, healthy, "0", since)
    assert (gone.firing, gone.active, gone.seen_since_delivery) == (False, False, False)


class Counting(Client):
    """A client that also notes what it is asked."""

    def __init__(self, url: str, asked: list[str]) -> None:
        super().__init__(url)
        self._noted = asked

    def ask_parts(self, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        self._noted.append(parameters["query"])
        return super().ask_parts(path, parameters)


def test_an_alert_prometheus_never_had_is_known_as_such(world: World) -> None:
    alert = world.alert("Sick")
    rule = world.rule(alert)

    live = world.evidence.live(rule, alert.labels | {"instance": "stranger"}, "0", SystemClock().now())
    assert (live.firing, live.active, live.seen_since_delivery, live.labels_differ) == (False, False, False, ())


def test_labels_that_differ_are_named(world: World) -> None:
    alert = world.alert("Sick")
    rule = world.rule(alert)
    changed = {name: value for name, value in alert.labels.items() if name != "zone"} | {"severity": "low", "team": "x"}

    live = world.evidence.live(rule, changed, "0", SystemClock().now())
    assert live.active is False
    assert live.labels_differ == ("severity", "team", "zone")


def test_another_alert_of_the_same_rule_and_instance_is_not_this_one_with_other_labels(world: World) -> None:
    alert = world.alert("Sick")
    rule = world.rule(alert)

    for others in ({"zone": "elsewhere"}, {"zone": "else.*|"}, {"zone": "elsewhere", "team": "x"}):
        live = world.evidence.live(rule, alert.labels | others, "0", SystemClock().now())
        assert (live.firing, live.seen_since_delivery, live.labels_differ) == (False, False, ())


def test_what_the_rule_adds_is_compared_also_while_its_expression_holds(world: World) -> None:
    alert = world.alert("Sick")
    rule = world.rule(alert)

    live = world.evidence.live(rule, alert.labels | {"severity": "low"}, "0", SystemClock().now())
    assert (live.firing, live.active, live.labels_differ) == (True, False, ("severity",))


def test_an_active_alert_of_our_receiver_is_listed_and_a_suppressed_one_is_not(world: World) -> None:
    listed = world.evidence.alertmanager_alerts("selfheal")

    known = {alert.fingerprint: alert for alert in listed}
    sick = world.alert("Sick")
    assert known[sick.fingerprint].labels == sick.labels
    assert known[sick.fingerprint].starts_at == pytest.approx(SystemClock().now(), abs=300)
    assert not [alert for alert in listed if alert.name == "Leaf"]
    assert world.evidence.alertmanager_alerts("somebody") == []


def test_a_healed_patient_is_proven_so_from_baseline_to_health(world: World) -> None:
    alert = world.alert("Sick", "healing")
    rule = world.rule(alert)
    spec = Verify(alive="x > 0")
    baseline = json.loads(json.dumps(world.evidence.baseline(rule, alert.labels, spec)))
    assert world.evidence.healthy_now(rule, alert.labels) is False

    world.clinic.put("healing", {"x": 2})
    end = world.evidence.prometheus_now()
    first = world.evidence.health(rule, alert.labels, spec, baseline, end, world.evidence.prometheus_now())
    assert not first.healthy

    def proven() -> bool:
        now = world.evidence.prometheus_now()
        health = world.evidence.health(rule, alert.labels, spec, baseline, end, now)
        assert not health.healthy or now - end > 1.0
        assert json.dumps(health.to_json())
        return health.healthy and health.alive and health.last_sample is not None and not health.gone

    wait_until(proven, 10)
    # two samples newer than the end of the action were waited for; now it is also healthy without any action
    wait_until(lambda: world.evidence.healthy_now(rule, alert.labels), 10)


def test_a_declared_proof_stands_in_for_a_rule_that_cannot_be_judged(world: World) -> None:
    alert = world.alert("Present", "b")
    rule = world.rule(alert)
    declared = Verify(healthy="x > 8")
    assert "it fires because `x` exists" in str(world.evidence.refused(rule, Verify()))
    assert world.evidence.refused(rule, declared) is None
    assert "healthy: `vector(1)` returns something" in str(world.evidence.refused(rule, Verify(healthy="vector(1)")))

    undeclared = world.evidence.baseline(rule, alert.labels, Verify())
    baseline = world.evidence.baseline(rule, alert.labels, declared)
    end = world.evidence.prometheus_now()

    def proven(spec: Verify, stored: Any) -> bool:
        now = world.evidence.prometheus_now()
        return world.evidence.health(rule, alert.labels, spec, stored, end, now).healthy

    wait_until(lambda: proven(declared, baseline), 10)
    assert not proven(Verify(), undeclared)
    assert not proven(Verify(healthy="x > 100"), world.evidence.baseline(rule, alert.labels, Verify(healthy="x > 100")))


def test_a_source_that_is_away_makes_blind_and_is_counted(world: World) -> None:
    alert = world.alert("Sick")
    rule = world.rule(alert)
    failed: list[str] = []
    away = Client(f"http://127.0.0.1:{free_port()}", timeout=1)
    no_alertmanager = Client(f"http://127.0.0.1:{free_port()}", source="alertmanager", timeout=1)
    there = Client(world.alertmanager, source="alertmanager")

    blind = Evidence(away, [there], SystemClock(), failed=failed.append)
    live = blind.live(rule, alert.labels, alert.fingerprint, 0.0)
    trouble = blind.rule_for("Sick", alert.labels, "")
    assert (live.firing, live.active, live.blind) == (None, None, ("prometheus",))
    assert isinstance(trouble, Trouble)
    assert trouble.reason is Reason.BLIND
    with pytest.raises(SourceUnavailable):
        blind.prometheus_now()

    deaf = Evidence(world.scraped.client, [no_alertmanager], SystemClock(), failed=failed.append)
    live = deaf.live(rule, alert.labels, alert.fingerprint, 0.0)
    assert (live.firing, live.blind) == (True, ("alertmanager",))
    with pytest.raises(SourceUnavailable):
        deaf.alertmanager_alerts("selfheal")

    one_of_two = Evidence(world.scraped.client, [no_alertmanager, there], SystemClock(), failed=failed.append)
    live = one_of_two.live(rule, alert.labels, alert.fingerprint, 0.0)
    assert (live.firing, live.blind) == (True, ())
    assert failed == ["prometheus", "prometheus", "prometheus", "alertmanager", "alertmanager"]
    there.close()


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_active_alerts_are_cut_out_of_the_rules_whatever_their_labels_say(size: int) -> None:
    hostile = '"],"health":"ok'
    rule = {"name": "A", "query": "x", "alerts": [{"labels": {"a": hostile, '"alerts":[': "b"}}], "health": "ok"}
    other = {"name": "B", "query": "y", "alerts": [], "health": "ok", "type": "alerting"}
    body = json.dumps({"data": {"groups": [{"rules": [rule, other]}]}}, separators=(",", ":")).encode()

    cut = without_active_alerts(cut_up(body, size))

    assert cut is not None
    assert json.loads(cut)["data"]["groups"][0]["rules"] == [rule | {"alerts": []}, other]


def test_rules_in_another_order_are_not_cut() -> None:
    first = {"name": "A", "health": "ok", "alerts": [{}], "query": "x"}
    second = {"name": "B", "query": "y", "alerts": [], "health": "ok"}
    spaced = json.dumps([second]).encode()

    assert without_active_alerts([json.dumps([first, second], separators=(",", ":")).encode()]) is None
    assert without_active_alerts([spaced]) == spaced


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_a_vector_in_pieces_is_the_whole_vector(size: int, count: int) -> None:
    hostile = '"}},{"metric":{"result":[{'
    elements = [{"metric": {"n": str(n), "a": hostile}, "value": [1.5, "1"]} for n in range(count)]
    answer = {"status": "success", "data": {"resultType": "vector", "result": elements}, "warnings": ["w"]}
    body = json.dumps(answer, separators=(",", ":")).encode()

    *lists, last = (json.loads(piece) for piece in in_pieces(cut_up(body, size)))

    found = [element for piece in lists for element in piece] + last["data"]["result"]
    assert found == elements
    assert last["warnings"] == ["w"]
    assert count < 2 or size == 10_000 or lists


def cut_up(body: bytes, size: int) -> Iterator[bytes]:
    """Return the body as it comes in parts."""
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (
            "global:\n  scrape_interval: 1s\n  external_labels:\n    replica: a\n    site: b\nrule_files:\n- x\n",
            {"replica", "site"},
        ),
        (GLOBAL, set()),
        ("rule_files: []\n", set()),
        ("global:\n  external_labels: [\n", set()),
        ("", set()),
    ],
)
def test_external_labels_are_read_from_the_configuration(config: str, names: set[str]) -> None:
    assert external_labels_of(config) == names


def test_an_answer_is_shared_while_it_is_young_and_newer_than_what_is_wanted() -> None:
    clock = ManualClock()
    shared: Shared[int] = Shared(clock, 1.0)
    answers = iter(range(10))

    def ask(fresh_after: float) -> int:
        return shared.get("key", fresh_after, lambda: next(answers)).value

    start = clock.now()
    assert [ask(start), ask(start - 5), ask(start)] == [0, 0, 0]
    clock.advance(0.5)
    assert [ask(start), ask(start + 0.4), ask(start)] == [0, 1, 1]
    clock.advance(1.0)
    assert ask(start) == 1
    clock.advance(0.1)
    assert ask(start) == 2


def test_a_failure_is_shared_for_a_second_and_then_asked_again() -> None:
    clock = ManualClock()
    shared: Shared[int] = Shared(clock, 10.0)
    asked: list[int] = []

    def fail() -> int:
        asked.append(1)
        raise SourceUnavailable("prometheus", "away")

    for _ in range(3):
        with pytest.raises(SourceUnavailable, match="away"):
            shared.get("key", 0.0, fail)
    clock.advance(1.5)
    assert shared.get("key", 0.0, lambda: 7).value == 7
    assert len(asked) == 1


@pytest.mark.parametrize("jump", [-3600.0, -5.0, 3600.0])
def test_no_answer_is_shared_across_a_clock_that_was_set(jump: float) -> None:
    clock = ManualClock()
    shared: Shared[int] = Shared(clock, 1.0)
    answers = iter(range(10))

    def ask(fresh_after: float) -> int:
        return shared.get("key", fresh_after, lambda: next(answers)).value

    assert ask(clock.now()) == 0
    clock.jump(jump)
    clock.advance(0.1)
    # an effect of ours ended just now: what was asked before it must not be taken for newer
    assert shared.peek("key", clock.now()) is None
    assert [ask(clock.now()), ask(clock.now())] == [1, 1]


def test_a_time_that_the_clock_has_not_reached_is_not_taken_for_the_time_of_the_answer() -> None:
    clock = ManualClock()
    shared: Shared[int] = Shared(clock, 1.0)
    answers = iter(range(10))
    ahead = clock.now() + 3600

    # delivered before the clock was set back
    first = shared.get("key", ahead, lambda: next(answers))
    assert (first.asked_at, first.value) == (clock.now(), 0)
    clock.advance(0.2)
    assert shared.get("key", clock.now(), lambda: next(answers)).value == 1
    clock.advance(0.2)
    assert shared.get("key", ahead, lambda: next(answers)).value == 2


def test_those_who_ask_while_a_question_is_under_way_wait_for_its_answer() -> None:
    clock = SystemClock()
    shared: Shared[int] = Shared(clock, 5.0)
    begun, release = threading.Event(), threading.Event()
    asked: list[int] = []
    got: list[int] = []

    def slowly() -> int:
        asked.append(1)
        begun.set()
        assert release.wait(20)
        return 5

    threads = [threading.Thread(target=lambda: got.append(shared.get("key", 0.0, slowly).value)) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert begun.wait(20)
    release.set()
    for thread in threads:
        thread.join(20)
    assert (got, asked) == ([5] * 20, [1])


def test_whoever_wants_a_newer_answer_than_the_one_under_way_asks_after_it() -> None:
    clock = ManualClock()
    shared: Shared[int] = Shared(clock, 5.0)
    begun, release = threading.Event(), threading.Event()

    def slowly() -> int:
        begun.set()
        assert release.wait(20)
        return 1

    first = threading.Thread(target=lambda: shared.get("key", 0.0, slowly))
    first.start()
    assert begun.wait(20)
    clock.advance(1.0)
    newer: list[int] = []
    second = threading.Thread(target=lambda: newer.append(shared.get("key", clock.now(), lambda: 2).value))
    second.start()
    release.set()
    first.join(20)
    second.join(20)

    assert newer == [2]
