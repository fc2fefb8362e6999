"""The one who asks: which rule is it, does it fire, is it silenced, are the samples fresh, is it proven healthy?

Answers come from the configured Prometheus and Alertmanager, never from a URL or value in a payload.
"""

from remediator.evidence.evidence import Evidence
from remediator.evidence.proof import Health
from remediator.evidence.rules import FrozenRule, Trouble
from remediator.evidence.samples import Samples, quantities, remember, worsened
from remediator.evidence.scraping import Scraping

__all__ = ["Evidence", "FrozenRule", "Health", "Samples", "Scraping", "Trouble", "quantities", "remember", "worsened"]
