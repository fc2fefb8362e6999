"""silence.create in a real Alertmanager: what it hides, for how long, that it is made once, and that it ends again."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator.client import Client
from remediator.errors import OutcomeUnknown, Refused
from remediator.model import About, Live, Outcome, Plan, StepRow, StepState
from remediator.own_silences import without_own
from remediator.policy import Policy
from remediator.policy.silences import Silences
from remediator.silencer import AlertmanagerSilencer
from selfheal.common.clock import SystemClock, from_rfc3339
from selfheal.common.problems import Problem
from tests.actions.about import ABOUT, LABELS, Hands
from tests.judge.clinic import alerting
from tests.stack.support import wait_until

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
HOSTILE = 'a "quoted" \\ {{ $labels.x }}\n.*'
FOR = {"for": "30m", "comment": "being mended"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with alerting(tmp_path_factory.mktemp("alertmanager"), CONFIG) as found:
        yield found


def hands(*urls: str, longest: float = 7200.0) -> Hands:
    clients = [Client(each, source="alertmanager", timeout=5) for each in urls]
    door = AlertmanagerSilencer(clients, SystemClock(), ("replica",))
    return Hands(Policy(silences=Silences(longest), source="policy.yml"), silences=door)


def about(item: str, **labels: str) -> About:
    """Return an alert of its own, so that no test meets the silence of another."""
    return About({**ABOUT.alert, "labels": {**LABELS, "item": item, **labels}}, 17)


def listed(url: str, item: str) -> list[Any]:
    """Return the silences in force that fit the alert of a test."""
    with urllib.request.urlopen(f"{url}/api/v2/silences", timeout=10) as answer:
        found = json.load(answer)
    return [
        silence
        for silence in found
        if silence["status"]["state"] == "active" and any(each["value"] == item for each in silence["matchers"])
    ]


def test_the_plan_shows_the_silence_and_makes_none(url: str) -> None:
    plan = hands(url).plan("silence.create", about=about("planned"), **FOR)

    (item,) = plan.items
    assert (item["kind"], item["seconds"], item["comment"]) == ("silence", 1800.0, "being mended")
    assert {each["name"] for each in item["matchers"]} == {"alertname", "instance", "job", "item"}
    assert listed(url, "planned") == []


def test_exactly_the_alert_is_silenced_for_as_long_as_it_says(url: str) -> None:
    made = hands(url)
    mine = about("made", x=HOSTILE)
    begun = SystemClock().now()

    outcome = made.run("silence.create", made.plan("silence.create", about=mine, **FOR), about=mine)

    (silence,) = listed(url, "made")
    assert {each["name"]: each["value"] for each in silence["matchers"]} == {
        "alertname": "Sick", "instance": "web-1:9976", "item": "made", "job": "web", "x": HOSTILE,
    }  # fmt: skip
    assert all(each["isEqual"] and not each["isRegex"] for each in silence["matchers"])
    assert begun + 1_799 <= from_rfc3339(silence["endsAt"]) <= SystemClock().now() + 1_801
    assert (silence["createdBy"], silence["comment"].startswith("being mended [selfheal 17-")) == ("selfheal", True)
    assert (outcome.ok, outcome.effects[0]["id"], outcome.detail["id"]) == (True, silence["id"], silence["id"])
    assert made.points == ["effect_begun", "effect_done"]


def test_done_again_after_a_crash_it_is_made_once_and_undone_it_ends(url: str) -> None:
    made, mine = hands(url), about("again")
    plan = made.plan("silence.create", about=mine, **FOR)

    first = made.run("silence.create", plan, about=mine)
    second = made.run("silence.create", plan, about=mine)

    assert first.detail["id"] == second.detail["id"]
    assert len(listed(url, "again")) == 1

    # what became of it is not known: the mark alone finds it
    undone = made.undo("silence.create", plan, Outcome(True, plan.items))

    assert (undone.ok, [effect["id"] for effect in undone.effects]) == (True, [first.detail["id"]])
    wait_until(lambda: listed(url, "again") == [], 20)
    assert made.undo("silence.create", plan, first).effects == ()


def test_another_remediation_makes_a_silence_of_its_own_and_ends_only_that(url: str) -> None:
    made, one = hands(url), about("two")
    other = replace(one, remediation=18)
    plans = [made.plan("silence.create", about=each, **FOR) for each in (one, other)]
    kept = made.run("silence.create", plans[0], about=one)
    made.run("silence.create", plans[1], about=other)

    made.undo("silence.create", plans[1], Outcome(True, ()))

    wait_until(lambda: [each["id"] for each in listed(url, "two")] == [kept.detail["id"]], 20)


def test_one_of_several_that_answers_is_enough(url: str) -> None:
    made, mine = hands(f"http://127.0.0.1:{free_port()}", url), about("several")

    assert made.run("silence.create", made.plan("silence.create", about=mine, **FOR), about=mine).ok
    assert len(listed(url, "several")) == 1


def test_a_silence_that_only_one_out_of_reach_may_know_is_not_called_ended(url: str) -> None:
    mine = about("cut off")
    plan = hands(url).plan("silence.create", about=mine, **FOR)
    half = hands(url, f"http://127.0.0.1:{free_port()}")

    with pytest.raises(OutcomeUnknown, match=r"no Alertmanager says what became of the silence: .*cannot connect"):
        half.undo("silence.create", plan, Outcome(True, plan.items))

    made = hands(url).run("silence.create", plan, about=mine)

    assert [each["id"] for each in half.undo("silence.create", plan, made).effects] == [made.detail["id"]]
    # what one of them knows to be over is over
    assert half.undo("silence.create", plan, made).effects == ()


def test_nobody_answering_leaves_it_open() -> None:
    made = hands(f"http://127.0.0.1:{free_port()}")
    plan = made.plan("silence.create", **FOR)

    with pytest.raises(OutcomeUnknown, match=r"no Alertmanager says what became of the silence: .*cannot connect"):
        made.run("silence.create", plan)
    with pytest.raises(OutcomeUnknown, match="no Alertmanager says"):
        made.undo("silence.create", plan, Outcome(True, ()))


@pytest.mark.parametrize(
    ("longest", "why"),
    [(0.0, r"a silence is not permitted; write silences: {longest: 2h}"), (1799.0, "policy.yml allows 29m59s at most")],
    ids=["none", "too long"],
)
def test_the_policy_is_asked_when_planning_and_again_by_the_door(url: str, longest: float, why: str) -> None:
    made, mine = hands(url), about("refused")
    plan = made.plan("silence.create", about=mine, **FOR)
    made.policy = replace(made.policy, silences=Silences(longest))

    with pytest.raises(Refused, match=why):
        made.run("silence.create", plan, about=mine)
    with pytest.raises(Refused, match=why):
        made.plan("silence.create", about=mine, **FOR)
    assert listed(url, "refused") == []
    assert [refusal.door.value for refusal in made.refusals] == ["http", "http"]


def test_a_policy_that_anybody_could_have_written_permits_none(url: str) -> None:
    made, mine = hands(url), about("foreign")
    plan = made.plan("silence.create", about=mine, **FOR)
    made.policy = replace(made.policy, problem=Problem("policy.yml", "", "can be written by others"))

    with pytest.raises(Refused, match="can be written by others"):
        made.run("silence.create", plan, about=mine)
    with pytest.raises(Refused, match="can be written by others"):
        made.plan("silence.create", about=mine, **FOR)
    with pytest.raises(Refused, match="can be written by others"):
        made.undo("silence.create", plan, Outcome(True, ()))
    assert listed(url, "foreign") == []


@pytest.mark.parametrize("missing", ["alertname", "instance"])
def test_labels_that_fit_other_alerts_too_are_refused(missing: str) -> None:
    labels = {name: value for name, value in LABELS.items() if name != missing}
    made = hands("http://127.0.0.1:9")

    with pytest.raises(Refused, match="name no alertname and instance: a silence would hide others"):
        made.plan("silence.create", about=About({"labels": labels}, 1), **FOR)


def test_without_an_alertmanager_there_is_nothing_to_silence_in() -> None:
    with pytest.raises(Refused, match="there is no Alertmanager to silence anything in"):
        Hands(Policy(silences=Silences(7200.0), source="policy.yml")).plan("silence.create", **FOR)


def test_its_own_silence_does_not_keep_a_remediation_back_and_anybody_elses_does() -> None:
    live = Live(asked_at=1.0, firing=True, active=True, seen_since_delivery=True, silenced_by=("ours", "theirs"))
    effects = ({"kind": "silence", "id": "ours"},)
    row = StepRow(1, 0, 1, StepState.DONE, Plan(()), 0.0, 1.0, Outcome(True, effects))

    assert without_own(live, [row]).silenced_by == ("theirs",)
    assert without_own(replace(live, silenced_by=("ours",)), [row]).silenced_by == ()
    assert without_own(live, [replace(row, undo=True)]).silenced_by == ("ours", "theirs")
    assert without_own(live, []).silenced_by == ("ours", "theirs")
