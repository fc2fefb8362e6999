"""Command-line flags that can also be set by a `SELFHEAL_…` variable; the help names the variable."""

from __future__ import annotations

import argparse
import os
from typing import Any


def variable_of(flag: str) -> str:
    """Given `--web.listen-address`, return `SELFHEAL_WEB_LISTEN_ADDRESS`."""
    return "SELFHEAL_" + flag.lstrip("-").replace(".", "_").replace("-", "_").upper()


def add_flag(parser: argparse._ActionsContainer, *names: str, help: str, default: Any = None, **options: Any) -> None:
    """Add a flag whose default comes from its variable, if that is set.

    A switch (`store_true`) is on for 1, true or yes; a repeatable flag (`append`) reads its variable split at commas.
    An empty variable counts as not set. A value that argparse refuses on the command line it refuses here too.
    """
    variable = variable_of(next(name for name in names if name.startswith("--")))
    given = os.environ.get(variable, "")
    if given:
        match options.get("action"):
            case "store_true":
                default = given.lower() in {"1", "true", "yes"}
            case "append":
                default = given.split(",")
            case _:
                default = given
    parser.add_argument(*names, default=default, help=f"{help} [${variable}]", **options)
