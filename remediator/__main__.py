"""`python -m remediator`: the daemon itself, as the stack and a service manager start it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from remediator.app import run
from remediator.config import DEFAULT_LISTEN_ADDRESS
from selfheal.common.flags import add_flag
from selfheal.common.logs import set_up_logging


def main(arguments: list[str] | None = None) -> int:
    """Run the remediator until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m remediator", description="Receives alerts and heals what is sick.")
    add_flag(parser, "--config.file", dest="config", default="remediator.yml", help="the configuration file")
    add_flag(
        parser, "--web.listen-address", dest="address", default=DEFAULT_LISTEN_ADDRESS, help="address to listen on"
    )
    add_flag(parser, "--web.config.file", dest="web_config", default="", help="TLS and passwords; else web_config_file")
    levels = ["debug", "info", "warn", "error"]
    add_flag(parser, "--log.level", dest="level", default="info", choices=levels, help="least level of log lines")
    forms = ["logfmt", "json"]
    add_flag(parser, "--log.format", dest="form", default="logfmt", choices=forms, help="form of log lines")
    given = parser.parse_args(arguments)
    set_up_logging(given.level, given.form)
    web_config = Path(given.web_config).absolute() if given.web_config else None
    return run(Path(given.config), given.address, web_config=web_config)


if __name__ == "__main__":
    sys.exit(main())
