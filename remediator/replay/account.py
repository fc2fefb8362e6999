"""The whole answer of a replay: what was replayed, what was assumed, every scenario, what another set would do."""

from __future__ import annotations

from remediator.model import Json
from remediator.replay.assumptions import assumptions
from remediator.replay.evidence import Known
from remediator.replay.groups import asks
from remediator.replay.recording import Recording, Source
from remediator.replay.report import difference, told_recording
from remediator.replay.scenarios import Told, replay, scenarios
from remediator.replay.stage import Setting


def account(
    recording: Recording,
    known: Known,
    sets: tuple[Setting, ...],
    approve_after: float,
    told: Told = lambda _: None,
) -> Json:
    """Given what to replay and one or two settings, the one that is asked about first, return what they come to.

    `approve_after` is how many seconds a person takes to say yes. Raise NotReadable if Prometheus stops answering.
    """
    setting, *others = sets
    groups = recording.source is Source.PROMETHEUS and any(asks(each) for each in sets)
    wanted = scenarios(sets, approve_after, groups)
    parts = len(sets)
    after = replay(recording, setting, known, wanted, lambda done: told(done / parts))
    answer = told_recording(recording)
    answer["hosts"] = len(recording.instances()) if setting.every_host else 1
    answer["assumptions"] = assumptions(recording, sets, approve_after)
    answer["scenarios"] = [each.to_json() for each in after]
    for other in others:
        before = replay(recording, other, known, wanted, lambda done: told((1 + done) / parts))
        answer["against"] = [
            {**new.scenario.to_json(), "differences": difference(old.tally, new.tally)}
            for old, new in zip(before, after, strict=True)
        ]
    return answer
