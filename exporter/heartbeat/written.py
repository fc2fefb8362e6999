"""The file that names heartbeats: its keys, strictly read, to values. Only this module of the room knows YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, field_validator

from exporter.heartbeat.model import Heartbeat
from exporter.written import check_names, check_time
from selfheal.common.documents import Duration, Section, read_as, read_yaml, told

EVERY = 5.0

# it stands in an address


class _Heartbeat(Section):
    interval: Duration
    grace: Duration = 0.0
    file: str | None = None

    _check_interval = field_validator("interval")(check_time)

    @field_validator("file")
    @classmethod
    def _check_file(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            told(f"{value!r} is no absolute path", "write it from / on")
        return value


class _Config(Section):
    heartbeats: Annotated[dict[str, _Heartbeat], Field(min_length=1, max_length=1000)]
    state: str | None = None
    every: Duration = EVERY

    _check_names = field_validator("heartbeats")(check_names)

    _check_every = field_validator("every")(check_time)


class Written(NamedTuple):
    """What the file says."""

    heartbeats: list[Heartbeat]
    state: Path | None
    """Where what was reported survives a restart; None: it does not."""
    every: float
    """How often the files of heartbeats are looked at."""


def read_heartbeats(path: Path) -> Written:
    """Given the configuration file, return what it says; `state` is relative to the file.

    Raise ConfigError with everything that is wrong in it.
    """
    config = read_as(_Config, read_yaml(path), str(path))
    heartbeats = [Heartbeat(name, found.interval, found.grace, found.file) for name, found in config.heartbeats.items()]
    return Written(heartbeats, path.parent / config.state if config.state is not None else None, config.every)
