"""From an alert to its fate where remediation holds back by itself: of its past, or because of the monitoring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.errors import ActionFailed, RemediatorError
from remediator.model import ALL_PLAYBOOKS, Alert
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, alert, playbook

ONE = "{action: test.act}"
LIMITS = "cooldown: 0s, rate: [1000/1h], lock: target, attempts: 1"
NOT_ASKED = "monitoring: {targets: 1000000, scrape_gap: 0, after_restart: 0s}\ntrust: {not_fixed: 6}\n"


def fall_ill(bench: Bench, *items: str) -> None:
    alerts = [alert(item) for item in items]
    bench.sources.firing += alerts
    bench.sources.listed += alerts
    bench.deliver(*alerts)


def fail() -> None:
    raise ActionFailed("it is broken")


@pytest.mark.parametrize("name", ["DatasourceError", "DatasourceNoData"])
def test_an_alert_about_a_data_source_is_never_healed_not_even_after_a_reload(
    bench: Bench, act: Act, name: str
) -> None:
    app = bench.start(playbook(ONE).replace("alert: Sick", f"alert: {name}"))
    given = replace(alert(), labels={**alert().labels, "alertname": name})
    bench.sources.firing.append(given)
    bench.sources.listed.append(given)
    bench.deliver(given)
    app.reload()
    bench.advance(31)

    assert [(each["fate"], each["reason"]) for each in bench.alerts()] == [("skipped", "datasource")]
    assert (act.ran, bench.remediations()) == ([], [])


def test_a_playbook_that_keeps_failing_is_held_until_one_may_try(bench: Bench, act: Act) -> None:
    bench.careful = NOT_ASKED + "breaker: {minimum: 3, open_for: 10m}"
    act.while_running = fail
    bench.start(playbook(ONE, limits=LIMITS))
    fall_ill(bench, "a", "b", "c")
    fall_ill(bench, "d", "e")
    held = bench.states()[:2]
    bench.advance(599)
    opened = bench.value("selfheal_remediator_breaker_open", playbook="heal")
    still = len(act.ran)
    bench.advance(2)
    tried = len(act.ran)
    states = sorted(bench.states()[:2])

    assert held == [("held", "breaker_open")] * 2
    assert (opened, still, tried) == (1.0, 3, 4)
    assert states == [("failed", "step_failed"), ("held", "breaker_open")]
    assert bench.app is not None
    assert [each["name"] for each in bench.app.status()["breakers"]] == [ALL_PLAYBOOKS, "heal"]


def test_a_breaker_outlives_the_process_and_a_person_closes_it_with_a_reason(bench: Bench, act: Act) -> None:
    bench.careful = NOT_ASKED + "breaker: {minimum: 3}"
    act.while_running = fail
    bench.start(playbook(ONE, limits=LIMITS))
    fall_ill(bench, "a", "b", "c")
    # told by this process, so that the next one must know it from the store
    bench.advance(1)
    bench.stop()
    app = bench.start()
    fall_ill(bench, "d")
    held = bench.states()[0]
    # a start shows what stands in the store, as every reading of the files does
    app.reload()
    shown = bench.value("selfheal_remediator_breaker_open", playbook="heal")
    act.while_running = lambda: None
    app.reset_breaker("heal", "kim", "path mended")
    app.reset_breaker(ALL_PLAYBOOKS, "kim", "path mended")
    bench.rest()
    bench.advance(1)

    assert (held, shown) == (("held", "breaker_open"), 1.0)
    assert bench.states()[0] == ("succeeded", "proof_not_asked")
    assert bench.value("selfheal_remediator_breaker_open", playbook="heal") == 0.0
    assert {(each["name"], each["state"], each["who"]) for each in app.breakers()} == {
        ("heal", "closed", "kim"), (ALL_PLAYBOOKS, "closed", "kim"),
    }  # fmt: skip
    with pytest.raises(RemediatorError, match="is not open"):
        app.reset_breaker("heal", "kim", "again")


def elsewhere(host: str, starts_at: float) -> Alert:
    labels = {"alertname": "Sick", "instance": f"{host}:9100", "item": host}
    return Alert("firing", labels, {}, starts_at, f"f{host}")


def test_one_of_many_that_began_together_waits_until_they_are_over(bench: Bench, act: Act, clock: ManualClock) -> None:
    # the made-up Prometheus says that as many are up as fire
    bench.careful = "monitoring: {targets: 5, scrape_gap: 0, after_restart: 0s}"
    bench.start(playbook(ONE, limits=LIMITS))
    others = [elsewhere(f"h{number}", clock.now()) for number in range(2, 6)]
    bench.sources.firing += others
    bench.sources.listed += others
    mine = replace(alert(), starts_at=clock.now())
    bench.sources.firing.append(mine)
    bench.sources.listed.append(mine)
    bench.deliver(*others, mine)
    states = bench.states()
    ran = len(act.ran)
    gone = others[0]
    bench.sources.firing.remove(gone)
    bench.sources.listed.remove(gone)
    bench.deliver(replace(gone, status="resolved"))
    # what began within the span was there, open or not
    bench.advance(6)
    soon = len(act.ran)
    bench.advance(120)

    assert sorted(states) == [("held", "monitoring_broken"), *[("skipped", "not_our_host")] * 4]
    assert (ran, soon, len(act.ran)) == (0, 0, 1)


def test_a_further_step_waits_while_the_monitoring_is_broken_but_not_what_must_always_run(
    bench: Bench, act: Act, clock: ManualClock
) -> None:
    bench.careful = "monitoring: {targets: 1000000, scrape_gap: 0, after_restart: 30s}"

    def reload() -> None:
        clock.advance(2)
        bench.sources.reloaded_at = clock.now()

    act.while_running = reload
    bench.start(playbook(f"{ONE}, {ONE}", limits=LIMITS))
    fall_ill(bench, "a")
    begun = act.verbs()
    act.while_running = lambda: None
    bench.advance(20)
    held = (
        act.verbs(),
        bench.states(),
        [each["reason"] for each in bench.detail()["events"] if each["kind"] == "step"],
    )
    bench.advance(12)

    assert begun == ["1"]
    assert held[:2] == (["1"], [("running", "allowed")])
    assert "monitoring_broken" in held[2]
    assert (len(act.ran), bench.states()) == (2, [("succeeded", "proof_not_asked")])

    act.while_running = reload
    bench.write(playbook(f"{ONE}, {{action: test.act, always: true}}", limits=LIMITS))
    assert bench.app is not None
    bench.app.reload()
    bench.sources.firing.clear()
    bench.sources.listed.clear()
    bench.advance(40)
    fall_ill(bench, "b")
    assert (len(act.ran), bench.states()[0]) == (4, ("succeeded", "proof_not_asked"))
