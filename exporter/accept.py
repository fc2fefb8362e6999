"""Which of the two forms of the metrics page a client prefers, by its Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from functools import lru_cache

_OPEN = "application/openmetrics-text"
# what text 0.0.4 answers; a client that names no version takes any
_PLAIN = frozenset({"text/plain", "text/*", "*/*"})


@lru_cache(maxsize=32)
def prefers_openmetrics(accept: str) -> bool:
    """Given an Accept header, say whether OpenMetrics 1.0 is taken, and at least as gladly as text 0.0.4."""
    open_quality, plain_quality = 0.0, 0.0
    for offer in accept.lower().split(","):
        kind, parameters = _read(offer)
        version = parameters.get("version")
        if kind == _OPEN and version in (None, "1.0.0"):
            open_quality = max(open_quality, _quality(parameters))
        elif kind in _PLAIN and version in (None, "0.0.4"):
            plain_quality = max(plain_quality, _quality(parameters))
    return open_quality > 0 and open_quality >= plain_quality


def _read(offer: str) -> tuple[str, dict[str, str]]:
    kind, *rest = (part.strip() for part in offer.split(";"))
    pairs = (part.partition("=") for part in rest)
    return kind, {name.strip(): value.strip(' "') for name, _, value in pairs}


def _quality(parameters: dict[str, str]) -> float:
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
    # a comparison with what is no number is false, so that NaN counts as not wanted
    return quality if 0 <= quality <= 1 else 0.0
