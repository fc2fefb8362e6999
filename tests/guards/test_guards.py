"""Each guard on both sides of its boundary, and how their answers are combined."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from remediator.guards import (
    GUARDS,
    ask_all,
    combine,
    cooldown,
    duplicate,
    lock,
    mode,
    owner,
    pause,
    policy,
    rate,
    still_firing,
    would_have,
)
from remediator.model import (
    Answer,
    Facts,
    GuardAnswer,
    History,
    Limits,
    Mode,
    Pause,
    Rate,
    RateUse,
    Reason,
)
from tests.guards.values import FACTS, FROZEN, HISTORY, NOW


def facts(**changes: object) -> Facts:
    return replace(FACTS, **changes)


def live(**changes: object) -> Facts:
    return replace(FACTS, live=replace(FACTS.live, **changes))


def history(**changes: object) -> History:
    return replace(HISTORY, **changes)


FULL = RateUse("playbook", Rate(3, 3600.0), 3, NOW + 100)
LATER = RateUse("all", Rate(10, 86_400.0), 10, NOW + 5_000)
ALLOW, HOLD, DENY = Answer.ALLOW, Answer.HOLD, Answer.DENY


@pytest.mark.parametrize(
    ("guard", "given_facts", "given_history", "answer", "reason", "until"),
    [
        pytest.param(pause, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="not paused"),
        pytest.param(
            pause,
            facts(pause=Pause("kim", "deploy", None)),
            HISTORY,
            HOLD,
            Reason.PAUSED,
            NOW + 5,
            id="paused without end",
        ),
        pytest.param(
            pause,
            facts(pause=Pause("kim", "deploy", NOW + 2)),
            HISTORY,
            HOLD,
            Reason.PAUSED,
            NOW + 2,
            id="paused to its end",
        ),
        pytest.param(owner, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="our host"),
        pytest.param(owner, facts(hosts=()), HISTORY, DENY, Reason.NOT_OUR_HOST, None, id="no host of ours"),
        pytest.param(owner, facts(hosts=("a", "b")), HISTORY, DENY, Reason.NOT_OUR_HOST, None, id="two hosts"),
        pytest.param(
            owner,
            facts(rule_problem=Reason.RULE_AMBIGUOUS),
            HISTORY,
            DENY,
            Reason.RULE_AMBIGUOUS,
            None,
            id="rule ambiguous",
        ),
        pytest.param(
            owner,
            live(active=False, labels_differ=("job",)),
            HISTORY,
            DENY,
            Reason.LABELS_DIFFER,
            None,
            id="labels differ",
        ),
        pytest.param(
            owner,
            live(active=False, firing=False, seen_since_delivery=False),
            HISTORY,
            DENY,
            Reason.UNKNOWN_TO_PROMETHEUS,
            None,
            id="never seen",
        ),
        pytest.param(
            owner,
            live(active=False, firing=False, seen_since_delivery=True),
            HISTORY,
            ALLOW,
            Reason.ALLOWED,
            None,
            id="ended meanwhile is not for this guard",
        ),
        pytest.param(duplicate, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="alone"),
        pytest.param(duplicate, FACTS, history(live_duplicate=7), DENY, Reason.DUPLICATE, None, id="another lives"),
        pytest.param(lock, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="lock free"),
        pytest.param(lock, FACTS, history(lock_holder=7), HOLD, Reason.LOCKED, NOW + 30, id="lock held"),
        pytest.param(cooldown, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="never touched"),
        pytest.param(
            cooldown, FACTS, history(last_effect_at=NOW - 600), ALLOW, Reason.ALLOWED, None, id="cooldown just over"
        ),
        pytest.param(
            cooldown,
            FACTS,
            history(last_effect_at=NOW - 599.9),
            HOLD,
            Reason.COOLDOWN,
            NOW + 0.1,
            id="cooldown nearly over",
        ),
        pytest.param(rate, FACTS, history(rates=(replace(FULL, used=2),)), ALLOW, Reason.ALLOWED, None, id="one left"),
        pytest.param(
            rate,
            FACTS,
            history(rates=(FULL, LATER)),
            HOLD,
            Reason.RATE_LIMITED,
            NOW + 5_000,
            id="two used up: the later one counts",
        ),
        pytest.param(policy, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="permitted"),
        pytest.param(policy, facts(policy_refusal="no"), HISTORY, DENY, Reason.POLICY, None, id="not permitted"),
        pytest.param(still_firing, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="firing"),
        pytest.param(still_firing, live(firing=False), HISTORY, DENY, Reason.SELF_RESOLVED, None, id="gone"),
        pytest.param(still_firing, live(silenced_by=("s1",)), HISTORY, HOLD, Reason.SILENCED, NOW + 5, id="silenced"),
        pytest.param(
            still_firing, live(inhibited_by=("f2",)), HISTORY, HOLD, Reason.INHIBITED, NOW + 5, id="inhibited"
        ),
        pytest.param(still_firing, facts(live=None), HISTORY, HOLD, Reason.BLIND, NOW + 5, id="nobody answers"),
        pytest.param(
            still_firing, live(blind=("alertmanager",)), HISTORY, HOLD, Reason.BLIND, NOW + 5, id="one source is silent"
        ),
        pytest.param(
            still_firing,
            facts(live=None, held_since=NOW - 899.9),
            HISTORY,
            HOLD,
            Reason.BLIND,
            NOW + 0.1,
            id="held nearly as long as allowed",
        ),
        pytest.param(
            still_firing,
            facts(live=None, held_since=NOW - 900),
            HISTORY,
            DENY,
            Reason.HOLD_EXPIRED,
            None,
            id="held as long as allowed",
        ),
        pytest.param(
            still_firing, facts(clock_jumped=True), HISTORY, HOLD, Reason.CLOCK_JUMPED, NOW + 5, id="the clock jumped"
        ),
        pytest.param(mode, FACTS, HISTORY, ALLOW, Reason.ALLOWED, None, id="auto"),
    ],
)
def test_a_guard_answers(
    guard: object, given_facts: Facts, given_history: History, answer: Answer, reason: Reason, until: float | None
) -> None:
    given = guard.check(FROZEN, given_facts, given_history, NOW)  # type: ignore[attr-defined]

    assert (given.guard, given.answer, given.reason) == (guard.name, answer, reason)  # type: ignore[attr-defined]
    assert given.until == (None if until is None else pytest.approx(until))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Mode.OBSERVE, (Answer.DENY, Reason.OBSERVE_MODE)),
        (Mode.APPROVE, (Answer.ALLOW, Reason.ALLOWED)),
        (Mode.AUTO, (Answer.ALLOW, Reason.ALLOWED)),
    ],
)
def test_a_playbook_that_only_observes_does_not_act(given: Mode, expected: tuple[Answer, Reason]) -> None:
    answer = mode.check(replace(FROZEN, mode=given), FACTS, HISTORY, NOW)

    assert (answer.answer, answer.reason) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Mode.OBSERVE, Reason.OBSERVE_MODE),
        (Mode.APPROVE, Reason.PLAYBOOK_CHANGED),
        (Mode.AUTO, Reason.PLAYBOOK_CHANGED),
    ],
)
def test_what_may_not_go_so_far_any_more_does_not_act(given: Mode, reason: Reason) -> None:
    answer = mode.check(replace(FROZEN, mode=given), replace(FACTS, withdrawn=True), HISTORY, NOW)

    assert (answer.answer, answer.reason) == (Answer.DENY, reason)


def test_no_cooldown_asked_for_means_none() -> None:
    frozen = replace(FROZEN, limits=Limits(cooldown=0))

    assert cooldown.check(frozen, FACTS, history(last_effect_at=NOW), NOW).answer is Answer.ALLOW


def test_a_guard_that_fails_denies() -> None:
    def broken(*_: object) -> GuardAnswer:
        raise ZeroDivisionError

    answers = ask_all(FROZEN, FACTS, HISTORY, NOW, (SimpleNamespace(name="odd", check=broken), mode))

    assert [(a.guard, a.answer, a.reason) for a in answers] == [
        ("odd", Answer.DENY, Reason.GUARD_FAILED),
        ("mode", Answer.ALLOW, Reason.ALLOWED),
    ]
    assert combine(answers).reason is Reason.GUARD_FAILED


def test_a_deny_beats_an_earlier_hold_and_the_first_deny_names_the_reason() -> None:
    given = facts(pause=Pause("kim", "deploy", None), policy_refusal="no")

    answers = ask_all(FROZEN, given, history(live_duplicate=3), NOW)

    assert combine(answers).reason is Reason.DUPLICATE
    assert len(answers) == len(GUARDS)


def test_everything_allowed_is_needed_to_be_allowed() -> None:
    assert combine(ask_all(FROZEN, FACTS, HISTORY, NOW)).answer is Answer.ALLOW


def test_observe_tells_what_the_others_would_have_said() -> None:
    answers = ask_all(replace(FROZEN, mode=Mode.OBSERVE), FACTS, history(lock_holder=5), NOW)

    assert combine(answers).reason is Reason.OBSERVE_MODE
    assert would_have(answers).reason is Reason.LOCKED


def test_every_module_here_is_in_the_table() -> None:
    from selfheal.common.shipped import shipped

    modules = {path.stem for path in shipped("remediator", "guards").glob("*.py")} - {"__init__"}

    assert modules == {guard.__name__.rpartition(".")[2] for guard in GUARDS}  # type: ignore[attr-defined]
