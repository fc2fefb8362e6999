"""The file that names deployments: its keys, strictly read, to values. Only this module of the room knows YAML."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from exporter.deployment.model import Asked, Container, Deployment, Listener, Part, Unit, Version
from exporter.probe.written_http import Url
from exporter.written import NAME, check_names
from selfheal.common.documents import Duration, Section, read_as, read_yaml, told

LEAST_EVERY = 1.0
EVERY = 15.0
TIMEOUT = 5.0
MOST_PARTS = 100

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,248}\.[a-z]+")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_KINDS = ("unit", "listen", "container", "version")


class _Version(Section):
    url: Url
    field: str = ""
    expect: str | None = None
    expect_file: str | None = None
    ca_file: str | None = None

    @field_validator("field")
    @classmethod
    def _check_field(cls, value: str) -> str:
        if value and not all(value.split(".")):
            told(f"{value!r} is no path of keys", "write for example build.version")
        return value

    @field_validator("expect")
    @classmethod
    def _check_expect(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            told("must not be empty", "write the version")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> _Version:
        if (self.expect is None) == (self.expect_file is None):
            told("needs one of expect and expect_file", "write the version, or the file that holds it")
        if self.ca_file is not None and not self.url.startswith("https:"):
            told("has a ca_file although its url is not https", "leave out one of them")
        return self


class _Part(Section):
    unit: str | None = None
    listen: str | None = None
    container: str | None = None
    version: _Version | None = None
    engine: str | None = None
    name: str | None = None
    needed: bool = True

    @field_validator("unit")
    @classmethod
    def _check_unit(cls, value: str | None) -> str | None:
        if value is not None and not _UNIT.fullmatch(value):
            told(f"{value!r} is no unit", "write its whole name, for example nginx.service")
        return value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_listener(value)
            except ValueError as error:
                what, _, remedy = str(error).partition("; ")
                told(what, remedy)
        return value

    @field_validator("container")
    @classmethod
    def _check_container(cls, value: str | None) -> str | None:
        if value is not None and not _CONTAINER.fullmatch(value):
            told(f"{value!r} is no name of a container", "write it as the engine lists it")
        return value

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            told(f"{value!r} is no absolute path", "write for example /run/docker.sock")
        return value

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        if value is not None and not NAME.fullmatch(value):
            told(f"{value!r} is no name", "use letters, digits, _, . and -, at most 64")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> _Part:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            told(f"must be one of {', '.join(_KINDS)}, not {found}", "give each part an entry of its own")
        if self.engine is not None and self.container is None:
            told("has an engine although it is no container", "leave it out")
        return self


class _Deployment(Section):
    every: Duration = EVERY
    timeout: Duration = TIMEOUT
    parts: Annotated[list[_Part], Field(min_length=1, max_length=MOST_PARTS)]

    @field_validator("every", "timeout")
    @classmethod
    def _check_duration(cls, value: float) -> float:
        if value < LEAST_EVERY:
            told("must be at least 1s", "raise it")
        return value

    @field_validator("parts")
    @classmethod
    def _check_parts(cls, value: list[_Part]) -> list[_Part]:
        keys = [_key(part) for part in value]
        doubled = sorted({name for kind, name in keys if keys.count((kind, name)) > 1})
        if doubled:
            told(f"two parts of a kind are both called {', '.join(doubled)}", "give one of them another name")
        return value


class _Config(Section):
    deployments: Annotated[dict[str, _Deployment], Field(min_length=1)]

    _check_names = field_validator("deployments")(check_names)


def read_deployments(path: Path) -> list[Deployment]:
    """Given the configuration file, return its deployments; paths in it are relative to the file.

    Raise ConfigError with everything that is wrong in it.
    """
    config = read_as(_Config, read_yaml(path), str(path))
    return [
        Deployment(name, found.every, found.timeout, tuple(_part(part, path.parent) for part in found.parts))
        for name, found in config.deployments.items()
    ]


def _part(part: _Part, folder: Path) -> Part:
    kind, name = _key(part)
    return Part(kind, name, _asked(part, folder), part.needed)


def _key(part: _Part) -> tuple[str, str]:
    """Return the kind of a part and what it is called: its name, or what it asks for."""
    kind = next(kind for kind in _KINDS if getattr(part, kind) is not None)
    value = getattr(part, kind)
    return "listener" if kind == "listen" else kind, part.name or (value.url if kind == "version" else value)


def _asked(part: _Part, folder: Path) -> Asked:
    if part.unit is not None:
        return Unit(part.unit)
    if part.listen is not None:
        return parse_listener(part.listen)
    if part.container is not None:
        return Container(part.container, part.engine)
    version = part.version
    assert version is not None  # one of the four is there, as was checked
    return Version(
        version.url,
        tuple(version.field.split(".")) if version.field else (),
        version.expect or "",
        folder / version.expect_file if version.expect_file is not None else None,
        folder / version.ca_file if version.ca_file is not None else None,
    )


def parse_listener(text: str) -> Listener:
    """Given `tcp:80`, `udp:127.0.0.1:53`, `tcp:[::1]:80` or `unix:/path`, return the socket.

    Raise ValueError, with a remedy, if it is none.
    """
    protocol, _, rest = text.partition(":")
    if protocol == "unix" and rest.startswith("/"):
        return Listener(text, "unix", path=rest)
    host, _, port = rest.rpartition(":")
    if protocol in ("tcp", "udp") and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        bracketed = host.startswith("[") and host.endswith("]")
        try:
            address = str(ipaddress.ip_address(host[1:-1] if bracketed else host)) if host else None
            return Listener(text, protocol, address, int(port))
        except ValueError:
            # told below, with all other forms that are none
            pass
    raise ValueError(f"{text!r} is no socket; write tcp:8080, udp:127.0.0.1:53, tcp:[::1]:8080 or unix:/run/app.sock")
