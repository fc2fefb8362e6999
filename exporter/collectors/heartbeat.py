"""Signs of life that programs and cron jobs give by touching a file or by one local HTTP call."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.encode import Family, Metric
from exporter.messages import Request, Response
from exporter.refresh import Refresher
from exporter.settings import IncompleteError, Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.heartbeat.ledger import Ledger
    from exporter.heartbeat.model import Heartbeat
    from exporter.heartbeat.written import Written

name = "heartbeat"
text = "signs of life of programs and cron jobs, given by a file or a call"
enabled = False

_CACHED = "Of a call it is live; of a file it is cached: as it was at the last refresh."
_H = ("heartbeat",)
_TIMESTAMP = Metric(
    "selfheal_heartbeat_timestamp_seconds", "gauge", f"When the program last reported; absent before. {_CACHED}", _H
)
_OK = Metric(
    "selfheal_heartbeat_ok", "gauge", f"Whether the program's last report said that all went well. {_CACHED}", _H
)
_OK_TIMESTAMP = Metric(
    "selfheal_heartbeat_ok_timestamp_seconds",
    "gauge",
    f"When the program last reported that all went well; absent before. {_CACHED}",
    _H,
)
_SINCE = Metric(
    "selfheal_heartbeat_watched_since_timestamp_seconds",
    "gauge",
    "Since when a report is waited for: counts where none has come yet.",
    _H,
)
_INTERVAL = Metric(
    "selfheal_heartbeat_interval_seconds", "gauge", "How often the program is expected to report, as configured.", _H
)
_GRACE = Metric(
    "selfheal_heartbeat_grace_seconds", "gauge", "How much later than expected a report may be, as configured.", _H
)
_REFUSED = Metric(
    "selfheal_heartbeat_calls_refused_total",
    "counter",
    "Calls answered with an error: unknown name, malformed, from a browser's page, or noted but not stored.",
    ("reason",),
)
_STATE_ERRORS = Metric(
    "selfheal_heartbeat_state_errors_total",
    "counter",
    "How often the file that keeps reports over a restart could not be read or written.",
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file of heartbeats."""
    add_flag(
        parser, "--collector.heartbeat.config", metavar="FILE", type=Path,
        help="YAML file that names the programs that report, and how often they should",
    )  # fmt: skip


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path: Path | None = vars(flags)["collector.heartbeat.config"]
    return [path] if path is not None else []


def create(settings: Settings) -> HeartbeatCollector:
    """Return what waits for reports from now on. Raise ConfigError, a ValueError, if the file is wrong."""
    path: Path | None = vars(settings.flags)["collector.heartbeat.config"]
    if path is None:
        raise ValueError("the heartbeat collector waits for nobody; name a file with --collector.heartbeat.config")
    # only here, for it costs memory: pydantic
    from exporter.heartbeat.written import read_heartbeats

    return HeartbeatCollector(read_heartbeats(path), settings)


class HeartbeatCollector:
    """All heartbeats: files looked at on their own timer, and a page for calls."""

    def __init__(self, written: Written, settings: Settings) -> None:
        from exporter.heartbeat.calls import PREFIX, Calls
        from exporter.heartbeat.ledger import Ledger

        self._heartbeats = written.heartbeats
        self._keeps_state = written.state is not None
        names = [one.name for one in written.heartbeats]
        # a look at one page must not write over what a server beside it stores
        self._ledger = Ledger(names, written.state, settings.clock, read_only=settings.once)
        called = [one.name for one in written.heartbeats if one.file is None]
        self._calls = Calls(called, self._ledger, settings.clock)
        self.pages: Mapping[str, Callable[[Request], Response]] = {PREFIX: self._calls.answer} if called else {}
        """The page that is called, by how its address begins."""
        readers = {
            one.name: _reader(one, settings.paths.below_root(one.file), self._ledger, settings)
            for one in written.heartbeats
            if one.file is not None
        }
        self._refresher = Refresher(name, readers, written.every, settings)

    def __call__(self) -> list[Family]:
        """Return what is known of every heartbeat."""
        self._ledger.keep()
        try:
            about = self._refresher.collect()
        except IncompleteError as error:
            raise IncompleteError(str(error), [*self._families(), *error.families]) from error
        return [*self._families(), *about]

    def close(self) -> None:
        """End the timer."""
        self._refresher.close()

    def _families(self) -> list[Family]:
        entries = self._ledger.entries()
        beats = {(one,): entry.last for one, entry in entries.items() if entry.last is not None}
        families = [
            _TIMESTAMP.of({key: beat.at for key, beat in beats.items()}),
            _OK.of({key: int(beat.ok) for key, beat in beats.items()}),
            _OK_TIMESTAMP.of({(one,): e.last_ok for one, e in entries.items() if e.last_ok is not None}),
            _SINCE.of({(one,): entry.since for one, entry in entries.items()}),
            _INTERVAL.of({(one.name,): one.interval for one in self._heartbeats}),
            _GRACE.of({(one.name,): one.grace for one in self._heartbeats}),
        ]
        if self.pages:
            families.append(_REFUSED.of({(str(why),): count for why, count in self._calls.refused().items()}))
        if self._keeps_state:
            families.append(_STATE_ERRORS.only(self._ledger.errors))
        return families


def _reader(heartbeat: Heartbeat, path: Path, ledger: Ledger, settings: Settings) -> Callable[[], list[Family]]:
    from exporter.heartbeat.touched import read_touched

    def read() -> list[Family]:
        beat = read_touched(path, settings.clock.now())
        if beat is not None:
            ledger.note(heartbeat.name, beat)
        # what is known comes from the ledger, with that of the calls
        return []

    return read
