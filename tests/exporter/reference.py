"""Writes docs/reference/metrics.md from the code: `python -m tests.exporter.reference`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence

from exporter.collectors import COLLECTORS, Collector
from selfheal.common.shipped import shipped
from tests.exporter.catalogue import ITSELF, Entry, entries

PAGE = shipped("docs", "reference", "metrics.md")

_HEAD = """# Metrics

<!-- written by `python -m tests.exporter.reference`; a test compares it -->

Every metric that the exporter can export, by collector, and each collector's own flags. Where the host gives the names
(fields of `/proc/meminfo`, `/proc/vmstat`, `/proc/net/netstat` and `/proc/net/snmp`, kinds of sensors), those of the
hosts that the tests captured are here. The unit `1` is a number of something, or yes (1) and no (0).
"""

# how a name ends → in what its value is
_UNITS = (
    ("_timestamp_seconds", "s since 1970"),
    ("_start_time_seconds", "s since 1970"),
    ("_boot_time_seconds", "s since 1970"),
    ("_mtime_seconds", "s since 1970"),
    ("node_time_seconds", "s since 1970"),
    ("_cert_expiry", "s since 1970"),
    ("_seconds", "s"),
    ("_milliseconds", "ms"),
    ("_bytes", "bytes"),
    ("_content_length", "bytes"),
    ("_body_length", "bytes"),
    ("_ratio", "ratio 0–1"),
    ("_celsius", "°C"),
    ("_celsius_per_second", "°C/s"),
    ("_hertz", "Hz"),
    ("_mhz", "MHz"),
    ("_volts", "V"),
    ("_amps", "A"),
    ("_watt", "W"),
    ("_joules", "J"),
    ("_rpm", "rpm"),
    ("_bits", "bits"),
    ("_pages", "pages"),
    ("_info", "always 1"),
)


def page() -> str:
    """Return the whole page."""
    found: dict[str, list[Entry]] = {}
    for entry in entries():
        found.setdefault(entry.collector, []).append(entry)
    rows = [
        (f"[`{name}`](#{name})", collector.text, "on" if collector.enabled else "off", str(len(found.get(name, ()))))
        for name, collector in sorted(COLLECTORS.items())
    ]
    parts = [_HEAD, "## All collectors\n\n" + table(("collector", "what", "by default", "metrics"), rows)]
    parts += [_of_collector(name, COLLECTORS[name], found.get(name, [])) for name in sorted(COLLECTORS)]
    parts.append("## About the exporter itself\n\n" + _metrics(found[ITSELF]))
    return "\n".join(parts)


def _of_collector(name: str, collector: Collector, metrics: Sequence[Entry]) -> str:
    default = "on" if collector.enabled else "off"
    flags = _flags(collector)
    text = f"## {name}\n\n{collector.text[0].upper()}{collector.text[1:]}; by default {default}.\n\n"
    if flags:
        text += table(("flag", "meaning"), flags) + "\n"
    return text + _metrics(metrics)


def _flags(collector: Collector) -> list[tuple[str, str]]:
    parser = argparse.ArgumentParser(add_help=False)
    collector.add_flags(parser)
    return [(f"`{_spelled(action)}`", _help(action)) for action in parser._actions]


def _spelled(action: argparse.Action) -> str:
    return action.option_strings[0] + (f" {action.metavar}" if isinstance(action.metavar, str) else "")


def _help(action: argparse.Action) -> str:
    text = re.sub(r" ?\[\$\w+\]$", "", (action.help or "").replace("%(default)s", str(action.default)))
    return text.replace("%%", "%")


def _metrics(metrics: Iterable[Entry]) -> str:
    return table(
        ("metric", "type", "labels", "unit", "meaning"),
        [
            (f"`{each.name}`", each.kind, ", ".join(f"`{label}`" for label in each.labels), unit(each), each.meaning)
            for each in metrics
        ],
    )


def unit(entry: Entry) -> str:
    """Given a metric, return in what its value is, by the convention that its name says so."""
    name = entry.name.removesuffix("_total")
    return next((unit for suffix, unit in _UNITS if name.endswith(suffix)), "1")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table as Markdown; a bar inside a cell is escaped."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE}\n")
