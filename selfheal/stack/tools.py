"""Find Prometheus and Alertmanager on PATH, or unpack Debian's packages into a folder of our own, without root.

Only copies are patched.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from selfheal.common.shipped import shipped
from selfheal.stack.packages import Apt, PackagesError, alone, field, require_programs, unpack

# tool → the names it goes by, the upstream one first
NAMES: Mapping[str, tuple[str, ...]] = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "amtool": ("amtool",),
}
PACKAGES = ("prometheus", "prometheus-alertmanager")

# Debian compiles this path in. The relative one has the same length and means the same below the unpacked root,
# if that root is the working directory: usr/share/prometheus//alertmanager
COMPILED_IN = b"/usr/share/prometheus"
RELATIVE = b"usr/share/prometheus/"

_UNPACKED = "debian"
_ON_PATH = "put prometheus, promtool, alertmanager and amtool on PATH (https://prometheus.io/download/ has them)"


class ToolsMissing(Exception):
    """Tools that are neither on PATH nor to be had from apt; says which, why, and what to put on PATH."""

    def __init__(self, missing: tuple[str, ...], reason: str) -> None:
        super().__init__(f"{', '.join(missing)} not found: {reason}; {_ON_PATH}")
        self.missing = missing
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tool:
    """One binary, and the working directory it must be started in (None: any)."""

    name: str
    path: Path
    folder: Path | None


def default_folder() -> Path:
    """Return `.tools` beside the checkout, or in the working directory when installed from a wheel."""
    return shipped(".tools") if shipped("pyproject.toml").exists() else Path.cwd() / ".tools"


def find(name: str, folder: Path, search_path: str | None = None) -> Tool | None:
    """Given a tool, return it from PATH (`search_path` replaces it), else as unpacked below `folder`, else None."""
    for alias in NAMES[name]:
        on_path = shutil.which(alias, path=search_path)
        if on_path:
            return Tool(name, Path(on_path).resolve(), None)
    root = folder.resolve() / _UNPACKED
    for alias in NAMES[name]:
        unpacked = root / "usr/bin" / alias
        if unpacked.exists():
            return Tool(name, unpacked, root)
    return None


def provide(folder: Path, say: Callable[[str], None], search_path: str | None = None) -> dict[str, Tool]:
    """Return every tool, unpacking Debian's packages below `folder` if one is missing. Raise ToolsMissing if it cannot.

    `say` is told before anything is fetched, with the folder.
    """
    missing = _missing(folder, search_path)
    if missing:
        try:
            require_programs()
            with alone(folder.resolve()):
                # whoever held the folder before us may have unpacked it
                missing = _missing(folder, search_path)
                if missing:
                    say(str(folder.resolve() / _UNPACKED))
                    _unpack_packages(folder.resolve())
        except PackagesError as error:
            raise ToolsMissing(missing, str(error)) from error
        missing = _missing(folder, search_path)
        if missing:
            raise ToolsMissing(missing, f"Debian's packages {' and '.join(PACKAGES)} do not hold it")
    found = {name: find(name, folder, search_path) for name in NAMES}
    return {name: tool for name, tool in found.items() if tool is not None}


def patch(binary: Path) -> int:
    """Replace the compiled-in path in an unpacked binary by the relative one; return how many places were changed."""
    data = binary.read_bytes()
    count = data.count(COMPILED_IN)
    if count:
        beside = binary.with_name(f".{binary.name}.{os.getpid()}.new")
        beside.write_bytes(data.replace(COMPILED_IN, RELATIVE))
        beside.chmod(0o755)
        beside.replace(binary)
    return count


def _missing(folder: Path, search_path: str | None) -> tuple[str, ...]:
    return tuple(name for name in NAMES if find(name, folder, search_path) is None)


def _unpack_packages(folder: Path) -> None:
    """Fetch and unpack into a folder beside, patch, and only then rename: half an unpacking is never found."""
    with TemporaryDirectory(prefix="unpacking-", dir=folder) as name:
        root = Path(name) / "root"
        unpack(_fetch(Apt(Path(name))), root)
        for binary in (root / "usr/bin").iterdir():
            patch(binary)
        target = folder / _UNPACKED
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)


def _fetch(apt: Apt) -> list[Path]:
    """Download the packages; return the files. What the web pages need is fetched if it is there."""
    apt.fetch(*PACKAGES)
    asked: set[str] = set()
    for _ in range(2):  # a library of the pages may need one more, not deeper
        extras = {extra for package in apt.files() for extra in _page_packages(package)}
        for extra in sorted(extras - asked):
            # only Prometheus's classic pages need these: without them the API and the start are whole
            apt.try_to_fetch(extra)
        asked |= extras
    return apt.files()


def _page_packages(package: Path) -> list[str]:
    return re.findall(r"\b(?:libjs|fonts)-[a-z0-9.+-]+", field(package, "Depends"))


def main() -> int:
    """Find or unpack all tools and say where each is; return 1 with the remedy if that cannot be done."""
    try:
        tools = provide(default_folder(), lambda root: _tell(f"unpacking Debian's packages into {root}"))
    except ToolsMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for tool in tools.values():
        _tell(f"{tool.name:13} {tool.path}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
