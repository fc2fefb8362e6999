"""Pauses of a part, maintenance windows and the blast radius, through the whole pipeline; time passes when told."""

from __future__ import annotations

from typing import Any

import pytest

from remediator import pause
from remediator.model import Scope
from remediator.pause_audit import CannotPause
from selfheal.common.clock import ManualClock, to_rfc3339
from tests.pipeline.sources import Act, Bench, alert, playbook

ONE = "{action: test.act}"
FREE = "cooldown: 0s, rate: [1000/1h], lock: target"
RADIUS = FREE + ", blast_radius: {by: [zone], max: 2, window: 10m}"


def deliver(bench: Bench, *items: str, **labels: str) -> None:
    alerts = [alert(item, **labels) for item in items]
    bench.sources.firing += alerts
    bench.deliver(*alerts)


def states(bench: Bench) -> dict[str, tuple[str, str]]:
    """Return (state, reason) by item."""
    found = {each["alert"]["labels"]["item"]: (each["state"], each["reason"]) for each in bench.remediations()}
    return dict(sorted(found.items()))


def events(bench: Bench) -> list[tuple[str, dict[str, Any]]]:
    assert bench.app is not None
    with bench.app.store.read() as reader:
        told = reader.events_after(0, 1_000)
    return [(each.kind, each.detail) for each in told if each.kind in ("paused", "resumed")]


DONE = ("succeeded", "proof_not_asked")


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        (Scope("heal"), {"a", "b"}),
        (Scope("other"), set()),
        (Scope("", "h1/item:a"), {"a"}),
        (Scope("heal", "h1/item:b"), {"b"}),
        (Scope("other", "h1/item:b"), set()),
    ],
)
def test_a_pause_of_a_part_holds_that_part_and_nothing_else(bench: Bench, scope: Scope, held: set[str]) -> None:
    app = bench.start(playbook(ONE, limits=FREE))
    app.pause(scope, "kim", "a test", None, False)
    deliver(bench, "a", "b")

    assert {item for item, state in states(bench).items() if state == ("held", "paused")} == held
    assert {item for item, state in states(bench).items() if state == DONE} == {"a", "b"} - held

    assert app.resume(scope, "lee")["was_paused"] is True
    bench.advance(5)
    assert set(states(bench).values()) == {DONE}


def test_a_bare_mark_with_a_name_holds_that_playbook_between_two_steps(bench: Bench, act: Act) -> None:
    mark = bench.folder / "state" / pause.FOLDER / "playbook=heal"

    def touch() -> None:
        mark.parent.mkdir(exist_ok=True)
        mark.touch()

    act.while_running = touch
    bench.start(playbook(f"{ONE}, {ONE}", limits=FREE))
    deliver(bench, "a")

    assert act.verbs() == ["1"]
    assert states(bench) == {"a": ("running", "allowed")}
    act.while_running = lambda: None
    mark.unlink()
    bench.advance(3)
    assert act.verbs() == ["1", "2"]


def test_pauses_are_told_as_events_whoever_made_and_ended_them(bench: Bench, clock: ManualClock) -> None:
    app = bench.start(playbook(ONE))
    state = bench.folder / "state"
    scope = Scope("", "h1/item:a")
    until = clock.now() + 60

    app.pause(scope, "kim", "a test", until, True)
    app.resume(scope, "lee")
    (state / pause.NAME).touch()
    bench.advance(3)
    (state / pause.NAME).unlink()
    pause.sign(state, pause.NAME, "max")
    bench.advance(3)
    pause.write(pause.path_of(state, Scope("heal")), pause.Pause("kim", "", clock.now() + 4, scope=Scope("heal")))
    bench.advance(3)
    bench.advance(3)

    told = events(bench)
    assert [kind for kind, _ in told] == ["paused", "resumed"] * 3
    assert told[0][1] == {
        "who": "kim",
        "why": "a test",
        "until": to_rfc3339(until),
        "hard": True,
        "playbook": "",
        "target": "h1/item:a",
        "file": "pause.d/target=h1%2Fitem:a",
    }
    assert [detail["ended_by"] for kind, detail in told if kind == "resumed"] == ["lee", "max", ""]
    assert [detail["who"] for kind, detail in told if kind == "paused"] == ["kim", "", "kim"]


def test_a_pause_is_told_once_also_after_a_restart(bench: Bench) -> None:
    bench.start(playbook(ONE)).pause(Scope(), "kim", "", None, False)
    bench.stop()
    bench.start(playbook(ONE))
    bench.advance(3)

    assert len(events(bench)) == 1


@pytest.mark.parametrize("scope", [Scope("Heal It"), Scope("", "h1"), Scope("", "h1/item")])
def test_what_cannot_be_paused_is_refused(bench: Bench, scope: Scope) -> None:
    app = bench.start(playbook(ONE))

    with pytest.raises(CannotPause, match=r"is no (playbook name|target)"):
        app.pause(scope, "kim", "", None, False)
    assert app.status()["pauses"] == []


# 22:13:20 in UTC, a Tuesday, is when the clock of these tests begins.
WINDOW = "windows: [{name: night, cron: '0 22 * * 2', for: 30m, timezone: UTC, why: backup%s}]\n"


def test_during_a_window_nothing_begins_and_at_its_end_it_does(bench: Bench) -> None:
    bench.careful += WINDOW % ""
    bench.start(playbook(ONE, limits=FREE))
    deliver(bench, "a")

    assert states(bench) == {"a": ("held", "window")}
    decisions = [each for each in bench.detail()["decisions"] if each["guard"] == "window"]
    assert (decisions[-1]["detail"]["window"], decisions[-1]["until"][:19]) == ("night", "2023-11-14T22:30:00")
    bench.advance(990)
    assert states(bench) == {"a": ("held", "window")}
    bench.advance(10)
    assert states(bench) == {"a": DONE}


@pytest.mark.parametrize(
    ("only", "held"),
    [
        (", playbooks: ['he*']", True),
        (", playbooks: ['clean_*']", False),
        (", targets: ['h1/*']", True),
        (", targets: ['db-*/*']", False),
    ],
)
def test_a_window_of_a_part_holds_that_part(bench: Bench, only: str, held: bool) -> None:
    bench.careful += WINDOW % only
    bench.start(playbook(ONE, limits=FREE))
    deliver(bench, "a")

    assert states(bench) == {"a": ("held", "window") if held else DONE}


def test_a_window_that_opens_between_two_steps_keeps_back_all_but_what_always_runs(
    bench: Bench, act: Act, clock: ManualClock
) -> None:
    bench.careful += WINDOW.replace("0 22", "14 22") % ""
    act.while_running = lambda: clock.advance(45) if len(act.ran) == 1 else None
    bench.start(playbook("{action: test.act}, {action: test.act}, {action: test.act, always: true}", limits=FREE))
    deliver(bench, "a")

    assert len(act.ran) == 1
    for _ in range(70):
        bench.advance(2)
    assert len(act.ran) == 2
    assert [step["state"] for step in bench.detail()["steps"]] == ["done", "skipped", "done"]


def test_a_start_with_other_windows_asks_anew(bench: Bench) -> None:
    plain = bench.careful
    bench.careful += WINDOW % ""
    bench.start(playbook(ONE, limits=FREE))
    deliver(bench, "a")
    bench.stop()
    bench.careful = plain
    bench.start(playbook(ONE, limits=FREE))

    assert states(bench) == {"a": DONE}


def test_no_more_of_a_group_are_touched_within_the_window_than_allowed(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE, limits=RADIUS))
    deliver(bench, *"abcdefgh", zone="one")
    deliver(bench, "x", zone="two")

    ran = [state for item, state in states(bench).items() if item != "x" and state == DONE]
    assert len(ran) == 2
    assert set(states(bench).values()) == {DONE, ("held", "blast_radius")}
    assert states(bench)["x"] == DONE
    bench.advance(599)
    assert len(act.ran) == 3
    bench.advance(1)
    assert len(act.ran) == 5


def test_a_jump_of_the_clock_shortens_no_window(bench: Bench, act: Act, clock: ManualClock) -> None:
    bench.start(playbook(ONE, limits=RADIUS))
    deliver(bench, *"abc", zone="one")
    clock.jump(7_200)

    # for a minute after a jump nothing begins at all, so it is looked at again and again
    for minutes in range(1, 13):
        bench.advance(60)
        assert len(act.ran) == (2 if minutes < 10 else 3)


def test_an_alert_without_the_label_of_the_group_is_not_acted_upon(bench: Bench, act: Act) -> None:
    bench.start(playbook(ONE, limits=RADIUS))
    deliver(bench, "a")

    assert act.ran == []
    assert [(each["fate"], each["reason"]) for each in bench.alerts()] == [("skipped", "template_refused")]
