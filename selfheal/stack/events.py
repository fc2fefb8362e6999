"""What happens on the stack, as frozen values without words: `selfheal up` says them in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Unpacking:
    """Prometheus and Alertmanager are not on PATH: Debian's packages are being unpacked into `folder`."""

    folder: str


@dataclass(frozen=True, slots=True)
class PortMoved:
    """The wanted port of `program` is in use; it listens on `port` instead."""

    program: str
    wanted: int
    port: int


@dataclass(frozen=True, slots=True)
class SettingPutBack:
    """In remediator.yml what the stack decides is right again: `setting` has `value`; `was` stood there, or nothing."""

    setting: str
    value: str
    was: str


@dataclass(frozen=True, slots=True)
class ProgramStarted:
    """`program` was started for the first time and may not be ready yet."""

    program: str
    pid: int


@dataclass(frozen=True, slots=True)
class ProgramReady:
    """`program` answers; `url` is where a person can look at it (empty: nowhere)."""

    program: str
    url: str


@dataclass(frozen=True, slots=True)
class ProgramDied:
    """`program` ended although nobody asked it to; it is started again after `restart_in` seconds (None: never)."""

    program: str
    code: int
    restart_in: float | None
    log: Path


@dataclass(frozen=True, slots=True)
class ProgramRestarted:
    """`program` was started again after it died."""

    program: str
    pid: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """Everything is being stopped."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing runs any more; the state stays in `state`."""

    state: Path


@dataclass(frozen=True, slots=True)
class RemediationChanged:
    """A remediation is new or moved on; `seconds` since its alert began, `observed` when its playbook only watches.

    `touched` are the effects on record when they have ended, as the API has them; empty at all other moves.
    """

    remediation: str
    playbook: str
    target: str
    alert: str
    state: str
    verdict: str
    reason: str
    seconds: float
    observed: bool
    touched: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class FaultInjected:
    """The demo patient was made ill: fault `number` of `total`."""

    fault: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class FaultHealed:
    """A fault was healed and verified, `seconds` after it began."""

    fault: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FaultNotHealed:
    """A fault was not verified in time; the next one begins. `answered`: a remediation began at least."""

    fault: str
    seconds: float
    answered: bool = True


@dataclass(frozen=True, slots=True)
class PatientWell:
    """All faults of the demo are over; the patient stays well from here on."""

    healed: int
    total: int


Event = (
    Unpacking
    | PortMoved
    | SettingPutBack
    | ProgramStarted
    | ProgramReady
    | ProgramDied
    | ProgramRestarted
    | Stopping
    | Stopped
    | RemediationChanged
    | FaultInjected
    | FaultHealed
    | FaultNotHealed
    | PatientWell
)
