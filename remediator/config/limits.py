"""The sections of the configuration file that say from when on remediation holds back by itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from remediator.config import DEFAULT_REPEATS
from remediator.model import BreakerLimits, MonitoringLimits, Rate
from remediator.model.trust import NOT_FIXED
from selfheal.common.documents import Duration, Section, told


def _share(value: Any) -> float:
    text = value.strip() if isinstance(value, str) else ""
    number = text.removesuffix("%")
    # three digits at most: nothing that float() would read in another way
    if text == number or not number.isascii() or not number.isdigit() or not 1 <= int(number[:4]) <= 100:
        told("must be a share from 1% to 100%", "write for example 25%")
    return int(number) / 100


def _positive(value: float) -> float:
    if value <= 0:
        told("must be longer than 0s", "write for example 2m")
    return value


_Share = Annotated[float, BeforeValidator(_share)]
_Span = Annotated[Duration, AfterValidator(_positive)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class WrittenMonitoring(Section):
    """From when on alerts are taken for a fault of the monitoring."""

    targets: _Count = MonitoringLimits().targets
    share: _Share = MonitoringLimits().share
    within: _Span = MonitoringLimits().within
    scrape_gap: int = Field(default=MonitoringLimits().scrape_gap, ge=0, le=1_000)
    after_restart: Duration = MonitoringLimits().after_restart

    def value(self) -> MonitoringLimits:
        """Return the limits."""
        return MonitoringLimits(self.targets, self.share, self.within, self.scrape_gap, self.after_restart)


class WrittenBreaker(Section):
    """When circuit breakers open, and for how long."""

    window: _Span = BreakerLimits().window
    minimum: _Count = BreakerLimits().minimum
    share: _Share = BreakerLimits().share
    open_for: _Span = BreakerLimits().open_for

    def value(self) -> BreakerLimits:
        """Return the limits."""
        return BreakerLimits(self.window, self.minimum, self.share, self.open_for)


class WrittenTrust(Section):
    """When a playbook loses its rung by itself."""

    not_fixed: _Count = NOT_FIXED


class WrittenRepeats(Section):
    """How often a playbook may heal the same target before people must find the cause."""

    most: _Count = DEFAULT_REPEATS.count
    window: _Span = DEFAULT_REPEATS.window

    def value(self) -> Rate:
        """Return the limit."""
        return Rate(self.most, self.window)
