"""What the policy would have done: recorded alerts run through the real decisions on a simulated clock.

Nothing is touched: the stages, guards and limits are the product's own, the store is in memory, evidence answers from
the recording, and the dispatch does nothing.
"""

from remediator.replay.account import account
from remediator.replay.evidence import Known, members
from remediator.replay.problems import NotReadable
from remediator.replay.recording import Period, Recording, Series, Source
from remediator.replay.scenarios import Replayed, replay, scenarios
from remediator.replay.simulation import Scenario
from remediator.replay.stage import Setting
from remediator.replay.world import Healing

__all__ = [
    "Healing",
    "Known",
    "NotReadable",
    "Period",
    "Recording",
    "Replayed",
    "Scenario",
    "Series",
    "Setting",
    "Source",
    "account",
    "members",
    "replay",
    "scenarios",
]
