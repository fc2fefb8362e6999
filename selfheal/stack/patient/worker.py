"""One worker of the patient: `python -m selfheal.stack.patient.worker KIND ID PORT`. Well until SIGUSR1.

With a witness file in the environment it is a decoy instead: same program, same arguments, but it only notes the
signals that it gets.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

# kind → the module with its `live(port)`; imported by that worker only, so that the others stay small
KINDS: Mapping[str, str] = {
    "leaker": "selfheal.stack.patient.leaker",
    "sick-parent": "selfheal.stack.patient.sick_parent",
    "spinner": "selfheal.stack.patient.spinner",
    "web": "selfheal.stack.patient.web",
}

# held back until the worker is ready for them; see kernel.start
BLOCKED = (signal.SIGUSR1, signal.SIGCHLD)

_MODULE = "selfheal.stack.patient.worker"
WITNESS_VARIABLE = "SELFHEAL_PATIENT_WITNESS"
_NOTED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTERM,
    signal.SIGCHLD,
    signal.SIGCONT,
)


def arguments(kind: str, patient: str, port: int) -> list[str]:
    """Return the argument list of a worker; a decoy has the same."""
    return [sys.executable, "-m", _MODULE, kind, patient, str(port)]


def pattern(kind: str, patient: str) -> str:
    """Return the regular expression that matches the command line of such workers and nobody else's."""
    return f"{_MODULE.replace('.', '[.]')} {kind} {patient} "


def _witness(path: Path) -> NoReturn:
    def remember(number: int, _frame: FrameType | None) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{signal.Signals(number).name}\n")

    for number in _NOTED:
        signal.signal(number, remember)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    path.touch()  # ready: nothing that comes from here on is missed
    while True:
        signal.pause()


def main() -> None:
    """Live as the kind of worker that the first argument names."""
    kind, _, port = sys.argv[1:4]
    witness = os.environ.get(WITNESS_VARIABLE)
    if witness:
        _witness(Path(witness))
    import_module(KINDS[kind]).live(int(port))


if __name__ == "__main__":
    main()
