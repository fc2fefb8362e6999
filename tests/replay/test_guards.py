"""Each guard over a history written by hand: exactly what ran, what was held and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediator.replay import Healing, Period, Recording, Series, Source
from selfheal.common.clock import from_rfc3339
from tests.replay.histories import DAY, HOUR, LIFTED, LIMITS, MINUTE, on, playbook, recording, replayed, setting

PROVEN = 60.0
"""Seconds from an effect to its proof here: two scrapes of 15 s, then healthy for 30 s."""


def test_what_is_allowed_runs_at_once_and_is_proven_after_two_scrapes_and_the_healthy_span(tmp_path: Path) -> None:
    found = replayed(recording(on((100, 2 * HOUR))), setting(tmp_path, [playbook("fix")]))

    assert found.moves(1) == [
        (100, "pending", None),
        (100, "running", "allowed"),
        (100, "verifying", "allowed"),
        (100 + PROVEN, "watching", "proven"),
        (100 + PROVEN + 10 * MINUTE, "succeeded", "held_watch"),
    ]
    assert found.tally.playbooks["fix"].ran == 1


def test_without_healing_the_recorded_history_stands_until_people_are_asked(tmp_path: Path) -> None:
    two = LIMITS.replace("lock: target", "lock: target, attempts: 2")

    found = replayed(recording(on((100, 2 * HOUR))), setting(tmp_path, [playbook("fix", limits=two)]), Healing.NONE)

    assert [move for move in found.moves(1) if move[1] == "ineffective"] == [(220, "ineffective", "not_proven")]
    assert found.tally.playbooks["fix"].ran == 2
    assert found.tally.to_people == {("handed_over", "Sick"): 1}


def test_without_healing_an_alert_that_ends_by_itself_within_the_time_for_proof_counts_as_fixed(tmp_path: Path) -> None:
    found = replayed(recording(on((100, 130))), setting(tmp_path, [playbook("fix")]), Healing.NONE)

    assert (190, "watching", "proven") in found.moves(1)


def test_what_begins_anew_within_the_watch_has_recurred(tmp_path: Path) -> None:
    found = replayed(recording(on((100, 200), (400, 500))), setting(tmp_path, [playbook("fix")]))

    ended = [move for move in found.moves(1) if move[1] == "ineffective"]
    assert [move[2] for move in ended] == ["recurred"]
    assert 400 <= ended[0][0] < 415 + 1
    assert found.tally.playbooks["fix"].ran == 2


def test_the_cooldown_holds_the_next_effect_on_the_target(tmp_path: Path) -> None:
    limits = "limits: {cooldown: 30m, rate: [1000/1h], lock: target}\n"

    found = replayed(recording(on((0, 100), (600, HOUR))), setting(tmp_path, [playbook("fix", limits=limits)]))

    assert (30 * MINUTE, "running", "allowed") in found.moves(2)
    assert found.said() == {("cooldown", "hold", "cooldown"): (1, 20 * MINUTE)}


def test_a_used_up_rate_holds_until_the_window_has_room(tmp_path: Path) -> None:
    limits = "limits: {cooldown: 0s, rate: [2/1h], lock: target}\n"
    history = recording(on((0, 100), (1000, 1100), (2000, 2 * HOUR)))

    found = replayed(history, setting(tmp_path, [playbook("fix", limits=limits)]))

    assert (HOUR, "running", "allowed") in found.moves(3)
    assert found.said() == {("rate", "hold", "rate_limited"): (1, HOUR - 2000)}


def test_the_lock_of_the_host_lets_one_act_at_a_time(tmp_path: Path) -> None:
    limits = LIMITS.replace("target", "host")
    history = recording(on((0, HOUR)), on((10, HOUR), alert="Slow"))
    how = setting(tmp_path, [playbook("fix", limits=limits), playbook("push", alert="Slow", limits=limits)])

    found = replayed(history, how)

    assert (PROVEN, "running", "allowed") in found.moves(2)
    assert found.said() == {("lock", "hold", "locked"): (1, PROVEN - 10)}
    assert found.tally.peak == 1


def test_without_a_common_lock_both_act_at_the_same_time(tmp_path: Path) -> None:
    other = playbook("push", alert="Slow").replace("item: thing", "item: other")
    history = recording(on((0, HOUR)), on((10, HOUR), alert="Slow"))

    found = replayed(history, setting(tmp_path, [playbook("fix"), other]))

    assert found.tally.peak == 2
    assert found.tally.peak_at - history.begins == 10


def test_a_breaker_opens_after_failures_and_lets_one_try_when_its_time_is_over(tmp_path: Path) -> None:
    more = LIFTED.replace("minimum: 1000000", "window: 1h, minimum: 2, share: 100%, open_for: 30m")
    limits = LIMITS.replace("lock: target", "lock: target, attempts: 1")
    names = ("First", "Second", "Third")
    books = [playbook(name.lower(), alert=name, limits=limits) for name in names]
    history = recording(*(on((200 * n, 200 * n + 3 * HOUR), alert=name) for n, name in enumerate(names)))

    found = replayed(history, setting(tmp_path, books, more), Healing.NONE)

    # the second of two failures ends at 200 + 120
    assert (320 + 30 * MINUTE, "running", "allowed") in found.moves(3)
    assert found.said() == {("breaker", "hold", "breaker_open"): (1, 320 + 30 * MINUTE - 400)}
    assert found.tally.breakers == {"all-playbooks": 2}


@pytest.mark.parametrize(
    ("written", "demoted", "then"),
    [
        ("auto", ("approve", 320), [(400, "pending", None), (400, "held", "approval_needed")]),
        ("approve", ("observe", 920), [(1400, "pending", None), (1400, "observed", "observe_mode")]),
    ],
)
def test_a_playbook_that_did_not_help_twice_goes_on_one_rung_lower(
    tmp_path: Path, written: str, demoted: tuple[str, float], then: list[tuple[float, str, str | None]]
) -> None:
    limits = LIMITS.replace("lock: target", "lock: target, attempts: 1")
    begins = (0, 200, then[0][0])
    history = recording(*(on((begin, begin + 3 * HOUR), item=str(begin)) for begin in begins))
    how = setting(tmp_path, [playbook("fix", mode=written, limits=limits)])

    found = replayed(history, how, Healing.NONE, approve_after=600.0)

    assert found.moves(3)[: len(then)] == then
    assert found.tally.demotions[0] == ("fix", demoted[0], history.begins + demoted[1])
    # whoever is asked only since then is answered as the scenario says
    assert ((1000, "running", "allowed") in found.moves(3)) is (written == "auto")


def test_what_was_healed_too_often_is_left_to_people(tmp_path: Path) -> None:
    more = LIFTED.replace("most: 1000000", "most: 2, window: 1d")
    history = recording(*(on((start, start + HOUR), item=str(start)) for start in (0, 2 * HOUR, 4 * HOUR)))

    found = replayed(history, setting(tmp_path, [playbook("fix")], more))

    assert found.said() == {("repeated", "deny", "root_cause"): (1, 0)}
    assert found.tally.to_people == {("root_cause", "Sick"): 1}
    assert found.tally.playbooks["fix"].ran == 2


def test_the_blast_radius_holds_the_third_of_ten_until_the_first_leaves_its_window(tmp_path: Path) -> None:
    limits = "limits: {cooldown: 0s, rate: [1000/1h], lock: target, blast_radius: {by: [job], max: 20%, window: 30m}}\n"
    sick = [on((number * 100, 2 * HOUR), instance=f"web-{number}", job="web") for number in range(3)]
    well = [on((DAY - 100, DAY - 90), alert="Other", instance=f"web-{number}", job="web") for number in range(3, 10)]
    hosts = [f"web-{number}" for number in range(10)]

    found = replayed(recording(*sick, *well), setting(tmp_path, [playbook("fix", limits=limits)], hosts=hosts))

    assert found.moves(3)[1:3] == [(200, "held", "blast_radius"), (30 * MINUTE, "running", "allowed")]


def test_many_that_begin_together_are_held_for_a_fault_of_the_monitoring(tmp_path: Path) -> None:
    more = LIFTED.replace("targets: 100000", "targets: 5, share: 25%, within: 2m")
    history = recording(*(on((0, 10 * MINUTE), instance=f"web-{number}") for number in range(5)))
    hosts = [f"web-{number}" for number in range(5)]

    found = replayed(history, setting(tmp_path, [playbook("fix")], more, hosts), Healing.NONE)

    assert found.said() == {("monitoring", "hold", "monitoring_broken"): (5, 5 * 10 * MINUTE)}
    assert "fix" in found.tally.playbooks
    assert found.tally.playbooks["fix"].ran == 0


def test_a_maintenance_window_holds_until_it_closes(tmp_path: Path) -> None:
    # the beginning is a Sunday, 15:06:40 UTC
    more = LIFTED + 'windows: [{name: backup, cron: "0 16 * * *", for: 1h, timezone: UTC}]\n'
    opens = 16 * HOUR - (15 * HOUR + 6 * MINUTE + 40)

    found = replayed(recording(on((opens + 60, opens + 2 * HOUR))), setting(tmp_path, [playbook("fix")], more))

    assert (opens + HOUR, "running", "allowed") in found.moves(1)
    assert found.said() == {("window", "hold", "window"): (1, HOUR - 60)}


@pytest.mark.parametrize(
    ("day", "closes_after"),
    [("2026-03-28T23:30:00Z", 2.0), ("2026-10-24T22:30:00Z", 2.5), ("2026-06-10T22:30:00Z", 2.5)],
    ids=["an hour is skipped", "an hour comes twice", "an ordinary night"],
)
def test_a_window_in_local_time_holds_at_the_local_time_when_clocks_change(
    tmp_path: Path, day: str, closes_after: float
) -> None:
    # from half past two, local time, for half an hour; the replay begins at half past midnight
    more = LIFTED + 'windows: [{name: backup, cron: "30 2 * * *", for: 30m, timezone: Europe/Berlin}]\n'
    begins = from_rfc3339(day)
    opens = begins + (closes_after - 0.5) * HOUR
    sick = Series({"alertname": "Sick", "instance": "web-0"}, (Period(opens + 60, opens + HOUR),))
    history = Recording(Source.OPENMETRICS, begins, begins + DAY, (sick,), 15.0)

    found = replayed(history, setting(tmp_path, [playbook("fix")], more))

    assert found.said() == {("window", "hold", "window"): (1, 29 * MINUTE)}


def test_what_another_host_suffers_is_not_ours(tmp_path: Path) -> None:
    found = replayed(recording(on((0, HOUR), instance="elsewhere")), setting(tmp_path, [playbook("fix")]))

    assert found.said() == {("owner", "deny", "not_our_host"): (1, 0)}


def test_taken_for_a_host_of_its_own_it_is(tmp_path: Path) -> None:
    how = setting(tmp_path, [playbook("fix")], hosts=["elsewhere"])

    found = replayed(recording(on((0, HOUR), instance="elsewhere")), how)

    assert found.tally.playbooks["fix"].ran == 1


def test_a_playbook_that_observes_runs_nothing_and_tells_what_would_have_run(tmp_path: Path) -> None:
    found = replayed(recording(on((0, HOUR))), setting(tmp_path, [playbook("fix", mode="observe")]))

    counted = found.tally.playbooks["fix"]
    assert (counted.observed, counted.ran, counted.stopped) == (1, 0, 0)
    assert found.tally.peak == 0


@pytest.mark.parametrize(
    ("answer", "state", "at"),
    [(600.0, ("running", "allowed"), 600), (None, ("skipped", "approval_expired"), 1800)],
    ids=["a person says yes", "nobody answers"],
)
def test_what_asks_a_person_waits_for_the_answer(
    tmp_path: Path, answer: float | None, state: tuple[str, str], at: float
) -> None:
    found = replayed(
        recording(on((0, HOUR - 60))), setting(tmp_path, [playbook("fix", mode="approve")]), approve_after=answer
    )

    assert found.moves(1)[1] == (0, "held", "approval_needed")
    assert (at, *state) in found.moves(1)
    assert found.tally.playbooks["fix"].asked >= 1


def test_an_alert_that_ends_while_it_is_held_is_called_off(tmp_path: Path) -> None:
    limits = "limits: {cooldown: 30m, rate: [1000/1h], lock: target}\n"

    found = replayed(recording(on((0, 100), (600, 700))), setting(tmp_path, [playbook("fix", limits=limits)]))

    assert found.moves(2)[-1] == (700, "cancelled", "resolved")


def test_the_ladder_goes_on_to_the_next_playbook(tmp_path: Path) -> None:
    limits = LIMITS.replace("lock: target", "lock: target, attempts: 1")
    first = playbook("first", limits=limits).replace("otherwise: [page_owner]", "otherwise: [second, page_owner]")
    second = playbook("second", alert="Never", limits=limits)

    found = replayed(recording(on((0, 2 * HOUR))), setting(tmp_path, [first, second]), Healing.NONE)

    assert {name: counted.ran for name, counted in found.tally.playbooks.items()} == {"first": 1, "second": 1}
    assert found.tally.to_people == {("handed_over", "Sick"): 1}


def test_alerts_without_a_playbook_are_told_and_those_for_people_only_too(tmp_path: Path) -> None:
    human = on((0, HOUR), alert="ForPeople")
    human = type(human)(human.labels, human.periods, {"playbook": "none"})

    found = replayed(recording(on((0, HOUR), alert="Nobodys"), human), setting(tmp_path, [playbook("fix")]))

    assert found.tally.uncovered == {"Nobodys": 1}
    assert found.tally.to_people == {("human_only", "ForPeople"): 1}


def test_what_cannot_be_frozen_is_told_with_its_reason(tmp_path: Path) -> None:
    unfit = playbook("fix").replace("item: thing", 'item: "{{ $labels.absent }}"')

    found = replayed(recording(on((0, HOUR))), setting(tmp_path, [unfit]))

    assert found.tally.undecided == {("template_refused", "Sick"): 1}
    assert found.tally.decisions == 0


def test_a_look_that_sees_it_ill_again_begins_the_healthy_span_anew(tmp_path: Path) -> None:
    proof = "verify: {healthy_for: 60s, within: 2m, watch: 0s}\n"

    steady = replayed(recording(on((0, 20))), setting(tmp_path, [playbook("fix", proof=proof)]), Healing.NONE)
    shaky = replayed(recording(on((0, 20), (55, 60))), setting(tmp_path, [playbook("fix", proof=proof)]), Healing.NONE)

    assert steady.moves(1)[-1][1:] == ("succeeded", "proven")
    assert shaky.moves(1)[-1][1:] == ("ineffective", "not_proven")


def test_what_is_denied_again_and_again_rests_longer_each_time(tmp_path: Path) -> None:
    # one tenth of one host is none: the hold has no end but its longest
    radius = "blast_radius: {by: [instance], max: 10%}, hold_at_most: 10s"
    limits = f"limits: {{cooldown: 0s, rate: [1000/1h], lock: target, {radius}}}\n"

    found = replayed(recording(on((0, HOUR))), setting(tmp_path, [playbook("fix", limits=limits)]))

    made = [event.at - found.tally.begins for event in found.events if event.new == "pending"]
    assert made == [0, 30, 60, 120, 240, 480, 960, 1860, 2760]
