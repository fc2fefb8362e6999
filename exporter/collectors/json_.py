"""Numbers out of what other programs write as JSON, under the names that a file gives them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from exporter.encode import Family, Metric
from exporter.refresh import Refresher
from exporter.settings import Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.jsonsource.model import Source
    from exporter.jsonsource.run import Document, Log

    Reader: TypeAlias = Log | Document

name = "json"
text = "numbers out of JSON files, logs of JSON lines and JSON over HTTP"
enabled = False

_MOST_THREADS = 4

_LINES = Metric("selfheal_json_lines_total", "counter", "Lines read of a log, the broken ones included.", ("source",))
_LAST_LINE = Metric(
    "selfheal_json_last_line_timestamp_seconds",
    "gauge",
    "When new lines of a log were last found; absent before the first. Cached.",
    ("source",),
)
_BEHIND = Metric(
    "selfheal_json_behind_bytes",
    "gauge",
    "Bytes of a log that were written and not read yet. Cached.",
    ("source",),
)
_SUCCESSIONS = Metric(
    "selfheal_json_log_successions_total",
    "counter",
    "How often a log was replaced by a new file (rotated) or emptied (truncated).",
    ("source", "how"),
)
_FAULTS = Metric(
    "selfheal_json_faults_total",
    "counter",
    "Lines and values that could not be taken, by what was wrong; the others are taken all the same.",
    ("source", "reason"),
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file of sources."""
    add_flag(
        parser, "--collector.json.config", metavar="FILE", type=Path,
        help="YAML file that says which JSON is read, and which numbers in it are exported",
    )  # fmt: skip


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path: Path | None = vars(flags)["collector.json.config"]
    return [path] if path is not None else []


def create(settings: Settings) -> JsonCollector:
    """Return what reads the sources from now on. Raise ConfigError, a ValueError, if the file is wrong."""
    path: Path | None = vars(settings.flags)["collector.json.config"]
    if path is None:
        raise ValueError("the json collector has nothing to read; name a file with --collector.json.config")
    # only here, for it costs memory: pydantic and jmespath
    from exporter.jsonsource.written import read_sources

    return JsonCollector(read_sources(path), settings)


class JsonCollector:
    """All sources, each on its own timer."""

    def __init__(self, sources: tuple[Source, ...], settings: Settings) -> None:
        self._readers = [_reader(source, settings) for source in sources]
        self._refresher = Refresher(
            name,
            {reader.source.name: _refresh(reader) for reader in self._readers},
            {source.name: source.every for source in sources},
            settings,
            threads=min(len(sources), _MOST_THREADS),
        )

    def __call__(self) -> list[Family]:
        """Return the numbers read last."""
        return self._refresher.collect()

    def close(self) -> None:
        """End the timers and let go of the files."""
        self._refresher.close()
        for reader in self._readers:
            reader.close()


def _reader(source: Source, settings: Settings) -> Reader:
    from exporter.jsonsource.run import Document, Log

    if source.is_log and isinstance(source.place, Path):
        # a page that is wanted once would show nothing of a log that is read from its end
        return Log(source, source.place, settings.clock, from_beginning=source.from_beginning or settings.once)
    return Document(source, settings.clock)


def _refresh(reader: Reader) -> Callable[[], list[Family]]:
    """Return the function that reads a source and returns everything known of it."""
    from exporter.jsonsource.run import Log

    metrics = [
        Metric(measure.name, measure.kind, _cached(measure.help), tuple(label for label, _ in measure.labels))
        for measure in reader.source.measures
    ]

    def refresh() -> list[Family]:
        reader.refresh()
        families = [
            metric.histograms(series.histograms()) if metric.kind == "histogram" else metric.of(series.values())
            for metric, series in zip(metrics, reader.table.series, strict=True)
        ]
        source = reader.source.name
        families.append(_FAULTS.of({(source, str(fault)): count for fault, count in reader.table.faults.items()}))
        return [*families, *_about(reader)] if isinstance(reader, Log) else families

    return refresh


def _cached(text: str) -> str:
    return f"{text.rstrip(' .')}. Cached."


def _about(log: Log) -> list[Family]:
    source, tail = log.source.name, log.tail
    families = [
        _LINES.of({(source,): log.lines}),
        _BEHIND.of({(source,): tail.behind()}),
        _SUCCESSIONS.of({(source, "rotated"): tail.rotations, (source, "truncated"): tail.truncations}),
    ]
    if log.last_line is not None:
        families.append(_LAST_LINE.of({(source,): log.last_line}))
    return families
