"""All files of an installation read together: configuration, playbooks and policy, as one value.

The strict reader is large (some 12 MB with what it needs), and it is needed at a start and at a reload only. So the
resident program has its files read by a short process of its own, which ends when it has read.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from remediator.actions import ACTIONS
from remediator.config import Config
from remediator.model import Action, Playbook
from remediator.policy import Policy
from remediator.shell import run_own
from selfheal.common.problems import ConfigError, Problem

LONGEST = 60.0
"""Seconds that reading may take."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a person wrote, as values."""

    config: Config
    playbooks: tuple[Playbook, ...]
    policy: Policy


Read: TypeAlias = Callable[[], Files]
"""Reads all files anew. Raises ConfigError with every problem found."""


def read(
    path: Path, listen_address: str, actions: Mapping[str, Action] = ACTIONS, web_config: Path | None = None
) -> Files:
    """Given the configuration file, the address to listen on and the known actions, return what all files hold.

    `web_config`, if given, stands for the configuration's own `web_config_file`.

    Raise ConfigError with every problem of the first kind of file that has one.
    """
    # here and not above: this is what the resident program must not load
    from remediator.config.reading import load
    from remediator.playbooks.loader import load_playbooks
    from remediator.policy_file import load_policy

    config = load(path, listen_address, web_config)
    playbooks = load_playbooks(config.playbooks, config.limits, actions)
    asked = [endpoint.url for endpoint in (config.prometheus, *config.alertmanagers)]
    own = f"http://{config.listen_address}" if config.listen_address else ""
    policy = (
        Policy()
        if config.policy is None
        else load_policy(config.policy, protected=config.protected, monitoring=[*asked, own])
    )
    return Files(config, playbooks, policy)


def read_apart(path: Path, listen_address: str, module: str = __name__, web_config: Path | None = None) -> Files:
    """Return what `read` returns, read by a process of its own; `module` is what it runs, which ends in `main` here.

    Raise ConfigError likewise.
    """
    given = [str(path), listen_address, *([] if web_config is None else [str(web_config)])]
    code, output = run_own(module, given, LONGEST)
    if code != 0:
        told = Problem(str(path), "", f"could not be read: the reading process ended with {code}", "see the log above")
        raise ConfigError([told])
    # our own program wrote this into a pipe that only it has
    answer: Files | ConfigError = pickle.loads(output)
    if isinstance(answer, ConfigError):
        raise answer
    return answer


def main(arguments: list[str], actions: Mapping[str, Action] = ACTIONS) -> int:
    """Read with these actions, and write the values or the problems to standard output for the process that asked."""
    path, listen_address, *web_config = arguments
    answer: Files | ConfigError
    try:
        answer = read(Path(path), listen_address, actions, Path(web_config[0]) if web_config else None)
    except ConfigError as error:
        answer = error
    sys.stdout.buffer.write(pickle.dumps(answer))
    return 0


if __name__ == "__main__":
    # by its own name, so that the values are not those of a module called __main__, which their reader has another of
    from remediator import reading

    sys.exit(reading.main(sys.argv[1:]))
