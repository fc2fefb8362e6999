"""What makes two alerts the same one: their labels, but for those that only say which replica told of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from remediator.model.alert import Alert

_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def fingerprint(labels: Mapping[str, str]) -> str:
    """Given labels, return the fingerprint that Alertmanager gives them: FNV-1a, 64 bits, over the sorted pairs.

    Source: `labelSetToFingerprint` of Prometheus's `common/model`; name and value each end with byte 255.
    """
    pairs = sorted((name.encode("utf-8"), value.encode("utf-8")) for name, value in labels.items())
    found = _OFFSET
    for byte in b"".join([b"%b\xff%b\xff" % pair for pair in pairs]):
        found = (found ^ byte) * _PRIME & _MASK
    return f"{found:016x}"


def identified(alert: Alert, ignored: Collection[str]) -> Alert:
    """Given an alert as it was told, return it with the fingerprint of its labels without the `ignored` ones.

    What its sender calls it does not matter: two alerts are one if their labels say so, whoever told of them.
    """
    kept = {name: value for name, value in alert.labels.items() if name not in ignored}
    return replace(alert, fingerprint=fingerprint(kept))
