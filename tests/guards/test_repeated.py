"""What is healed again and again is left to people: on both sides of the boundary, and in the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.guards import combine, repeated
from remediator.model import Answer, Rate, RateUse, Reason, State, Verdict
from remediator.receive import final_until_reload, to_be_decided_again
from remediator.store import Store
from selfheal.common.clock import ManualClock
from tests.guards.outcomes import end, remediate
from tests.guards.values import FACTS, FROZEN, HISTORY, NOW

MOST = Rate(3, 86_400.0)


@pytest.mark.parametrize(
    ("used", "answer", "reason"),
    [
        pytest.param(0, Answer.ALLOW, Reason.ALLOWED, id="never healed"),
        pytest.param(2, Answer.ALLOW, Reason.ALLOWED, id="one less than the most"),
        pytest.param(3, Answer.DENY, Reason.ROOT_CAUSE, id="as often as it may"),
        pytest.param(4, Answer.DENY, Reason.ROOT_CAUSE, id="more often, the limit was lowered"),
    ],
)
def test_a_target_is_not_healed_for_ever(used: int, answer: Answer, reason: Reason) -> None:
    use = RateUse("repeats", MOST, used, NOW + 100)

    given = repeated.check(FROZEN, FACTS, replace(HISTORY, healed=use), NOW)

    assert (given.guard, given.answer, given.reason) == ("repeated", answer, reason)
    if answer is Answer.DENY:
        assert given.detail == {
            "playbook": "restart_worker", "target": "web-1/process_group:worker", "healed": used, "most": 3,
            "window_seconds": 86_400.0, "again_at": NOW + 100,
        }  # fmt: skip


def test_without_a_count_nothing_is_repeated() -> None:
    assert combine([repeated.check(FROZEN, FACTS, HISTORY, NOW)]).answer is Answer.ALLOW


def test_what_was_proven_counts_for_its_playbook_and_target_until_the_window_is_over(
    store: Store, clock: ManualClock
) -> None:
    for target in ("a", "a", "b"):
        end(store, clock, remediate(store, clock, target=target), State.SUCCEEDED, Verdict.FIXED)
        clock.advance(10)
    end(store, clock, remediate(store, clock, "other", "a"), State.SUCCEEDED, Verdict.FIXED)
    end(store, clock, remediate(store, clock, target="a"), State.INEFFECTIVE, Verdict.UNPROVEN)
    end(store, clock, remediate(store, clock, target="a"), State.SUCCEEDED, Verdict.NOT_ASKED)
    now = clock.now()

    def used(playbook: str, target: str, at: float) -> int:
        return store.write(lambda tx: tx.healed(playbook, f"h1/item:{target}", MOST, at)).used

    assert (used("heal", "a", now), used("heal", "b", now), used("other", "a", now)) == (2, 1, 1)
    # the first was proven 30 s ago, the second 20 s
    assert used("heal", "a", now + MOST.window - 30.001) == 2
    assert used("heal", "a", now + MOST.window - 30.0) == 1


def test_what_came_back_within_the_watch_was_healed_too_and_counts_once(store: Store, clock: ManualClock) -> None:
    number = remediate(store, clock, target="a")
    end(store, clock, number, State.WATCHING, Verdict.FIXED)
    clock.advance(60)
    end(store, clock, number, State.INEFFECTIVE, Verdict.RECURRED)

    use = store.write(lambda tx: tx.healed("heal", "h1/item:a", MOST, clock.now()))

    assert (use.used, use.frees_at) == (1, clock.now() - 60 + MOST.window)


def test_a_jump_of_the_clock_frees_nothing_even_across_a_restart(tmp_path, clock: ManualClock) -> None:  # type: ignore[no-untyped-def]
    store = Store.open(tmp_path / "s", clock)
    for _ in range(3):
        end(store, clock, remediate(store, clock, target="a"), State.SUCCEEDED, Verdict.FIXED)
    store.write(lambda tx: tx.clock_jumps())
    store.close()
    clock.jump(2 * MOST.window)
    store = Store.open(tmp_path / "s", clock)

    used = store.write(lambda tx: tx.healed("heal", "h1/item:a", MOST, clock.now())).used
    store.close()

    assert used == 3


def test_candidates_are_those_at_the_limit(store: Store, clock: ManualClock) -> None:
    for target, times in (("a", 3), ("b", 2), ("c", 4)):
        for _ in range(times):
            end(store, clock, remediate(store, clock, target=target), State.SUCCEEDED, Verdict.FIXED)

    with store.read() as reader:
        found = reader.healed_often(MOST, clock.now())

    assert [(each["target"], each["healed"]) for each in found] == [("h1/item:c", 4), ("h1/item:a", 3)]


def test_a_root_cause_is_final_until_people_read_the_files_again(store: Store, clock: ManualClock) -> None:
    number = remediate(store, clock, begin=False)
    store.write(lambda tx: tx.move(number, State.SKIPPED, Reason.ROOT_CAUSE, clock.now()))
    with store.read() as reader:
        remediation = reader.remediation(number)
        assert remediation is not None
        occurrence = reader.occurrence(remediation.occurrence_id)

    assert occurrence is not None
    assert (to_be_decided_again(occurrence), final_until_reload(occurrence)) == (False, True)
