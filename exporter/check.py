"""`--config.check`: builds everything that the flags ask for, says all that is wrong, and ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from exporter.build import CannotBuildError, build_collectors
from exporter.config import Config
from exporter.doorkeeping import make_door
from exporter.registry import close_all
from exporter.settings import Settings
from selfheal.common.clock import Clock


def run_check(config: Config, clock: Clock, problems: Sequence[str]) -> int:
    """Given the configuration and what is wrong with the flags, print all that is wrong; return 0 if nothing is."""
    found = list(problems)
    # as for one page: a check must not write over what a server beside it keeps
    settings = Settings(config.paths, clock, config.flags, once=True)
    try:
        close_all(build_collectors(config.collectors, settings).values())
    except CannotBuildError as error:
        found += error.problems
    try:
        make_door(config.web, clock, exposed=bool(config.web.reachable))
    except ValueError as error:
        found.append(str(error))
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if not found:
        sys.stdout.write("selfheal-exporter: flags and files are in order\n")
    return 1 if found else 0
