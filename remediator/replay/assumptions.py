"""What history cannot tell, by key: the words stand in the locale as `replay.assumed.<key>`."""

from __future__ import annotations

from collections.abc import Sequence

from remediator.model import Json
from remediator.replay.recording import Recording, Source
from remediator.replay.scenarios import asks_people, runs
from remediator.replay.stage import Setting

ALWAYS = ("delivered", "silences", "pauses", "plans", "actions", "proof", "diagnoses", "beginning")


def assumptions(recording: Recording, sets: Sequence[Setting], approve_after: float) -> list[Json]:
    """Return each with the fields of its words, in the order in which they are told."""
    limits = [each.limits.blast_radius for setting in sets for each in setting.playbooks if each.limits.blast_radius]
    found: list[Json] = [{"key": "healing"}]
    if any(asks_people(each) for each in sets):
        found.append({"key": "approvals", "after_seconds": approve_after})
    found += [{"key": key} for key in ALWAYS]
    if any(runs(each) for each in sets):
        found.append({"key": "demoted"})
    if recording.on_before():
        found.append({"key": "on_before", "count": recording.on_before()})
    asked = recording.source is Source.PROMETHEUS
    found.append({"key": "rules_now" if asked else "rules_unknown"})
    if recording.source is not Source.DELIVERIES:
        found.append({"key": "annotations_now" if asked else "annotations_unknown"})
    else:
        found.append({"key": "never_resolved"})
    if not asked:
        found.append({"key": "groups_unknown", "instances": len(recording.instances())})
    if any(radius.quorum for radius in limits) and not asked:
        found.append({"key": "quorum_unknown"})
    if recording.malformed:
        found.append({"key": "malformed", "count": recording.malformed})
    if recording.truncated:
        found.append({"key": "truncated", "count": recording.truncated})
    if recording.gaps:
        seconds = sum(gap.end - gap.begin for gap in recording.gaps)
        found.append({"key": "gaps", "count": len(recording.gaps), "seconds": round(seconds, 3)})
    if sets[0].every_host:
        found.append({"key": "every_host", "count": len(sets[0].every_host)})
    return found
