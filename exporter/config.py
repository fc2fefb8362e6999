"""The exporter's flags, in node_exporter's and process-exporter's spelling, and what they mean together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from exporter.addresses import Address, format_address, is_loopback, parse_address
from exporter.arguments import Parser, parse_all
from exporter.build import CannotBuildError, add_engine_flag, creators
from exporter.collectors import COLLECTORS
from exporter.paths import Paths
from exporter.settings import flag_type
from selfheal import __version__
from selfheal.common.flags import add_flag

DEFAULT_ADDRESS = "127.0.0.1:9976"


@dataclass(frozen=True, slots=True)
class Web:
    """Where and for whom pages are served."""

    addresses: tuple[Address, ...]
    systemd_socket: bool
    file: Path | None
    """TLS, passwords, headers and a rate limit."""
    allows_anyone: bool
    metrics_path: str
    most_connections: int
    most_scrapes: int
    """0 means any number."""
    shows_itself: bool
    """Whether the page has what the exporter says about itself."""

    @property
    def reachable(self) -> tuple[Address, ...]:
        """Return the addresses that others can reach; those of systemd's sockets are not known here."""
        return () if self.systemd_socket else tuple(one for one in self.addresses if not is_loopback(one[0]))


@dataclass(frozen=True, slots=True)
class Config:
    """What the command line and the variables ask for."""

    web: Web
    paths: Paths
    collectors: tuple[str, ...]
    flags: argparse.Namespace
    log_level: str
    log_format: str
    once: bool = False
    """Print one page and end."""
    check: bool = False
    """Say what is wrong and end."""

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """Return the configuration files of each switched-on collector that has some."""
        found = {name: getattr(COLLECTORS[name], "files", None) for name in self.collectors}
        return {name: tuple(files(self.flags)) for name, files in found.items() if files is not None}


def make_parser() -> Parser:
    """Return the parser of all flags, those of the collectors included."""
    parser = Parser(
        prog="selfheal-exporter",
        description="Serve what this host does as Prometheus metrics. Every flag but --once has a variable too.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"selfheal-exporter {__version__}")
    _add_run_flags(parser)
    _add_web_flags(parser.add_argument_group("web"))
    _add_general_flags(parser)
    group = parser.add_argument_group("collectors")
    add_flag(group, "--collector.disable-defaults", action="store_true", help="switch off all that are not switched on")
    for name, collector in COLLECTORS.items():
        add_flag(group, f"--collector.{name}", action=argparse.BooleanOptionalAction, help=f"collect {collector.text}")
        collector.add_flags(group)
    return parser


def _add_run_flags(parser: argparse.ArgumentParser) -> None:
    # a variable that is inherited must not turn a server into a program that ends
    parser.add_argument("--once", action="store_true", help="print one page and end; no server (no variable)")
    add_flag(
        parser, "--config.check", action="store_true",
        help="say everything that is wrong with flags and files, and end; code 1 if there is anything",
    )  # fmt: skip


def _add_web_flags(web: argparse._ActionsContainer) -> None:
    add_flag(
        web, "--web.listen-address", metavar="HOST:PORT", action="append", type=flag_type(parse_address),
        help=f"where to listen; repeatable; port 0 takes a free one (default: {DEFAULT_ADDRESS})",
    )  # fmt: skip
    add_flag(
        web, "--web.systemd-socket", action=argparse.BooleanOptionalAction,
        help="listen on the sockets of the systemd socket unit instead",
    )  # fmt: skip
    add_flag(
        web, "--web.config.file", metavar="FILE", type=flag_type(_file),
        help="TLS, passwords, headers and a rate limit, as the exporter-toolkit has them",
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
        web, "--web.max-connections", metavar="N", type=flag_type(_at_least_one), default="40",
        help="most open connections; beyond, the longest idle one is closed (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        web, "--web.max-requests", metavar="N", type=flag_type(_count), default="40",
        help="most scrapes at the same time, beyond which the answer is 503; 0 means any (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        web, "--web.disable-exporter-metrics", action=argparse.BooleanOptionalAction,
        help="leave out what the exporter says about itself (selfheal_exporter_*, process_*, promhttp_*)",
    )  # fmt: skip


def _add_general_flags(parser: argparse.ArgumentParser) -> None:
    add_engine_flag(parser)
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
    add_flag(
        parser, "--runtime.gomaxprocs", metavar="N", type=flag_type(_count), default="1",
        help="accepted for node_exporter's sake; without effect",
    )  # fmt: skip


def read_config(arguments: list[str] | None = None) -> Config:
    """Given the arguments (None: those of this process), return the configuration.

    Ends the program with code 2 and all that is wrong if a flag is, as argparse does with the first.
    """
    config, problems = read_all(arguments)
    if config is None or problems:
        refuse(problems)
    return config


def read_all(arguments: list[str] | None = None) -> tuple[Config | None, list[str]]:
    """Given the arguments (None: those of this process), return the configuration and all that is wrong with the flags.

    What is wrong counts as not given; there is no configuration if that cannot be said.
    """
    flags, problems = parse_all(make_parser, arguments)
    if not vars(flags):
        return None, problems
    try:
        config = _config(flags)
    except CannotBuildError as error:
        return None, problems + error.problems
    return config, problems + _exposed(config)


def refuse(problems: Sequence[str]) -> NoReturn:
    """Given what is wrong with the flags, tell it and end the program with code 2, as argparse does."""
    parser = make_parser()
    parser.print_usage(sys.stderr)
    parser.exit(2, "".join(f"{parser.prog}: error: {problem}\n" for problem in problems))


def _config(flags: argparse.Namespace) -> Config:
    values = vars(flags)
    return Config(
        web=Web(
            addresses=tuple(dict.fromkeys(values["web.listen_address"] or [parse_address(DEFAULT_ADDRESS)])),
            systemd_socket=bool(values["web.systemd_socket"]),
            file=values["web.config.file"],
            allows_anyone=bool(values["web.allow_anyone"]),
            metrics_path=values["web.telemetry_path"],
            most_connections=values["web.max_connections"],
            most_scrapes=values["web.max_requests"],
            shows_itself=not values["web.disable_exporter_metrics"],
        ),
        paths=Paths(values["path.procfs"], values["path.sysfs"], values["path.rootfs"]),
        collectors=_enabled(flags),
        flags=flags,
        log_level=values["log.level"],
        log_format=values["log.format"],
        once=values["once"],
        check=bool(values["config.check"]),
    )


def _exposed(config: Config) -> list[str]:
    """Return what is wrong with who can reach us; what the file of `--web.config.file` asks of them is judged later."""
    web = config.web
    if config.once or web.file is not None or web.allows_anyone:
        return []
    return [exposed(format_address(address)) for address in web.reachable]


def exposed(address: str) -> str:
    """Given an address that others can reach, return why it is refused, with the remedy."""
    return (
        f"--web.listen-address {address} can be reached by others and nobody is asked for a password; "
        "listen on 127.0.0.1, add --web.config.file with passwords or client certificates, "
        "or add --web.allow-anyone if that is meant"
    )


def _enabled(flags: argparse.Namespace) -> tuple[str, ...]:
    defaults = not vars(flags)["collector.disable_defaults"]
    there = creators(flags)
    names = []
    for name, collector in COLLECTORS.items():
        given = vars(flags)[f"collector.{name}"]
        # one that is asked for by name and not there is told when it is built
        if defaults and collector.enabled and name in there if given is None else given:
            names.append(name)
    return tuple(names)


def _file(text: str) -> Path | None:
    # node_exporter's own default is the empty text
    return Path(text) if text else None


def _page_path(text: str) -> str:
    if not text.startswith("/") or "?" in text:
        raise ValueError("a page's path begins with / and has no question mark")
    return text


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("it cannot be negative")
    return count


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("at least 1 is needed")
    return count
