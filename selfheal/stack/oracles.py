"""Debian's packages of the exporters that ours is compared with and measured against, unpacked as Prometheus is.

Two releases of Debian have two generations of each; a system's sources name one, so the other comes from its mirror.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from selfheal.stack.packages import Apt, PackagesError, alone, field, require_programs, unpack
from selfheal.stack.tools import default_folder

# program → the package that holds it, and its binary's name
PACKAGES: Mapping[str, str] = {
    "node_exporter": "prometheus-node-exporter",
    "process-exporter": "prometheus-process-exporter",
}
# suite of Debian → the version of each that it has
SUITES: Mapping[str, Mapping[str, str]] = {
    "trixie": {"node_exporter": "1.9.0", "process-exporter": "0.8.5"},
    "bookworm": {"node_exporter": "1.5.0", "process-exporter": "0.7.10"},
}
NEWER = SUITES["trixie"]
OLDER = SUITES["bookworm"]


class OraclesMissing(Exception):
    """Exporters that cannot be had; says of which suite, and why."""

    def __init__(self, suite: str, reason: str) -> None:
        wanted = " and ".join(f"{program} {version}" for program, version in SUITES[suite].items())
        super().__init__(f"{wanted} not found: Debian's {suite} is needed for them, and {reason}")


def find_oracle(program: str, version: str, folder: Path) -> Path | None:
    """Given one of the programs and its version, return its binary as unpacked below `folder`, else None."""
    suite = next(suite for suite, versions in SUITES.items() if versions[program] == version)
    binary = _root(folder.resolve(), suite) / "usr/bin" / PACKAGES[program]
    return binary if binary.exists() else None


def provide_oracles(folder: Path, say: Callable[[str], None]) -> dict[tuple[str, str], Path]:
    """Return every program by name and version, unpacking what is missing. Raise OraclesMissing if it cannot.

    `say` is told before anything is fetched, with the folder.
    """
    for suite in SUITES:
        if _is_whole(folder, suite):
            continue
        try:
            require_programs()
            with alone(folder.resolve()):
                # whoever held the folder before us may have unpacked it
                if not _is_whole(folder, suite):
                    say(str(_root(folder.resolve(), suite)))
                    _unpack(folder.resolve(), suite)
        except PackagesError as error:
            raise OraclesMissing(suite, str(error)) from error
    return {
        (program, version): _root(folder.resolve(), suite) / "usr/bin" / PACKAGES[program]
        for suite, versions in SUITES.items()
        for program, version in versions.items()
    }


def _root(folder: Path, suite: str) -> Path:
    return folder / "oracles" / suite


def _is_whole(folder: Path, suite: str) -> bool:
    return all(find_oracle(program, version, folder) for program, version in SUITES[suite].items())


def _unpack(folder: Path, suite: str) -> None:
    with TemporaryDirectory(prefix="unpacking-", dir=folder) as name:
        root = Path(name) / "root"
        files = Apt(Path(name), suite).fetch(*PACKAGES.values())
        _check_versions(files, suite)
        unpack(files, root)
        target = _root(folder, suite)
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)


def _check_versions(files: list[Path], suite: str) -> None:
    versions = {field(file, "Package"): field(file, "Version") for file in files}
    for program, package in PACKAGES.items():
        version, wanted = versions[package], SUITES[suite][program]
        if version.partition("-")[0] != wanted:
            raise PackagesError(f"it has {package} {version}, where {wanted} is what ours is compared with")


def main() -> int:
    """Find or unpack all of them and say where each is; return 1 with the reason if that cannot be done."""
    try:
        found = provide_oracles(default_folder(), lambda root: _tell(f"unpacking Debian's packages into {root}"))
    except OraclesMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for (program, version), binary in found.items():
        _tell(f"{program:16} {version:7} {binary}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
