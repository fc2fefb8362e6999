"""`python -m exporter`: reads the flags, builds the parts, serves until it is told to end."""

from __future__ import annotations

import errno
import signal
import sys
from logging import getLogger

from exporter.collectors import COLLECTORS
from exporter.config import Config, format_address, read_config
from exporter.registry import Registry
from exporter.routes import Routes
from exporter.server import Limits, Server
from exporter.settings import Settings
from selfheal import __version__
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.logs import set_up_logging

logger = getLogger("exporter")


class CannotStartError(Exception):
    """The exporter cannot run as asked; the message says what to change."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 if it cannot start."""
    config = read_config(arguments)
    set_up_logging(config.log_level, config.log_format)
    clock = SystemClock()
    try:
        registry = build_registry(config, clock)
        server = listen(config, clock)
    except CannotStartError as error:
        sys.stderr.write(f"selfheal-exporter: {error}\n")
        return 1
    routes = Routes(registry, config.metrics_path, server.families)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    address = format_address((config.address[0], server.port))
    logger.info(
        "listening", extra={"address": address, "version": __version__, "collectors": ",".join(registry.names())}
    )
    server.serve(routes.answer)
    logger.info("ended")
    return 0


def build_registry(config: Config, clock: Clock) -> Registry:
    """Given the configuration, return the switched-on collectors. Raise CannotStartError listing all that is wrong."""
    settings = Settings(config.paths, clock, config.flags)
    problems, collectors = [], {}
    for name in config.collectors:
        try:
            collectors[name] = COLLECTORS[name].create(settings)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise CannotStartError("\n".join(problems))
    return Registry(collectors, clock)


def listen(config: Config, clock: Clock) -> Server:
    """Given the configuration, return the listening server. Raise CannotStartError if it cannot listen there."""
    try:
        return Server(config.address, clock, Limits(connections=config.most_connections))
    except OSError as error:
        raise CannotStartError(_why_not_listening(config, error)) from error


def _why_not_listening(config: Config, error: OSError) -> str:
    where = format_address(config.address)
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {where}: another program is using this port; "
            "end that program, or choose another address with --web.listen-address"
        )
    return f"cannot listen on {where}: {error.strerror or error}; choose another address with --web.listen-address"


if __name__ == "__main__":
    sys.exit(main())
