"""The approval guard on both sides of each boundary, and what exactly a person's yes is bound to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.guards import approval
from remediator.guards.approval import plan_hash
from remediator.model import (
    Answer,
    Approval,
    ApprovalState,
    Effect,
    Frozen,
    FrozenStep,
    History,
    Limits,
    Mode,
    Plan,
    Reason,
    Target,
)
from tests.guards import values
from tests.guards.values import NOW

FROZEN = replace(
    values.FROZEN,
    mode=Mode.APPROVE,
    limits=Limits(),
    steps=(FrozenStep("process.terminate", 1, Effect.DESTRUCTIVE, True, {"group": "worker"}, 30.0),),
)
FACTS = replace(values.FACTS, plan_hash="h", approval_valid_for=600.0, digest_in_force="d")


def request(state: ApprovalState, plan: str = "h", expires_at: float = NOW + 60) -> History:
    asked = Approval(7, 1, plan, state, NOW - 100, expires_at, NOW - 5, "kim")
    return History(live_duplicate=None, lock_holder=None, last_effect_at=None, approval=asked)


NONE = replace(request(ApprovalState.OPEN), approval=None)
S = ApprovalState
ALLOW, HOLD, DENY = Answer.ALLOW, Answer.HOLD, Answer.DENY


@pytest.mark.parametrize(
    ("history", "answer", "reason", "until"),
    [
        pytest.param(NONE, HOLD, Reason.APPROVAL_NEEDED, NOW + 600, id="never asked"),
        pytest.param(request(S.OPEN), HOLD, Reason.APPROVAL_NEEDED, NOW + 60, id="asked"),
        pytest.param(request(S.OPEN, "other"), HOLD, Reason.APPROVAL_NEEDED, NOW + 600, id="asked about another plan"),
        pytest.param(request(S.VOID), HOLD, Reason.APPROVAL_NEEDED, NOW + 600, id="asked, and void"),
        pytest.param(request(S.GRANTED), ALLOW, Reason.ALLOWED, None, id="granted"),
        pytest.param(
            request(S.GRANTED, "other"), HOLD, Reason.APPROVAL_NEEDED, NOW + 600, id="granted for another plan"
        ),
        pytest.param(request(S.GRANTED, "h", NOW + 0.1), ALLOW, Reason.ALLOWED, None, id="granted, just in time"),
        pytest.param(request(S.GRANTED, "h", NOW), DENY, Reason.APPROVAL_EXPIRED, None, id="granted, and too late"),
        pytest.param(request(S.OPEN, "h", NOW), DENY, Reason.APPROVAL_EXPIRED, None, id="nobody answered in time"),
        pytest.param(request(S.EXPIRED), DENY, Reason.APPROVAL_EXPIRED, None, id="expired"),
        pytest.param(request(S.REFUSED), DENY, Reason.APPROVAL_REFUSED, None, id="refused"),
        pytest.param(request(S.USED, "other", NOW - 9), ALLOW, Reason.ALLOWED, None, id="begun with it already"),
    ],
)
def test_what_a_request_allows(history: History, answer: Answer, reason: Reason, until: float | None) -> None:
    found = approval.check(FROZEN, FACTS, history, NOW)

    assert (found.guard, found.answer, found.reason, found.until) == ("approval", answer, reason, until)


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.OBSERVE])
def test_nobody_is_asked_where_the_mode_does_not_say_so(mode: Mode) -> None:
    found = approval.check(replace(FROZEN, mode=mode), FACTS, request(S.REFUSED), NOW)

    assert found.answer is ALLOW


@pytest.mark.parametrize("in_force", ["another", None])
def test_what_was_granted_for_a_playbook_that_changed_is_denied(in_force: str | None) -> None:
    found = approval.check(FROZEN, replace(FACTS, digest_in_force=in_force), request(S.GRANTED), NOW)

    assert (found.answer, found.reason) == (DENY, Reason.PLAYBOOK_CHANGED)


@pytest.mark.parametrize("history", [NONE, request(S.GRANTED), request(S.OPEN)])
def test_without_a_plan_there_is_nothing_to_ask(history: History) -> None:
    assert approval.check(FROZEN, replace(FACTS, plan_hash=None), history, NOW).answer is ALLOW


def process(pid: int, **changes: Any) -> dict[str, Any]:
    item = {"kind": "process", "pid": pid, "start_ticks": 9, "group": "worker", "uid": 5, "boot_id": "b"}
    return item | {"resident_bytes": 10} | changes


FILE = {"kind": "file", "path": "/var/tmp/a", "size": 1, "modified_ns": 2, "inode": 3}
STOP = {"kind": "command", "service": "web", "verb": "stop"}
START = STOP | {"verb": "start"}


@given(st.permutations([1, 2, 3]), st.lists(st.integers(), min_size=3, max_size=3))
def test_the_order_of_processes_and_what_is_measured_is_no_other_plan(order: list[int], sizes: list[int]) -> None:
    one = Plan(tuple(process(pid) for pid in (1, 2, 3)), {"group": "worker", "refused_count": 1})
    other = Plan(
        tuple(process(pid, resident_bytes=size, zombies=[size]) for pid, size in zip(order, sizes, strict=True)),
        {"group": "worker", "refused_count": 2, "beyond_limit": 7},
    )

    assert plan_hash(FROZEN, one) == plan_hash(FROZEN, other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Plan((process(1),)), id="one less"),
        pytest.param(Plan((process(1), process(2), process(3))), id="one more"),
        pytest.param(Plan((process(1), process(2, start_ticks=10))), id="a pid that was used again"),
        pytest.param(Plan((process(1), process(2, boot_id="c"))), id="after another boot"),
        pytest.param(Plan((process(1), process(2, uid=0))), id="another user"),
        pytest.param(Plan((process(1), process(2)), {"grace": 1}), id="another detail"),
    ],
)
def test_other_things_are_another_plan(other: Plan) -> None:
    assert plan_hash(FROZEN, Plan((process(1), process(2)))) != plan_hash(FROZEN, other)


@pytest.mark.parametrize("key", ["path", "size", "modified_ns", "inode"])
def test_of_a_file_everything_counts(key: str) -> None:
    assert plan_hash(FROZEN, Plan((FILE,))) != plan_hash(FROZEN, Plan((FILE | {key: 99},)))


def test_of_commands_the_order_counts_and_what_the_policy_says_they_are() -> None:
    one = Plan((STOP, START), {"commands_digest": "c"})

    assert plan_hash(FROZEN, one) != plan_hash(FROZEN, Plan((START, STOP), {"commands_digest": "c"}))
    assert plan_hash(FROZEN, one) != plan_hash(FROZEN, Plan((STOP, START), {"commands_digest": "d"}))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(FROZEN, digest="e"), id="playbook"),
        pytest.param(replace(FROZEN, target=Target("web-2", "process_group", "worker")), id="target"),
        pytest.param(replace(FROZEN, steps=(replace(FROZEN.steps[0], version=2),)), id="version of an action"),
        pytest.param(replace(FROZEN, steps=(replace(FROZEN.steps[0], arguments={"group": "x"}),)), id="argument"),
        pytest.param(replace(FROZEN, steps=FROZEN.steps * 2), id="another step"),
    ],
)
def test_another_playbook_target_or_step_is_another_plan(other: Frozen) -> None:
    plan = Plan((process(1),))

    assert plan_hash(FROZEN, plan) != plan_hash(other, plan)
