"""Replays a recording under every assumption that history leaves open: both bounds of healing, both of approvals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remediator.model import Json, Mode
from remediator.model.trust import lowest
from remediator.replay.evidence import Known
from remediator.replay.recording import Recording
from remediator.replay.report import told_tally
from remediator.replay.simulation import Scenario, Simulation
from remediator.replay.stage import Setting
from remediator.replay.tally import Tally
from remediator.replay.world import Healing

Told = Callable[[float], None]
"""Told from 0 to 1 how much is done."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One scenario and what it came to."""

    scenario: Scenario
    tally: Tally

    def to_json(self) -> Json:
        """Return it as plain values."""
        return {**self.scenario.to_json(), **told_tally(self.tally)}


def asks_people(setting: Setting) -> bool:
    """Say whether any playbook would ask a person: else it makes no difference what they answer."""
    return Mode.APPROVE in _modes(setting)


def runs(setting: Setting) -> bool:
    """Say whether any playbook would run unasked: if it is demoted, it asks from then on."""
    return Mode.AUTO in _modes(setting)


def _modes(setting: Setting) -> set[Mode]:
    return {lowest(each.mode, setting.config.highest_mode) for each in setting.playbooks}


def scenarios(sets: Sequence[Setting], approve_after: float, asks_groups: bool = False) -> tuple[Scenario, ...]:
    """Return what is to be told apart: whether actions heal, and, where it matters, whether people say yes."""
    answers = (approve_after, None) if any(asks_people(each) for each in sets) else (None,)
    return tuple(Scenario(healing, answer, asks_groups) for healing in Healing for answer in answers)


def replay(
    recording: Recording, setting: Setting, known: Known, wanted: tuple[Scenario, ...], told: Told = lambda _: None
) -> tuple[Replayed, ...]:
    """Run each scenario over the recording, one after the other; nothing outside of this process is touched."""
    found = []
    for number, scenario in enumerate(wanted, 1):
        found.append(Replayed(scenario, Simulation(recording, setting, known, scenario).run()))
        told(number / len(wanted))
    return tuple(found)
