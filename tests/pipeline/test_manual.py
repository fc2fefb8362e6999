"""What a person asks for: the same guards, stages and proof as an alert's; a dry run stores nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator import pause
from remediator.manual import CannotRun
from remediator.model import Alert, Pause
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import INSTANCE, Act, Bench, Sources, alert

STEPS = 'target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}\nsteps: [{action: test.act}]\n'
FREE = "limits: {cooldown: 0s, rate: [1000/1h]}\n"
BY_HAND = f"playbook: by_hand\ntrigger: {{manual: true}}\nmode: auto\n{FREE}{STEPS}verify: none\n"
WHEN = f"""playbook: asked_when
trigger: {{manual: true}}
when: 'sick{{item="{{{{ $labels.item }}}}"}} > 0'
mode: auto
{FREE}{STEPS}verify: none
"""
RULED = f"playbook: ruled\ntrigger: {{alert: Sick, match: ['never=\"x\"']}}\nmode: auto\n{FREE}{STEPS}verify: none\n"
SHY = BY_HAND.replace("by_hand", "shy").replace("mode: auto\n", "")
ASKING = BY_HAND.replace("by_hand", "asking").replace("mode: auto", "mode: approve")
ELSEWHERE = (
    WHEN.replace("asked_when", "elsewhere")
    .replace("manual: true", "alert: Elsewhere")
    .replace("verify: none", """verify: {healthy: 'sick{item="{{ $labels.item }}"} == 0', within: 1m}""")
)


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, act: Act) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, act)
    made.start(BY_HAND, WHEN, RULED, SHY, ASKING, ELSEWHERE)
    yield made
    made.stop()


def run(bench: Bench, name: str, dry_run: bool = False, **labels: str) -> dict[str, Any]:
    assert bench.app is not None
    found = bench.app.run_playbook(name, labels, "kim", dry_run)
    bench.rest()
    return found


def rows(bench: Bench) -> int:
    """Return how many rows all tables have, those that the program keeps for itself aside."""
    assert bench.app is not None
    with bench.app.store.read() as reader:
        connection = reader._connection
        names = ("occurrence", "remediation", "step", "decision", "evidence", "event", "approval", "delivery", "lock")
        return sum(connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names)


def test_what_a_person_asks_for_is_done_once_and_kept_with_who_asked(bench: Bench, act: Act) -> None:
    found = run(bench, "by_hand", item="a")

    assert bench.states() == [("succeeded", "proof_not_asked")]
    assert bench.remediations()[0]["verdict"] == "not_asked"
    assert len(act.ran) == 1
    assert found["remediation"]["id"] == bench.remediations()[0]["id"]
    told = [event for event in bench.detail()["events"] if event["kind"] == "manual"]
    assert [event["detail"]["who"] for event in told] == ["kim"]
    (occurrence,) = bench.alerts()
    assert occurrence["fingerprint"].startswith("manual-")
    assert (occurrence["status"], occurrence["fate"]) == ("resolved", "succeeded")


def test_two_of_them_are_two_occurrences(bench: Bench, act: Act) -> None:
    run(bench, "by_hand", item="a")
    run(bench, "by_hand", item="a")

    assert len({each["fingerprint"] for each in bench.alerts()}) == 2
    assert len(act.ran) == 2


@pytest.mark.parametrize("name", ["by_hand", "shy", "asking", "asked_when"])
def test_a_dry_run_tells_what_every_guard_says_and_stores_nothing(bench: Bench, act: Act, name: str) -> None:
    before = rows(bench)

    tried = run(bench, name, dry_run=True, item="a")["dry_run"]

    assert rows(bench) == before
    assert act.ran == []
    expected = {
        "by_hand": ("allow", "allowed"),
        "shy": ("deny", "observe_mode"),
        "asking": ("hold", "approval_needed"),
        "asked_when": ("deny", "self_resolved"),
    }
    assert (tried["answer"], tried["reason"]) == expected[name]
    assert {"pause", "owner", "approval", "mode"} <= {each["guard"] for each in tried["answers"]}
    assert tried["target"] == "h1/item:a"
    assert tried["labels"] == {"item": "a", "instance": INSTANCE}
    assert (tried["plan"] is None) is (name == "asked_when")


def test_the_guards_hold_for_people_too(bench: Bench, act: Act) -> None:
    path = bench.folder / "state" / pause.NAME
    pause.write(path, Pause("lee", "a deployment", None))
    run(bench, "by_hand", item="a")

    assert bench.states() == [("held", "paused")]
    pause.clear(path)
    bench.advance(6)
    assert len(act.ran) == 1


def test_a_playbook_that_only_observes_does_so_for_people_too(bench: Bench, act: Act) -> None:
    run(bench, "shy", item="a")

    assert bench.states() == [("observed", "observe_mode")]
    assert act.ran == []


def test_a_playbook_that_asks_first_asks_somebody(bench: Bench, act: Act) -> None:
    assert bench.app is not None
    run(bench, "asking", item="a")

    assert bench.states() == [("held", "approval_needed")]
    assert len(bench.app.approvals(50, None, "open")["items"]) == 1


@pytest.mark.parametrize("needed", [True, False])
def test_when_says_whether_it_is_needed(bench: Bench, sources: Sources, act: Act, needed: bool) -> None:
    sources.firing = [alert()] if needed else []
    run(bench, "asked_when", item="a")

    assert bench.states() == [("succeeded", "proof_not_asked") if needed else ("skipped", "self_resolved")]
    assert len(act.ran) == needed


@pytest.mark.parametrize("needed", [True, False])
def test_without_when_the_alerts_own_rule_says_it(bench: Bench, sources: Sources, act: Act, needed: bool) -> None:
    # the person need not write all labels: the alert that Prometheus has is the one that is meant
    sources.firing = [alert(zone="z")] if needed else []
    run(bench, "ruled", item="a")

    assert bench.states()[0][0] == ("succeeded" if needed else "skipped")
    assert len(act.ran) == needed
    if needed:
        assert bench.remediations()[0]["alert"]["labels"]["zone"] == "z"


def test_labels_that_fit_several_alerts_are_told_apart_first(bench: Bench, sources: Sources) -> None:
    sources.firing = [alert("a"), alert("b")]

    with pytest.raises(CannotRun, match=r"2 alerts fit, give more labels: .*item=a.*; .*item=b"):
        run(bench, "ruled")


@pytest.mark.parametrize(
    ("name", "labels", "what"),
    [
        ("nobody", {}, "there is no playbook 'nobody'"),
        (
            "by_hand",
            {},
            r"by_hand: target.item: .*labels.item .* is missing or empty on this alert; give it with --label",
        ),
        ("by_hand", {"item": "a\nb"}, "control characters"),
        ("by_hand", {"item": "x" * 2_000}, "longer than 1024"),
        ("by_hand", {"not a label": "a"}, "is no label"),
        ("ruled", {"alertname": "Other", "item": "a"}, "is not for the alert 'Other'"),
        ("by_hand", {f"l{number}": "x" for number in range(65)}, "at most 64 labels"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_remedy(
    bench: Bench, name: str, labels: dict[str, str], what: str
) -> None:
    with pytest.raises(CannotRun, match=what):
        run(bench, name, **labels)

    assert bench.remediations() == []


@pytest.mark.parametrize("after", ["a restart", "a reload", "a day"])
def test_it_is_never_done_again_by_itself(bench: Bench, act: Act, after: str) -> None:
    run(bench, "shy", item="a")
    run(bench, "by_hand", item="a")
    assert bench.app is not None
    if after == "a restart":
        bench.stop()
        bench.start(BY_HAND, WHEN, RULED, SHY, ASKING, ELSEWHERE)
    elif after == "a reload":
        bench.write(BY_HAND, WHEN, RULED, SHY.replace("verify", "mode: auto\nverify"), ASKING, ELSEWHERE)
        bench.app.reload()
    bench.advance(86_400.0 if after == "a day" else 31)

    assert len(bench.remediations()) == 2
    assert len(act.ran) == 1


def elsewhere(name: str, status: str = "firing") -> Alert:
    labels = {"alertname": name, "instance": INSTANCE, "item": "a"}
    return Alert(status, labels, {}, 1_699_999_990.0, "fe")


def test_an_alert_from_elsewhere_is_over_when_what_is_declared_says_so(
    bench: Bench, sources: Sources, clock: ManualClock
) -> None:
    pause.write(bench.folder / "state" / pause.NAME, Pause("lee", "a deployment", None))
    sources.firing = [elsewhere("Elsewhere")]
    bench.deliver(elsewhere("Elsewhere"))
    bench.advance(61)

    assert bench.states() == [("held", "paused")]
    assert bench.alerts()[0]["closed_at"] is None
    sources.firing = []
    bench.advance(31)
    assert bench.alerts()[0]["closed_at"] is not None
    assert bench.states() == [("cancelled", "resolved")]


def test_an_alert_that_nothing_here_can_tell_of_is_over_when_nobody_repeats_it(bench: Bench) -> None:
    bench.write(BY_HAND, WHEN, RULED, SHY, ASKING, ELSEWHERE.replace("when:", "#"))
    assert bench.app is not None
    bench.app.reload()
    bench.deliver(elsewhere("Elsewhere"))
    bench.advance(7_200)

    assert bench.alerts()[0]["fate"] == "needs_declared_proof"
    assert bench.alerts()[0]["closed_at"] is None
    bench.advance(86_400)
    assert bench.alerts()[0]["closed_at"] is not None
