"""What a replay came to, as plain values: for `--json`, and for the tables that a person reads."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from remediator.model import Json
from remediator.replay.recording import Recording
from remediator.replay.tally import Came, Furthest, Tally
from selfheal.common.clock import to_rfc3339

HOUR = 3_600.0
NEW, GONE = "newly_runs", "stops_running"
CHANGED = "changed"


def told_recording(recording: Recording) -> Json:
    """Return what was replayed."""
    return {
        "source": recording.source.value,
        "from": to_rfc3339(recording.begins),
        "to": to_rfc3339(recording.ends),
        "step_seconds": recording.step,
        "series": len(recording.series),
        "occurrences": recording.occurrences(),
        "instances": len(recording.instances()),
        "malformed": recording.malformed,
        "gaps": [
            {"from": to_rfc3339(gap.begin), "to": to_rfc3339(gap.end), "seconds": round(gap.end - gap.begin, 3)}
            for gap in recording.gaps
        ],
    }


def told_tally(tally: Tally) -> Json:
    """Return what one scenario came to."""
    return {
        "decisions": tally.decisions,
        "playbooks": [{"playbook": name, **asdict(counted)} for name, counted in sorted(tally.playbooks.items())],
        "guards": [
            {**asdict(said), **asdict(stopped) | {"seconds": round(stopped.seconds, 3)}}
            for said, stopped in sorted(tally.guards.items())
        ],
        "peak": {"under_way": tally.peak, "at": to_rfc3339(tally.peak_at) if tally.peak else None},
        "peak_alerts": tally.peak_on,
        "worst_hour": _worst_hour(tally),
        "longest_hold": _longest_hold(tally),
        "to_people": [
            {"reason": str(reason), "alert": alert, "count": count}
            for (reason, alert), count in sorted(tally.to_people.items())
        ],
        "undecided": [
            {"reason": reason, "alert": alert, "count": count}
            for (reason, alert), count in sorted(tally.undecided.items())
        ],
        "uncovered": [{"alert": alert, "count": count} for alert, count in sorted(tally.uncovered.items())],
        "breakers": [{"breaker": name, "opened": count} for name, count in sorted(tally.breakers.items())],
        "demotions": [
            {"playbook": playbook, "mode": mode, "at": to_rfc3339(at)} for playbook, mode, at in tally.demotions
        ],
        "under_way": tally.under_way,
    }


def difference(before: Tally, after: Tally) -> list[Json]:
    """Given what two sets of playbooks came to over one recording, return per alert what would be otherwise."""
    counted: Counter[tuple[str, Furthest, Furthest]] = Counter()
    # both were told of the same alerts
    for key, now in after.came.items():
        if (then := before.came[key]) != now:
            counted[after.names[key[0]], then, now] += 1
    return [
        {
            "change": _change(then[0], now[0]),
            "alert": alert,
            "before": {"came": then[0].value, "playbooks": list(then[1])},
            "after": {"came": now[0].value, "playbooks": list(now[1])},
            "count": count,
        }
        for (alert, then, now), count in sorted(counted.items())
    ]


def _change(then: Came, now: Came) -> str:
    if (then is Came.RAN) is (now is Came.RAN):
        return CHANGED
    return NEW if now is Came.RAN else GONE


def _worst_hour(tally: Tally) -> Json | None:
    """Return the sixty minutes in which most was begun; where nothing was, those in which most alerts began."""
    marks = tally.starts or tally.alert_starts
    if not marks:
        return None
    begin = max(marks, key=lambda at: _within_an_hour(marks, at))
    return {
        "from": to_rfc3339(begin),
        "begun": _within_an_hour(tally.starts, begin),
        "alerts": _within_an_hour(tally.alert_starts, begin),
    }


def _within_an_hour(times: Sequence[float], begin: float) -> int:
    return bisect_left(times, begin + HOUR) - bisect_left(times, begin)


def _longest_hold(tally: Tally) -> Json | None:
    hold = tally.longest
    if hold is None:
        return None
    return asdict(hold) | {
        "reasons": list(hold.reasons),
        "begin": to_rfc3339(hold.begin),
        "seconds": round(hold.seconds, 3),
    }
