"""How far what tells of alerts can be trusted: the limits, and what was found of them for one decision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MonitoringLimits:
    """From when on alerts are taken for a fault of the monitoring, not of what is monitored."""

    targets: int = 5
    """Distinct instances whose alerts begin together, and …"""
    share: float = 0.25
    """… at least this part of the targets that were up within the last hour."""
    within: float = 120.0
    """Seconds in which alerts that begin together begin."""
    scrape_gap: int = 3
    """Scrape intervals without a sample; 0: gaps are not asked for."""
    after_restart: float = 120.0
    """Seconds after a restart of Prometheus or a reload of its rules; 0: neither is asked for."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What is known against the monitoring behind one alert; without anything it is whole."""

    limits: MonitoringLimits = MonitoringLimits()
    begun: int = 0
    """Distinct instances of which alerts began within `limits.within` seconds, this one's among them."""
    up: int | None = None
    """Instances that were up within the last hour; None where nothing depends on it, or nobody answers."""
    gap: float = 0.0
    """Scrape intervals that the alert's own target, or Prometheus altogether, has been without a sample."""
    gap_of: str = ""
    """Whose gap that is: `instance` as scraped, or `prometheus`."""
    restarted: float | None = None
    """Seconds since Prometheus started; None where it does not tell."""
    reloaded: float | None = None
    """Seconds since its configuration and rules were last loaded; None where it does not tell."""
    blind: bool = False
    """What was asked got no usable answer."""
