"""The types of single values in the configuration file: what is wrong with each by itself, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from remediator.model import Mode
from remediator.windows import check_cron, zone
from selfheal.common.documents import Duration, told


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        told(f"{_without_credentials(value)!r} is no URL", "write for example http://127.0.0.1:9090")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        told(f"{_without_credentials(value)!r} is no URL", "write for example http://127.0.0.1:9090")
    if parts.username is not None or parts.password is not None:
        told("a URL must not hold a user or a password", "use basic_auth with password_file")
    if parts.query or parts.fragment:
        told("a URL must end with its path", "leave out what follows ? or #")
    return value.rstrip("/")


def _without_credentials(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//", value)[:80]


def _header_name(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or any(ord(sign) < 32 for sign in value):
            told(f"{name!r} is no header", "names hold letters, digits and -, values one line")
        if name.lower() in ("authorization", "host", "content-length", "transfer-encoding", "connection"):
            told(f"header {name} cannot be set here", "use authorization or basic_auth for credentials")
    return headers


def _one_header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        told(f"{value[:80]!r} is no header", "write its name, with letters, digits and -")
    return value


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", value):
        told(f"{_without_credentials(value)!r} is no origin", "write for example https://grafana.example and no path")
    return value.lower()


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        told(f"{value[:80]!r} is no name", "use letters, digits, dots, - and _, at most 63")
    return value


def _receiver(value: str) -> str:
    if not value.strip():
        told("must not be empty", "write the receiver's name as in alertmanager.yml")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        told(f"{value[:80]!r} is no label name", "use letters, digits and _")
    return value


def _mode(value: str) -> str:
    if value not in tuple(Mode):
        told(f"{value[:80]!r} is no mode", "write observe, approve or auto")
    return value


def _path(value: str) -> str:
    if not value or "\0" in value:
        told("must be a path", "name a file or a folder")
    return value


def _pattern(value: str) -> str:
    if any("**" in part and part != "**" for part in _path(value).split("/")):
        told(f"{value[:80]!r} is no pattern", "** stands for any folders, alone between two slashes")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        told("must be longer than 0s", "write for example 15s")
    return value


def _glob(value: str) -> str:
    if not 0 < len(value) <= 512:
        told("must be a pattern of 1 to 512 characters", "write for example restart_*")
    return value


def told_by(check: Callable[[str], object]) -> Callable[[str], str]:
    """Given what raises ValueError with the remedy, return it as a validator."""

    def validate(value: str) -> str:
        try:
            check(value)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            told(what, remedy)
        return value

    return validate


Url = Annotated[str, AfterValidator(_url)]
FilePath = Annotated[str, AfterValidator(_path)]
Pattern = Annotated[str, AfterValidator(_pattern)]
"""Of files: a path in which `*` and `**` may stand."""
Glob = Annotated[str, AfterValidator(_glob)]
"""Of names."""
Span = Annotated[Duration, AfterValidator(_positive)]
"""Seconds, more than none."""
Name = Annotated[str, AfterValidator(_name)]
Label = Annotated[str, AfterValidator(_label)]
ReceiverName = Annotated[str, AfterValidator(_receiver)]
ModeName = Annotated[str, AfterValidator(_mode)]
HeaderName = Annotated[str, AfterValidator(_one_header)]
Headers = Annotated[dict[str, str], AfterValidator(_header_name)]
Origin = Annotated[str, AfterValidator(_origin)]
Cron = Annotated[str, AfterValidator(told_by(check_cron))]
Timezone = Annotated[str, AfterValidator(told_by(zone))]
