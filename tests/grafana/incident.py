"""A scripted day as OpenMetrics text: hosts fall ill, alerts fire, remediations end well and badly, things restart.

The last six hours before END hold everything; an hour after START all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

# 2026-02-01T06:00:00Z, and six hours before
END = 1_769_925_600
START = END - 6 * 3600
WELL = START + 3600

REMEDIATOR = 'job="selfheal-remediator", instance="127.0.0.1:9977"'
WEB1 = 'job="selfheal-exporter", instance="web-1:9976"'
WEB2 = 'job="selfheal-exporter", instance="web-2:9976"'
# a site that calls its scrape job otherwise
DB1 = 'job="hosts", instance="db-1:9100"'
SHOP = 'job="shop", instance="web-1:80", service="shop"'

Value = Callable[[float], float | None]

# alertname, severity, further labels, minute it became active, minute of firing, minute it ended (None: not yet)
ALERTS = [
    ("ProcessMemoryLeak", "warning", f'{WEB1}, groupname="worker"', 298, 300, 303),
    ("ProcessSpinning", "warning", f'{WEB2}, groupname="worker"', 318, 320, 325),
    ("DirectoryTooLarge", "warning", f'{WEB1}, directory="/var/spool/app"', 350, 350, None),
    ("HostCpuHigh", "warning", DB1, 343, 348, None),
    ("ServiceDown", "critical", SHOP, 354, 354.5, None),
    ("TargetDown", "high", WEB2, 355, 357, None),
    ("DiskFilling", "high", f'{WEB1}, mountpoint="/"', 340, 350, None),
    ("ServiceDown", "critical", f'{WEB1}, service="cron"', 352, 352.5, None),
    ("MemoryReliefConservative", "goal", WEB1, 352, 354, 356),
    ("Watchdog", "none", "", -60, -60, None),
]

# metric, labels, minutes at which it counted one; the remediator restarts in minute 340 and counts from 0 again
EVENTS = [
    ("selfheal_verdicts_total", 'playbook="restart_leaking_worker", verdict="fixed"', [302, 352]),
    ("selfheal_verdicts_total", 'playbook="restart_spinning_worker", verdict="unproven"', [325]),
    ("selfheal_verdicts_total", 'playbook="restart_spinning_worker", verdict="worse"', []),
    ("selfheal_verdicts_total", 'playbook="restart_service", verdict="not_asked"', [330]),
    ("selfheal_decisions_total", 'reason="allowed"', [301, 321, 351]),
    ("selfheal_decisions_total", 'reason="observe_mode"', [350, 351, 352]),
    ("selfheal_decisions_total", 'reason="cooldown"', [353]),
    ("selfheal_decisions_total", 'reason="rate_limited"', []),
]
RESTART = 340


def page(interval: int) -> str:
    """Return every sample of the incident, scraped every `interval` seconds, as OpenMetrics."""
    lines = []
    for series, value in _series():
        for at in range(START, END + 1, interval):
            found = value((at - START) / 60)
            if found is not None:
                # this format allows no space between labels
                lines.append(f"{series.replace(', ', ',')} {found:.13g} {at}")
    return "\n".join([*lines, "# EOF", ""])


def _series() -> Iterator[tuple[str, Value]]:
    yield from _hosts()
    yield from _alerts()
    yield from _remediator()


def _hosts() -> Iterator[tuple[str, Value]]:
    for labels in (WEB1, DB1, REMEDIATOR, 'job="prometheus", instance="127.0.0.1:9090"'):
        yield f"up{{{labels}}}", lambda minute: 1
    yield f"up{{{WEB2}}}", lambda minute: 0 if minute >= 355 else 1
    yield f"up{{{SHOP}}}", lambda minute: 0 if minute >= 354 else 1
    yield f"instance:cpu_used:ratio{{{WEB1}}}", lambda minute: 0.2 + 0.1 * (minute % 30) / 30
    # no scrape for ten minutes, and none once it is down
    yield f"instance:cpu_used:ratio{{{WEB2}}}", lambda minute: None if 200 <= minute < 210 or minute >= 355 else 0.3
    yield f"instance:cpu_used:ratio{{{DB1}}}", lambda minute: 0.97 if minute >= 343 else 0.4
    yield f"instance:memory_used:ratio{{{WEB1}}}", lambda minute: 0.8 if 290 <= minute < 302 else 0.5
    yield f"instance:memory_used:ratio{{{WEB2}}}", lambda minute: None if minute >= 355 else 0.4
    yield f"instance:memory_used:ratio{{{DB1}}}", lambda minute: 0.7
    yield 'selfheal:threshold{check="cpu_used", level="warning", instance="db-1:9100"}', lambda minute: 0.95
    yield 'selfheal:threshold{check="memory_used", level="warning", instance="db-1:9100"}', lambda minute: 0.95


def _alerts() -> Iterator[tuple[str, Value]]:
    for name, severity, further, active, firing, ended in ALERTS:
        labels = ", ".join(filter(None, [f'alertname="{name}", severity="{severity}"', further]))
        last = 1e9 if ended is None else ended
        since = START + active * 60
        yield f"ALERTS_FOR_STATE{{{labels}}}", _between(active, last, since)
        yield f'ALERTS{{{labels}, alertstate="pending"}}', _between(active, firing, 1)
        yield f'ALERTS{{{labels}, alertstate="firing"}}', _between(firing, last, 1)


def _remediator() -> Iterator[tuple[str, Value]]:
    for metric, labels, minutes in EVENTS:
        yield f"{metric}{{{REMEDIATOR}, {labels}}}", _count(minutes)
    for state in ("pending", "held", "running", "undoing", "verifying", "watching", "unknown"):
        busy = {"running": (300, 302), "held": (350, 1e9), "watching": (302, 345)}.get(state, (1e9, 1e9))
        yield f'selfheal_remediations{{{REMEDIATOR}, state="{state}"}}', _gauge(*busy)
    for verdict, minute in (("fixed", 352), ("unproven", 325)):
        labels = f'{REMEDIATOR}, playbook="restart_leaking_worker", verdict="{verdict}"'
        ended = START + minute * 60 + 7
        yield f"selfheal_last_remediation_timestamp_seconds{{{labels}}}", _from(minute + 0.2, ended)
    marked = f'{REMEDIATOR}, playbook="restart_leaking_worker", target="web-1/process_group:worker", text="restarted"'
    shown = _between(351.2, 411, START + 351 * 60 + 2)
    yield f"selfheal_annotation_timestamp_seconds{{{marked}}}", shown


def _between(begin: float, end: float, value: float) -> Value:
    return lambda minute: value if begin <= minute < end else None


def _gauge(begin: float, end: float) -> Value:
    return lambda minute: 1 if begin <= minute < end else 0


def _from(begin: float, value: float) -> Value:
    return lambda minute: value if minute >= begin else 0


def _count(minutes: list[int]) -> Value:
    def value(minute: float) -> float:
        since = RESTART if minute >= RESTART else 0
        return sum(1 for at in minutes if since <= at <= minute)

    return value
