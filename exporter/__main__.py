"""`python -m exporter`: reads the flags, builds the parts, serves until it is told to end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from logging import getLogger
from typing import TypeVar

from exporter.build import CannotBuildError, build_collectors
from exporter.check import run_check
from exporter.config import Config, exposed, read_all, refuse
from exporter.door import Door
from exporter.doorkeeping import make_door
from exporter.encode import Family
from exporter.limits import Scrapes
from exporter.listening import CannotListenError, describe, open_listeners, others_can_reach, take_listeners
from exporter.notify import Notifier
from exporter.once import run_once
from exporter.own import OwnProcess
from exporter.registry import Registry
from exporter.reload import Reloader
from exporter.routes import Routes
from exporter.server import Limits, Server
from exporter.settings import Settings
from selfheal import __version__
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.logs import set_up_logging

T = TypeVar("T")
U = TypeVar("U")

logger = getLogger("exporter")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 1 if it cannot start."""
    config, problems = read_all(arguments)
    clock = SystemClock()
    if config is not None and config.check:
        return run_check(config, clock, problems)
    if config is None or problems:
        refuse(problems)
    set_up_logging(config.log_level, config.log_format)
    try:
        if config.once:
            return run_once(build_registry(config, clock, once=True))
        return run_server(config, clock)
    except (CannotBuildError, CannotListenError) as error:
        sys.stderr.write(f"selfheal-exporter: {error}\n")
        return 1


def build_registry(config: Config, clock: Clock, once: bool = False) -> Registry:
    """Given the configuration, return the switched-on collectors. Raise CannotBuildError listing all that is wrong."""
    settings = Settings(config.paths, clock, config.flags, once)
    return Registry(build_collectors(config.collectors, settings), clock, config.web.shows_itself)


def run_server(config: Config, clock: Clock) -> int:
    """Serve until told to end. Raise what main tells if it cannot start."""
    notifier = Notifier(os.environ, clock)
    listeners = listen(config)
    try:
        door, registry = _all_or_none(lambda: let_in(config, listeners, clock), lambda: build_registry(config, clock))
    except CannotBuildError:
        for listener in listeners:
            listener.close()
        raise
    server = Server(listeners, clock, Limits(connections=config.web.most_connections), door)
    scrapes = Scrapes(config.web.most_scrapes)
    reloader = Reloader(config, registry, Settings(config.paths, clock, config.flags), notifier)
    own = [OwnProcess(config.paths).families, scrapes.families, server.families, reloader.families]
    routes = Routes(registry, config.web.metrics_path, _all_of(own if config.web.shows_itself else []), scrapes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: server.soon(lambda: reloader.ask(door.check)))
    logger.info("listening", extra=_told(listeners, registry))
    notifier.ready()
    server.serve(routes.answer, notifier.every, notifier.alive)
    notifier.stopping()
    registry.close()
    logger.info("ended")
    return 0


def _all_or_none(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """Return what both return. Raise CannotBuildError with all that is wrong with either."""
    problems = []
    try:
        made = first()
    except (CannotListenError, ValueError) as error:
        problems.append(str(error))
    try:
        more = second()
    except CannotBuildError as error:
        problems += error.problems
    if problems:
        raise CannotBuildError(problems)
    return made, more


def listen(config: Config) -> list[socket.socket]:
    """Given the configuration, return the listening sockets. Raise CannotListenError if there is none to be had."""
    if not config.web.systemd_socket:
        return open_listeners(config.web.addresses)
    return take_listeners(os.environ)


def let_in(config: Config, listeners: list[socket.socket], clock: Clock) -> Door:
    """Given where we listen, return the door. Raise CannotListenError if others could come in and nobody is asked."""
    reachable = [describe(listener) for listener in listeners if others_can_reach(listener)]
    if reachable and config.web.file is None and not config.web.allows_anyone:
        raise CannotListenError("\n".join(exposed(address) for address in reachable))
    return make_door(config.web, clock, bool(reachable))


def _told(listeners: list[socket.socket], registry: Registry) -> dict[str, str]:
    return {
        "address": ",".join(describe(listener) for listener in listeners),
        "version": __version__,
        "collectors": ",".join(registry.names()),
    }


def _all_of(parts: list[Callable[[], list[Family]]]) -> Callable[[], list[Family]]:
    return lambda: [family for part in parts for family in part()]


if __name__ == "__main__":
    sys.exit(main())
