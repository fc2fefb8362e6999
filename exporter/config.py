"""The exporter's flags, in node_exporter's and process-exporter's spelling, and what they mean together."""

from __future__ import annotations

import argparse
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.paths import Paths
from exporter.settings import flag_type
from selfheal import __version__
from selfheal.common.flags import add_flag

DEFAULT_ADDRESS = "127.0.0.1:9976"


@dataclass(frozen=True, slots=True)
class Config:
    """What the command line and the variables ask for."""

    address: tuple[str, int]
    metrics_path: str
    most_connections: int
    paths: Paths
    collectors: tuple[str, ...]
    flags: argparse.Namespace
    log_level: str
    log_format: str


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all flags, those of the collectors included."""
    parser = argparse.ArgumentParser(
        prog="selfheal-exporter",
        description="Serve what this host does as Prometheus metrics. Every flag can also be set by its variable.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"selfheal-exporter {__version__}")
    _add_general_flags(parser)
    group = parser.add_argument_group("collectors")
    add_flag(group, "--collector.disable-defaults", action="store_true", help="switch off all that are not switched on")
    for name, collector in COLLECTORS.items():
        add_flag(group, f"--collector.{name}", action=argparse.BooleanOptionalAction, help=f"collect {collector.text}")
        collector.add_flags(group)
    return parser


def _add_general_flags(parser: argparse.ArgumentParser) -> None:
    web = parser.add_argument_group("web")
    add_flag(
        web, "--web.listen-address", metavar="HOST:PORT", type=flag_type(parse_address), default=DEFAULT_ADDRESS,
        help="where to listen; port 0 takes a free one (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        web, "--web.allow-anyone", action="store_true",
        help="listen on an address that others can reach, although nobody is asked for a password",
    )  # fmt: skip
    add_flag(
        web, "--web.telemetry-path", metavar="PATH", type=flag_type(_page_path), default="/metrics",
        help="page of the metrics (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        web, "--web.max-connections", metavar="N", type=flag_type(_count), default="40",
        help="most open connections; beyond, the longest idle one is closed (default: %(default)s)",
    )  # fmt: skip
    paths = parser.add_argument_group("paths")
    for name, default in (("procfs", "/proc"), ("sysfs", "/sys"), ("rootfs", "/")):
        add_flag(
            paths, f"--path.{name}", metavar="PATH", type=Path, default=default,
            help=f"where the host's {name} is mounted (default: %(default)s)",
        )  # fmt: skip
    log = parser.add_argument_group("log")
    add_flag(
        log, "--log.level", choices=("debug", "info", "warn", "error"), default="info",
        help="least severe lines to write (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        log, "--log.format", choices=("logfmt", "json"), default="logfmt", help="form of a line (default: %(default)s)"
    )  # fmt: skip


def read_config(arguments: list[str] | None = None) -> Config:
    """Given the arguments (None: those of this process), return the configuration.

    Ends the program with code 2 and a message if a flag is wrong, as argparse does.
    """
    parser = make_parser()
    flags = parser.parse_args(arguments)
    values = vars(flags)
    address: tuple[str, int] = values["web.listen_address"]
    if not values["web.allow_anyone"] and not _is_loopback(address[0]):
        parser.error(
            f"--web.listen-address {format_address(address)} can be reached by others and nobody is asked for a "
            "password; listen on 127.0.0.1, or add --web.allow-anyone if that is meant"
        )
    return Config(
        address=address,
        metrics_path=values["web.telemetry_path"],
        most_connections=values["web.max_connections"],
        paths=Paths(values["path.procfs"], values["path.sysfs"], values["path.rootfs"]),
        collectors=_enabled(flags),
        flags=flags,
        log_level=values["log.level"],
        log_format=values["log.format"],
    )


def _enabled(flags: argparse.Namespace) -> tuple[str, ...]:
    defaults = not vars(flags)["collector.disable_defaults"]
    names = []
    for name, collector in COLLECTORS.items():
        given = vars(flags)[f"collector.{name}"]
        if defaults and collector.enabled if given is None else given:
            names.append(name)
    return tuple(names)


def parse_address(text: str) -> tuple[str, int]:
    """Given `host:port`, `[v6]:port` or `:port` (everywhere), return host and port. Raise ValueError if it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("write HOST:PORT with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("write an IPv6 address in brackets: [::1]:9976")
    return host or "0.0.0.0", int(port)


def format_address(address: tuple[str, int]) -> str:
    """Given host and port, return them as `parse_address` reads them."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return _resolves_to_loopback(host)


def _resolves_to_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        # it cannot be listened on either, and that error names it better
        return True
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)


def _page_path(text: str) -> str:
    if not text.startswith("/") or "?" in text:
        raise ValueError("a page's path begins with / and has no question mark")
    return text


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("at least 1 is needed")
    return count
