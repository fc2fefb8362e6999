"""`/proc/cpuinfo`: what each CPU is, and the features and faults of the first."""

from __future__ import annotations

from typing import NamedTuple

# by the field's name in the file; architectures differ, and what one has not is empty
_LABELS = {
    "physical id": "package",
    "core id": "core",
    "processor": "cpu",
    "vendor_id": "vendor",
    "vendor": "vendor",
    "cpu family": "family",
    "model": "model",
    "model name": "model_name",
    "microcode": "microcode",
    "stepping": "stepping",
    "cache size": "cachesize",
}
LABELS = tuple(sorted(set(_LABELS.values())))


class CpuInfo(NamedTuple):
    """The values of `LABELS` for each CPU, and the words of `flags` and `bugs` of the first."""

    cpus: list[tuple[str, ...]]
    flags: list[str]
    bugs: list[str]


def parse_cpuinfo(data: bytes) -> CpuInfo:
    """Given the bytes of `/proc/cpuinfo`, return what they say of each CPU. Raise ValueError if there is none."""
    cpus = []
    words: dict[str, list[str]] = {}
    for block in data.decode("utf-8", "replace").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        fields = {key.strip(): value.strip() for key, colon, value in pairs if colon}
        # other blocks tell of the board
        if not fields.get("processor", "").isdigit():
            continue
        labels = {label: fields[key] for key, label in _LABELS.items() if key in fields}
        cpus.append(tuple(labels.get(label, "") for label in LABELS))
        words = words or {key: fields.get(key, "").split() for key in ("flags", "Features", "bugs")}
    if not cpus:
        raise ValueError("cpuinfo names no CPU")
    return CpuInfo(cpus, words["flags"] or words["Features"], words["bugs"])
