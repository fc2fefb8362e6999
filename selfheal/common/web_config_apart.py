"""Reads the file of `--web.config.file` in a process of its own, for a program that does not hold the strict reader."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from selfheal.common.problems import ConfigError
from selfheal.common.web_config import WebConfig
from selfheal.common.web_config_file import read_web_config


def main(arguments: list[str]) -> int:
    """Write what the file asks for, or its problems, to standard output for the process that asked."""
    answer: WebConfig | ConfigError
    try:
        answer = read_web_config(Path(arguments[0]))
    except ConfigError as error:
        answer = error
    sys.stdout.buffer.write(pickle.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
