"""Services asked on their own timers, under blackbox_exporter's names where the meaning is the same."""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Mapping
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.encode import Family, Histogram, Metric
from exporter.refresh import Refresher
from exporter.settings import Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.probe.run import Prober, Verdict

logger = getLogger(__name__)

name = "probe"
text = "answers of services over HTTP, TCP, TLS, DNS and ICMP"
enabled = False

_MOST_THREADS = 8

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _gauge(metric: str, text: str, *labels: str) -> Metric:
    return Metric(metric, "gauge", f"{text} Cached: as the last probe found it.", ("probe", *labels))


_SUCCESS = _gauge("probe_success", "Whether the service answered, and as it should.")
_DURATION = _gauge("probe_duration_seconds", "How long the whole probe took.")
_EARLIEST_EXPIRY = _gauge(
    "probe_ssl_earliest_cert_expiry",
    "When the first of the certificates shown ends, in seconds since the epoch; also of those not trusted.",
)
_CERTIFICATE_INFO = _gauge("selfheal_probe_certificate_info", "1, with the certificate shown.", "fingerprint_sha256")
_TLS_VERSION = _gauge("probe_tls_version_info", "1, with the version of TLS agreed on.", "version")
_TLS_CIPHER = _gauge("probe_tls_cipher_info", "1, with the cipher agreed on.", "cipher")

_FACTS: dict[str, Metric] = {
    "dns_lookup_time": _gauge("probe_dns_lookup_time_seconds", "How long finding the address took."),
    "ip_protocol": _gauge("probe_ip_protocol", "4 or 6: the kind of the address asked; 0 if there was none."),
    "ip_addr_hash": _gauge("probe_ip_addr_hash", "FNV-1a hash of the address asked: it changes when that does."),
    "failed_due_to_regex": _gauge("probe_failed_due_to_regex", "Whether a pattern decided that the probe failed."),
    "http_status_code": _gauge("probe_http_status_code", "Status of the last answer; 0 if there was none."),
    "http_version": _gauge("probe_http_version", "Version of HTTP in the answer; 0 if there was none."),
    "http_content_length": _gauge("probe_http_content_length", "Length that the answer announced; -1 if none."),
    "http_uncompressed_body_length": _gauge("probe_http_uncompressed_body_length", "Bytes of the body read."),
    "http_redirects": _gauge("probe_http_redirects", "Redirects followed."),
    "http_ssl": _gauge("probe_http_ssl", "Whether the last answer came encrypted."),
    "http_last_modified": _gauge(
        "probe_http_last_modified_timestamp_seconds", "The answer's Last-Modified, in seconds since the epoch."
    ),
    "dns_query_succeeded": _gauge("probe_dns_query_succeeded", "Whether an answer came, whatever it said."),
    "dns_answer_rrs": _gauge("probe_dns_answer_rrs", "Records in the section of answers."),
    "dns_authority_rrs": _gauge("probe_dns_authority_rrs", "Records in the section of authorities."),
    "dns_additional_rrs": _gauge("probe_dns_additional_rrs", "Records in the additional section."),
    "dns_flag_ad": _gauge("probe_dns_flag_ad", "Whether the server vouches for the answer's authenticity."),
    "dns_serial": _gauge("probe_dns_serial", "Serial number of the zone, of an answer with a SOA record."),
    "icmp_reply_hop_limit": _gauge("probe_icmp_reply_hop_limit", "Hops that the reply still had."),
}

_PHASED: dict[str, tuple[Metric, tuple[str, ...]]] = {
    "http": (
        _gauge("probe_http_duration_seconds", "How long a phase took, summed over all redirects.", "phase"),
        ("resolve", "connect", "tls", "processing", "transfer"),
    ),
    "dns": (
        _gauge("probe_dns_duration_seconds", "How long a phase took.", "phase"),
        ("resolve", "connect", "request"),
    ),
    "icmp": (
        _gauge("probe_icmp_duration_seconds", "How long a phase took.", "phase"),
        ("resolve", "setup", "rtt"),
    ),
}

_PHASES = Metric(
    "selfheal_probe_phase_duration_seconds",
    "histogram",
    "How long the phases of all probes since the start took, those of failed probes included.",
    ("probe", "phase"),
)
_RUNS = Metric("selfheal_probe_runs_total", "counter", "Probes that have ended, well or not.", ("probe",))
_FAILURES = Metric(
    "selfheal_probe_failures_total", "counter", "Probes that failed, by what was not right.", ("probe", "reason")
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file of probes."""
    add_flag(
        parser, "--collector.probe.config", metavar="FILE", type=Path,
        help="YAML file that says which services are asked, and how",
    )  # fmt: skip


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path: Path | None = vars(flags)["collector.probe.config"]
    return [path] if path is not None else []


def create(settings: Settings) -> ProbeCollector:
    """Return what asks the services from now on. Raise ConfigError, a ValueError, if the file is wrong."""
    path: Path | None = vars(settings.flags)["collector.probe.config"]
    if path is None:
        raise ValueError("the probe collector has nothing to ask; name a file with --collector.probe.config")
    # only here, for it costs memory: pydantic, ssl, and dnspython to read names of DNS
    from exporter.probe.run import Prober
    from exporter.probe.written import read_probes

    return ProbeCollector([Prober(probe, settings.clock) for probe in read_probes(path)], settings)


class ProbeCollector:
    """All probes, each on its own timer."""

    def __init__(self, probers: list[Prober], settings: Settings) -> None:
        self._refresher = Refresher(
            name,
            {prober.probe.name: _Kept(prober).refresh for prober in probers},
            {prober.probe.name: prober.probe.every for prober in probers},
            settings,
            threads=min(len(probers), _MOST_THREADS),
        )

    def __call__(self) -> list[Family]:
        """Return what the last probes found."""
        return self._refresher.collect()

    def close(self) -> None:
        """End the timers."""
        self._refresher.close()


class _Kept:
    """One probe and what is summed up over its runs."""

    def __init__(self, prober: Prober) -> None:
        from exporter.probe.model import Reason

        self._prober = prober
        self._label = prober.probe.name
        self._runs = 0
        self._failures = dict.fromkeys(Reason, 0)
        self._phases: dict[str, tuple[list[int], float]] = {}
        self._was_failing = False

    def refresh(self) -> list[Family]:
        """Ask once and return everything known."""
        verdict = self._prober.run()
        self._runs += 1
        for phase, seconds in verdict.found.phases.items():
            counts, total = self._phases.get(phase) or ([0] * (len(_BOUNDS) + 1), 0.0)
            counts[bisect_left(_BOUNDS, seconds)] += 1
            self._phases[phase] = (counts, total + seconds)
        if verdict.reason is not None:
            self._failures[verdict.reason] += 1
        self._log(verdict)
        return [*_found(self._label, self._prober.probe.ask.__class__.__name__.lower(), verdict), *self._sums()]

    def _sums(self) -> list[Family]:
        label = self._label
        phases = {
            (label, phase): Histogram(_BOUNDS, tuple(counts), total) for phase, (counts, total) in self._phases.items()
        }
        return [
            _RUNS.of({(label,): self._runs}),
            _FAILURES.of({(label, str(reason)): count for reason, count in self._failures.items()}),
            _PHASES.histograms(phases),
        ]

    def _log(self, verdict: Verdict) -> None:
        """Say once that it fails, and once that it works again; every failure is counted."""
        fails = verdict.reason is not None
        fields = {"probe": self._label, "reason": str(verdict.reason or ""), "text": verdict.text}
        if fails and not self._was_failing:
            logger.warning("probe failed", extra=fields)
        elif fails:
            logger.debug("probe failed", extra=fields)
        elif self._was_failing:
            logger.info("probe works again", extra={"probe": self._label})
        self._was_failing = fails


def _found(label: str, kind: str, verdict: Verdict) -> list[Family]:
    """Return what one probe found."""
    found = verdict.found
    families = [
        _SUCCESS.of({(label,): int(verdict.reason is None)}),
        _DURATION.of({(label,): verdict.seconds}),
        *(metric.of({(label,): found.facts[fact]}) for fact, metric in _FACTS.items() if fact in found.facts),
        *_phases(label, kind, found.phases),
    ]
    if found.chain is not None:
        families.append(_EARLIEST_EXPIRY.of({(label,): found.chain.earliest_expiry}))
        families.append(_CERTIFICATE_INFO.of({(label, found.chain.leaf_sha256): 1}))
    if found.tls_version is not None:
        families.append(_TLS_VERSION.of({(label, found.tls_version): 1}))
    if found.tls_cipher is not None:
        families.append(_TLS_CIPHER.of({(label, found.tls_cipher): 1}))
    return families


def _phases(label: str, kind: str, seconds: Mapping[str, float]) -> list[Family]:
    """Return the phases as blackbox_exporter has them: all from the start, 0 for one that did not come."""
    if kind not in _PHASED:
        return []
    metric, phases = _PHASED[kind]
    return [metric.of({(label, phase): seconds.get(phase, 0.0) for phase in phases})]
