"""How far each playbook may go by what it has shown: rungs in force, shadow decisions, proposals, people's word.

Runs are judged, and rungs taken away, where their ends are stored: `remediator.store.judging`.
"""

from remediator.trust.people import NotTrusted, demote, promote
from remediator.trust.rungs import Rungs
from remediator.trust.told import told, told_all
from remediator.trust.turn import Trust

__all__ = ["NotTrusted", "Rungs", "Trust", "demote", "promote", "told", "told_all"]
