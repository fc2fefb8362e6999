"""What is wrong in files that people write: where, what, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file a person wrote: where, what, and the remedy."""

    file: str
    path: str
    what: str
    remedy: str = ""
    level: str = "error"
    """`error` or `warning`; only errors make `selfheal check` fail."""

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}: " if self.path else f"{self.file}: "
        return place + self.what + (f"; {self.remedy}" if self.remedy else "")


class ConfigError(ValueError):
    """What a person wrote cannot be used; `problems` holds everything found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        """Let it travel from one process to another with its problems."""
        return (type(self), (self.problems,))
