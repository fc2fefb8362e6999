"""`selfheal serve`: the remediator itself, in this process."""

from __future__ import annotations

import argparse

from remediator.locale import Catalog
from selfheal.cli.answers import NOTHING_TO_ASK, Failed
from selfheal.common.flags import add_flag

name = "serve"


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add the flags of the daemon."""
    add_flag(
        parser,
        "--web.listen-address",
        dest="listen_address",
        metavar="HOST:PORT",
        default="127.0.0.1:9977",
        help=texts.say("cli.flag.listen_address"),
    )
    add_flag(
        parser,
        "--web.config.file",
        dest="web_config",
        metavar="FILE",
        default="",
        help=texts.say("cli.flag.web_config"),
    )
    levels = ("debug", "info", "warn", "error")
    add_flag(parser, "--log.level", dest="log_level", choices=levels, default="info", help=texts.say("cli.flag.level"))
    forms = ("logfmt", "json")
    add_flag(
        parser, "--log.format", dest="log_format", choices=forms, default="logfmt", help=texts.say("cli.flag.form")
    )


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Run until SIGTERM or Ctrl-C; return the daemon's exit code."""
    from remediator.__main__ import main

    if not options.config_file:
        # a daemon never guesses which configuration it acts by
        raise Failed(texts.say("cli.serve.config_needed"), NOTHING_TO_ASK)
    return main(
        [
            f"--config.file={options.config_file}",
            f"--web.listen-address={options.listen_address}",
            f"--web.config.file={options.web_config}",
            f"--log.level={options.log_level}",
            f"--log.format={'json' if options.json else options.log_format}",
        ]
    )
