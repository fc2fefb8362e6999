"""The remediator's own metrics: a literal table, every known label value initialised to 0, gauges read when scraped.

Nothing else registers a metric; who counts says `count("decisions", reason="cooldown")` by the table's short names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from remediator.model import ENDS, LIVE, LOCKED, Mode, Reason, State, Verdict
from remediator.policy import Door
from remediator.store import Mark

logger = logging.getLogger(__name__)

RECOVERY_BUCKETS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)
"""Seconds from the alert's start to the proof."""

DELIVERY_RESULTS = ("stored", "malformed", "too_large", "unauthorized", "unavailable")
ALERT_STATUSES = ("firing", "resolved", "malformed")
STAGES = ("receive", "decide", "run", "verify", "announce", "reconcile", "watchdog", "audit", "selftest", "trust")
SOURCES = ("prometheus", "alertmanager")
HELD_STATES = tuple(sorted(LIVE | {State.WATCHING}))

_PREFIX = "selfheal_"

COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "deliveries": ("deliveries", "Webhook requests by what became of them.", ("result",)),
    "alerts": ("alerts", "Alerts received, one by one.", ("status",)),
    "decisions": ("decisions", "Decisions and moves by reason.", ("reason",)),
    "remediations_ended": ("remediations_ended", "Remediations by how they ended.", ("playbook", "state")),
    "verdicts": ("verdicts", "Ended remediations by what was proven.", ("playbook", "verdict")),
    "stage_errors": ("stage_errors", "Unexpected errors by stage; each is logged.", ("stage",)),
    "store_errors": ("store_errors", "Writes that the store could not take.", ()),
    "watchdog_deliveries": ("watchdog_deliveries", "Deliveries of the alert that always fires.", ()),
    "trust_demotions": ("trust_demotions", "Rungs taken from the playbook, by itself or by a person.", ("playbook",)),
    "refused": ("remediator_refused", "Attempts that a door to the host refused.", ("door",)),
    "evidence_errors": ("evidence_errors", "Questions that got no usable answer.", ("source",)),
}
"""Short name: (metric without prefix and `_total`, help, labels)."""

GAUGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "last_remediation": (
        "last_remediation_timestamp_seconds",
        "When the last remediation of the playbook ended so.",
        ("playbook", "verdict"),
    ),
    "playbook_mode": ("playbook_mode", "1 for the mode the playbook is in, else 0.", ("playbook", "mode")),
    "trust_proposed": (
        "trust_promotion_proposed",
        "1 while the playbook has earned the next mode and a person's word is awaited.",
        ("playbook",),
    ),
    "config_last_reload_successful": (
        "config_last_reload_successful",
        "Whether the last reading of the configuration succeeded.",
        (),
    ),
    "config_last_reload": (
        "config_last_reload_success_timestamp_seconds",
        "When the configuration was last read successfully.",
        (),
    ),
    "watchdog_last_seen": (
        "watchdog_last_seen_timestamp_seconds",
        "When the Watchdog alert was last delivered; 0 before the first.",
        (),
    ),
    "breaker_open": (
        "remediator_breaker_open",
        "1 while the circuit breaker over the playbook is open.",
        ("playbook",),
    ),
    "audit_broken": ("remediator_audit_broken", "1 while the history is known to have been altered.", ()),
    "audit_verified": (
        "remediator_audit_last_verified_timestamp_seconds",
        "When the whole history was last verified; 0 before the first time.",
        (),
    ),
    "selftest_wanted": ("remediator_selftest_wanted", "1 while a self-test wants its alert to fire.", ()),
    "selftest_passed": ("remediator_selftest_passed", "1 if the last self-test passed.", ()),
    "selftest_last_success": (
        "remediator_selftest_last_success_timestamp_seconds",
        "When a self-test last passed; 0 before the first.",
        (),
    ),
    "selftest_duration": ("remediator_selftest_duration_seconds", "How long the last passed self-test took.", ()),
    "selftest_leg": (
        "remediator_selftest_leg_duration_seconds",
        "How long each leg of the last passed self-test took.",
        ("leg",),
    ),
}
"""Short name: (metric without prefix, help, labels)."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the gauges of the moment are read from when somebody scrapes."""

    live: Callable[[], Mapping[str, int]]
    """Remediations by state; absent states count as 0."""
    queue_depth: Callable[[], int]
    queue_oldest_seconds: Callable[[], float]
    paused: Callable[[], bool]
    under_way: Callable[[], Mapping[str, float]] = dict
    """Seconds since the first intent of the oldest remediation, by state that holds a lock."""
    last_verified: Callable[[], float] = float
    """When something was last proven healed, seconds since the epoch; 0 if never."""
    failed_since: Callable[[], float] = float
    """Remediations that ended failed or ineffective since then."""
    root_causes: Callable[[], int] = int
    """Targets that are healed again and again by the same playbook."""
    selftest_age: Callable[[], float | None] = lambda: None
    """Seconds since a self-test last passed; None where none runs by the clock."""
    marks: Callable[[], Iterable[Mark]] = tuple
    """What playbooks marked lately: a few, each with another text."""


class Metrics:
    """All metrics of one remediator, in a registry of its own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._counters = {
            short: Counter(_PREFIX + name, text, labels, registry=self.registry)
            for short, (name, text, labels) in COUNTERS.items()
        }
        self._gauges = {
            short: Gauge(_PREFIX + name, text, labels, registry=self.registry)
            for short, (name, text, labels) in GAUGES.items()
        }
        self._recovery = Histogram(
            _PREFIX + "recovery_seconds",
            "Seconds from the alert's start to the proof that it is healed.",
            ("playbook",),
            buckets=RECOVERY_BUCKETS,
            registry=self.registry,
        )
        info = Gauge(_PREFIX + "build_info", "1, with the version.", ("version",), registry=self.registry)
        info.labels(version=version).set(1)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        for short, label, values in (
            ("deliveries", "result", DELIVERY_RESULTS),
            ("alerts", "status", ALERT_STATUSES),
            ("decisions", "reason", tuple(Reason)),
            ("stage_errors", "stage", STAGES),
            ("evidence_errors", "source", SOURCES),
            ("refused", "door", tuple(Door)),
        ):
            for value in values:
                self._counters[short].labels(**{label: str(value)})

    def count(self, metric: str, **labels: str) -> None:
        """Add one to the counter with this short name. Raise KeyError if there is none."""
        counter = self._counters[metric]
        (counter.labels(**labels) if labels else counter).inc()

    def observe(self, metric: str, value: float, **labels: str) -> None:
        """Set the gauge, or add to the histogram, with this short name. Raise KeyError if there is none."""
        if metric == "recovery_seconds":
            self._recovery.labels(**labels).observe(value)
            return
        gauge = self._gauges[metric]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def show_playbooks(self, modes: Mapping[str, Mode]) -> None:
        """Given the playbooks in force and their effective modes, show them, their counters beginning at 0."""
        self._gauges["playbook_mode"].clear()
        self._gauges["trust_proposed"].clear()
        for playbook, mode in modes.items():
            for each in Mode:
                self.observe("playbook_mode", float(each is mode), playbook=playbook, mode=each.value)
            self.observe("trust_proposed", 0.0, playbook=playbook)
            self._counters["trust_demotions"].labels(playbook=playbook)
            for state in sorted(ENDS):
                self._counters["remediations_ended"].labels(playbook=playbook, state=state.value)
            for verdict in Verdict:
                self._counters["verdicts"].labels(playbook=playbook, verdict=verdict.value)
            self._recovery.labels(playbook=playbook)

    def read_from(self, readings: Readings) -> None:
        """Let the gauges of the moment be read from `readings` at every scrape. Call it once."""
        self.registry.register(_Moment(readings))

    def render(self) -> bytes:
        """Return the page in Prometheus's text format."""
        return generate_latest(self.registry)


class _Moment(Collector):
    """Gauges that are asked when scraped; one that cannot be asked is absent, the others still come."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not ask the store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Ask each gauge."""
        families = (
            self._live,
            self._depth,
            self._oldest,
            self._paused,
            self._under_way,
            self._last_verified,
            self._failed_since,
            self._root_causes,
            self._selftest_age,
            self._marks,
        )
        for family in families:
            try:
                yield family()
            except Exception:
                # a border: a broken reading must not take the page away; its absence is what an alert sees
                logger.warning("gauge not readable", exc_info=True, extra={"gauge": family.__name__.lstrip("_")})

    def _live(self) -> Metric:
        counts = self._readings.live()
        family = GaugeMetricFamily(_PREFIX + "remediations", "Remediations under way, by state.", labels=["state"])
        for state in HELD_STATES:
            family.add_metric([state.value], counts.get(state.value, 0))
        return family

    def _depth(self) -> Metric:
        value = self._readings.queue_depth()
        return GaugeMetricFamily(_PREFIX + "queue_depth", "Rows of work that are due and not begun.", value=value)

    def _oldest(self) -> Metric:
        value = self._readings.queue_oldest_seconds()
        return GaugeMetricFamily(_PREFIX + "queue_oldest_seconds", "How long the oldest due row has waited.", value)

    def _paused(self) -> Metric:
        value = float(self._readings.paused())
        return GaugeMetricFamily(_PREFIX + "paused", "1 while remediation is paused.", value=value)

    def _root_causes(self) -> Metric:
        value = self._readings.root_causes()
        text = "Targets that a playbook healed as often as `repeats` allows: people must find the cause."
        return GaugeMetricFamily(_PREFIX + "remediator_root_cause_candidates", text, value=value)

    def _under_way(self) -> Metric:
        seconds = self._readings.under_way()
        family = GaugeMetricFamily(
            _PREFIX + "remediator_under_way_oldest_seconds",
            "Seconds since the first intent of the oldest remediation in the state; 0 without any.",
            labels=["state"],
        )
        for state in sorted(LOCKED):
            family.add_metric([state.value], seconds.get(state.value, 0.0))
        return family

    def _last_verified(self) -> Metric:
        value = self._readings.last_verified()
        text = "When something was last proven healed; 0 if never."
        return GaugeMetricFamily(_PREFIX + "remediator_last_verified_heal_timestamp_seconds", text, value)

    def _failed_since(self) -> Metric:
        value = self._readings.failed_since()
        text = "Remediations that ended failed or ineffective since something was last proven healed, at most 1,000."
        return GaugeMetricFamily(_PREFIX + "remediator_unhealed_in_a_row", text, value)

    def _selftest_age(self) -> Metric:
        value = self._readings.selftest_age()
        text = "Seconds since a self-test last passed; only where it runs by the clock."
        family = GaugeMetricFamily(_PREFIX + "remediator_selftest_age_seconds", text)
        if value is not None:
            family.add_metric([], value)
        return family

    def _marks(self) -> Metric:
        text = "When a playbook marked a moment with this text; the newest 20 of the last hour."
        labels = ["playbook", "target", "text"]
        family = GaugeMetricFamily(_PREFIX + "annotation_timestamp_seconds", text, labels=labels)
        for mark in self._readings.marks():
            family.add_metric([mark.playbook, mark.target, mark.text], mark.at)
        return family
