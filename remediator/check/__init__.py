"""`selfheal check`: what can be wrong in rules, playbooks, policy and configuration, told before it matters.

The only room that sees all four together. It asks no Prometheus and changes nothing.

A check is a module with a `name` and one function `check(world: World) -> Iterator[Problem]`; it gives each problem
with file, path and remedy, and reads nothing but its argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from remediator.check import (
    alerts,
    cached,
    coverage,
    declared,
    expressions,
    labels,
    ladder,
    limits,
    locks,
    machine,
    overlaps,
    permits,
    preconditions,
    proof,
    settings,
    silences,
    steps,
    thresholds,
    unless_healed,
    windows,
)
from remediator.check.proof import AlertProof
from remediator.check.world import World, read_world
from selfheal.common.problems import Problem

__all__ = ["CHECKS", "AlertProof", "Check", "Report", "run"]


READING = "reading"
"""What found the problems of files that could not be read."""


class Check(Protocol):
    """A module in this folder."""

    name: str

    def check(self, world: World) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        ...


CHECKS: tuple[Check, ...] = (
    alerts,
    coverage,
    overlaps,
    labels,
    expressions,
    steps,
    silences,
    ladder,
    preconditions,
    unless_healed,
    limits,
    locks,
    proof,
    cached,
    declared,
    thresholds,
    machine,
    permits,
    windows,
    settings,
)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found."""

    problems: tuple[Problem, ...]
    found_by: tuple[str, ...]
    """For each problem the name of its check, or `reading`."""
    proofs: tuple[AlertProof, ...]
    """How each alert can be proven healed, in the order of the rules."""
    files: tuple[Path, ...]
    """What was read."""

    @property
    def ok(self) -> bool:
        """Say whether there is no error; warnings do not count."""
        return not any(problem.level == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "ok": self.ok,
            "files": [str(path) for path in self.files],
            "problems": [
                {"file": p.file, "path": p.path, "what": p.what, "remedy": p.remedy, "level": p.level}
                for p in self.problems
            ],
            "proofs": [found.to_json() for found in self.proofs],
        }


def run(
    config_file: Path | None = None,
    rules: Sequence[Path] = (),
    playbooks: Sequence[Path] = (),
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """Given a configuration file, or rule and playbook files alone, return everything that is wrong with them.

    Rule or playbook files given here stand for those of the configuration; without anything the shipped ones are read.
    A file that cannot be read does not hide what is wrong in the others, but nothing is called missing then. Raise
    nothing.
    """
    world, problems = read_world(config_file, rules, playbooks)
    found = dict.fromkeys(problems, READING)
    for check in checks:
        for problem in check.check(world):
            found.setdefault(problem, check.name)
    return Report(tuple(found), tuple(found.values()), proof.proofs(world), world.files)
