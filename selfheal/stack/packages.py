"""Debian's packages unpacked into a folder of our own, without root: apt with private state, lists and cache.

Nothing of the system is written. Which packages are wanted, and what is done with them, is not known here.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)

# names under which an archive of Debian itself may be in the system's sources
_DEBIAN = r"(?:bookworm|trixie|forky|oldstable|stable|testing|unstable|sid)"
_ARCHIVE = re.compile(rf"^'(\S+)/dists/{_DEBIAN}/(?:InRelease|main/)")


class PackagesError(Exception):
    """Packages cannot be fetched or unpacked; the message says why."""


class Apt:
    """apt below a working folder; of the system it reads settings (proxies stay), sources and keys.

    With a `suite` only that one is read, from the mirror that the system's own sources name.
    """

    def __init__(self, work: Path, suite: str | None = None) -> None:
        self._folder = work / "packages"
        for part in ("state/lists/partial", "cache/archives/partial", "packages"):
            (work / part).mkdir(parents=True)
        self._settings = work / "apt.conf"
        self._settings.write_text(_settings(work), "utf-8")
        if suite is not None:
            source = work / "suite.list"
            source.write_text(_source(self._mirror(), suite), "utf-8")
            with self._settings.open("a", encoding="utf-8") as settings:
                settings.write(f'Dir::Etc::sourcelist "{source}";\nDir::Etc::sourceparts "-";\n')

    def _command(self, *words: str) -> list[str]:
        return ["apt-get", "-q", "-c", str(self._settings), *words]

    def _mirror(self) -> str:
        # asked of apt itself, which knows both formats of sources and every place they may lie in
        listed = run(self._command("update", "--print-uris"), self._folder).stdout
        found = next((match[1] for line in listed.splitlines() if (match := _ARCHIVE.match(line))), None)
        if found is None:
            raise PackagesError("the system's apt sources name no archive of Debian itself")
        return found

    def fetch(self, *names: str) -> list[Path]:
        """Download the packages; return every file that was downloaded up to now."""
        # a source that cannot be reached fails nothing here: only when a package is missing it is the reason
        unreached = complaints(run(self._command("update"), self._folder).stderr, "W:")
        try:
            run(self._command("download", *names), self._folder)
        except PackagesError as error:
            raise PackagesError(f"{error} ({unreached[0]})" if unreached else str(error)) from error
        return self.files()

    def try_to_fetch(self, name: str) -> None:
        """Download a package that may as well be missing; `fetch` came before."""
        subprocess.run(self._command("download", name), cwd=self._folder, capture_output=True, timeout=300, check=False)

    def files(self) -> list[Path]:
        """Return every file that was downloaded up to now."""
        return sorted(self._folder.glob("*.deb"))


def require_programs() -> None:
    """Raise PackagesError if this system cannot fetch and unpack Debian's packages."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise PackagesError(f"this system has no {program} to fetch Debian's packages with")


def field(package: Path, name: str) -> str:
    """Given a package's file, return a field of its description, empty if it has none."""
    return run(["dpkg-deb", "-f", str(package), name], package.parent).stdout.strip()


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack the packages below `root`, their absolute links pointing into it."""
    root.mkdir()
    for package in packages:
        run(["dpkg-deb", "-x", str(package), str(root)], root)
    _repair_links(root)
    root.chmod(0o755)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other unpackings, and clear what one that was killed has left."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in folder.glob("unpacking-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of apt's to its end. Raise PackagesError with its words if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=900,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackagesError(f"{command[0]} did not end within 15 minutes") from error
    if done.returncode:
        lines = complaints(done.stderr, "E:") or done.stderr.splitlines()
        raise PackagesError(f"{command[0]} failed with code {done.returncode}: {' '.join(lines[-3:])}{_hint(done)}")
    return done


def complaints(text: str, level: str) -> list[str]:
    """Return the lines of apt's that begin with `level`: `W:` or `E:`."""
    return [line for line in text.splitlines() if line.startswith(level)]


def _hint(done: subprocess.CompletedProcess[str]) -> str:
    if "NO_PUBKEY" not in done.stderr and "is not signed" not in done.stderr:
        return ""
    return "; if a key is missing, the package debian-archive-keyring is older than that suite: upgrade it"


def _source(mirror: str, suite: str) -> str:
    keyring = next((path for path in KEYRINGS if path.exists()), None)
    if keyring is None:
        raise PackagesError(f"{KEYRINGS[0]} is missing, which proves what comes from Debian: it is in the package "
                            "debian-archive-keyring")  # fmt: skip
    return f"deb [signed-by={keyring}] {mirror} {suite} main\n"


def _settings(work: Path) -> str:
    """Read after the system's own settings, so that state, lists and cache are ours and no hook runs."""
    return f"""\
Dir::State "{work}/state";
Dir::State::lists "{work}/state/lists";
Dir::Cache "{work}/cache";
Dir::Cache::archives "{work}/cache/archives";
Dir::Log "{work}";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
"""


def _repair_links(root: Path) -> None:
    """Packages link to absolute paths; point such links into the unpacked root where their target is there too."""
    for link in root.rglob("*"):
        if not link.is_symlink():
            continue
        target = link.readlink()
        inside = root / target.relative_to("/") if target.is_absolute() else None
        if inside is not None and inside.exists():
            link.unlink()
            link.symlink_to(os.path.relpath(inside, link.parent))
