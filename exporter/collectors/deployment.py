"""The health of what is deployed here, asked on its own timers: one state per deployment, and that of each part."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.encode import Family, Metric
from exporter.refresh import Refresher
from exporter.settings import Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.deployment.ask import Asker
    from exporter.deployment.model import Deployment, Finding, Part, State

logger = getLogger(__name__)

name = "deployment"
text = "health of deployments: units, sockets, containers and versions that should be here"
enabled = False

_CACHED = "Cached: as it was at the last refresh."
_PART = ("deployment", "kind", "part")
_STATE = Metric(
    "selfheal_deployment_state",
    "gauge",
    "1 for the state the deployment is in: unavailable if a part it needs is, else degraded if a part is not healthy, "
    f"else healthy. {_CACHED}",
    ("deployment", "state"),
)
_PART_STATE = Metric(
    "selfheal_deployment_part_state",
    "gauge",
    "1 for the state the part is in: healthy, degraded (there, but not as it should be) or unavailable (not there). "
    f"All 0 if it could not be asked. {_CACHED}",
    (*_PART, "state"),
)
_PART_NEEDED = Metric(
    "selfheal_deployment_part_needed",
    "gauge",
    "Whether the deployment is unavailable without the part, instead of degraded.",
    _PART,
)
_VERSION = Metric(
    "selfheal_deployment_version_info",
    "gauge",
    f"1, with the version that the part told and the expected one; absent if it told none. {_CACHED}",
    ("deployment", "part", "version", "expected"),
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file of deployments."""
    add_flag(
        parser, "--collector.deployment.config", metavar="FILE", type=Path,
        help="YAML file that says what is deployed here and what it consists of",
    )  # fmt: skip


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path: Path | None = vars(flags)["collector.deployment.config"]
    return [path] if path is not None else []


def create(settings: Settings) -> DeploymentCollector:
    """Return what asks the deployments from now on. Raise ConfigError, a ValueError, if the file is wrong."""
    path: Path | None = vars(settings.flags)["collector.deployment.config"]
    if path is None:
        raise ValueError(
            "the deployment collector has nothing to watch; name a file with --collector.deployment.config"
        )
    # only here, for it costs memory: pydantic, ssl, D-Bus
    from exporter.deployment.ask import Asker
    from exporter.deployment.written import read_deployments

    deployments = read_deployments(path)
    askers = {found.name: Asker(found, settings.paths, settings.clock) for found in deployments}
    return DeploymentCollector(
        name,
        {found.name: _reader(found, askers[found.name]) for found in deployments},
        {found.name: found.every for found in deployments},
        settings,
        # each part has its own; only what the system does not bound comes near this
        deadline=max(found.timeout * (len(found.parts) + 1) for found in deployments),
    )


class DeploymentCollector(Refresher):
    """All deployments, each asked on its own timer."""

    def __call__(self) -> list[Family]:
        """Return what was found last."""
        return self.collect()


def _reader(deployment: Deployment, asker: Asker) -> Callable[[], list[Family]]:
    from exporter.deployment.model import State, judge

    last: dict[tuple[str, str], State | None] = {}

    def read() -> list[Family]:
        findings = asker.ask()
        _log_changes(deployment.name, last, findings)
        state = judge(findings)
        if state is None:
            unknown = [f"{part.kind} {part.name}: {finding.reason}" for part, finding in findings if not finding.state]
            raise ValueError("; ".join(unknown))
        return _families(deployment.name, state, findings, tuple(State))

    return read


def _log_changes(
    deployment: str, last: dict[tuple[str, str], State | None], findings: Sequence[tuple[Part, Finding]]
) -> None:
    """Say why a part is not healthy, once until that changes; how it is now is on the page."""
    for part, finding in findings:
        key = (part.kind, part.name)
        if last.get(key, "healthy") != finding.state:
            fields = {"deployment": deployment, "part": f"{part.kind} {part.name}", "reason": finding.reason}
            state = "unknown" if finding.state is None else str(finding.state)
            report = logger.info if state == "healthy" else logger.warning
            report("part of a deployment changed its state", extra={**fields, "state": state})
        last[key] = finding.state


def _families(
    deployment: str, state: State, findings: Sequence[tuple[Part, Finding]], states: tuple[State, ...]
) -> list[Family]:
    keys = [((deployment, part.kind, part.name), part, finding) for part, finding in findings]
    return [
        _STATE.of({(deployment, each): int(each is state) for each in states}),
        _PART_STATE.of({(*key, each): int(each is finding.state) for key, _, finding in keys for each in states}),
        _PART_NEEDED.of({key: int(part.needed) for key, part, _ in keys}),
        _VERSION.of(
            {
                (deployment, part.name, finding.version, finding.expected or ""): 1
                for _, part, finding in keys
                if finding.version is not None
            }
        ),
    ]
