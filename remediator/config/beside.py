"""The files that the configuration names, relative to it, and every problem that only the machine can tell."""

from __future__ import annotations

from pathlib import Path

from remediator.config import SHIPPED, shipped_files
from selfheal.common.files import privacy_problem
from selfheal.common.problems import Problem
from selfheal.common.secrets import Secret


class Beside:
    """Finds what the file at `path` names, and notes what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def wrong(self, at: str, what: str, remedy: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(str(self.path), at, what, remedy))

    def place(self, text: str) -> Path:
        """Given a path as written, return it absolute; it is relative to the file."""
        return self.path.parent / text

    def optional(self, text: str | None) -> Path | None:
        """Given a path as written or None, return it absolute or None."""
        return None if text is None else self.place(text)

    def files(self, patterns: list[str] | None, at: str, shipped: tuple[str, ...]) -> tuple[Path, ...]:
        """Given patterns as written (or None for the shipped files), return the files they name, without repeats."""
        found: dict[Path, None] = {}
        for index, pattern in enumerate([SHIPPED] if patterns is None else patterns):
            matches = shipped_files(shipped) if pattern == SHIPPED else self.matches(pattern)
            if not matches:
                self.wrong(f"{at}[{index}]", f"{pattern!r} names no file", "mend the path or remove the line")
            found.update(dict.fromkeys(matches))
        return tuple(found)

    def matches(self, pattern: str) -> tuple[Path, ...]:
        """Given a path as written, in which * and ** may stand, return the files it names, sorted."""
        place = self.place(pattern)
        # only the part as written may hold wildcards, not the folder that the file happens to be in
        root = Path(place.anchor) if Path(pattern).is_absolute() else self.path.parent
        if place == root:
            return ()
        return tuple(sorted(match for match in root.glob(str(place.relative_to(root))) if match.is_file()))

    def present(self, text: str | None, at: str) -> Path | None:
        """Given the path of a file that must exist, return it absolute."""
        if text is None:
            return None
        path = self.place(text)
        if not path.is_file():
            self.wrong(at, f"{text!r} names no file", "mend the path")
        return path

    def secret(self, text: str, at: str) -> Secret | None:
        """Given the path of a private file that holds one secret, return the secret."""
        path = self.place(text)
        try:
            problem = privacy_problem(path)
            content = path.read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            self.wrong(at, f"cannot read {path} ({error.__class__.__name__})", "name a file that this user can read")
            return None
        if problem is None and (not content or not content.isprintable()):
            problem = f"{path} must hold one line; write the secret into it"
        if problem is not None:
            self.wrong(at, *problem.split("; ", 1))
            return None
        return Secret(content)
