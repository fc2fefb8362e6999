"""Find Prometheus and Alertmanager on PATH, or unpack Debian's packages into a folder of our own, without root.

Nothing of the system is written: apt works with a private state, lists and cache, and only copies are patched.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from selfheal.common.shipped import shipped

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
        for program in ("apt-get", "dpkg-deb"):
            if shutil.which(program) is None:
                raise ToolsMissing(missing, f"this system has no {program} to fetch Debian's packages with")
        with _alone(folder.resolve()):
            # whoever held the folder before us may have unpacked it
            missing = _missing(folder, search_path)
            if missing:
                say(str(folder.resolve() / _UNPACKED))
                _unpack_packages(folder.resolve(), missing)
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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
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


def _missing(folder: Path, search_path: str | None) -> tuple[str, ...]:
    return tuple(name for name in NAMES if find(name, folder, search_path) is None)


def _unpack_packages(folder: Path, missing: tuple[str, ...]) -> None:
    """Fetch and unpack into a folder beside, patch, and only then rename: half an unpacking is never found."""
    with TemporaryDirectory(prefix="unpacking-", dir=folder) as name:
        work = Path(name)
        root = work / "root"
        root.mkdir()
        for package in _fetch(work, missing):
            _run(["dpkg-deb", "-x", str(package), str(root)], work, missing)
        for binary in (root / "usr/bin").iterdir():
            patch(binary)
        _repair_links(root)
        root.chmod(0o755)
        target = folder / _UNPACKED
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)


def _fetch(work: Path, missing: tuple[str, ...]) -> list[Path]:
    """Download the packages with a private apt; return the files. What the web pages need is fetched if it is there."""
    for part in ("state/lists/partial", "cache/archives/partial", "packages"):
        (work / part).mkdir(parents=True)
    settings = work / "apt.conf"
    settings.write_text(_apt_settings(work), "utf-8")
    apt = ["apt-get", "-q", "-c", str(settings)]
    packages = work / "packages"
    # a source that cannot be reached fails nothing here: only when a package is missing it is the reason
    unreached = _complaints(_run([*apt, "update"], work, missing).stderr, "W:")
    try:
        _run([*apt, "download", *PACKAGES], packages, missing)
    except ToolsMissing as error:
        if not unreached:
            raise
        raise ToolsMissing(missing, f"{error.reason} ({unreached[0]})") from error
    asked: set[str] = set()
    for _ in range(2):  # a library of the pages may need one more, not deeper
        extras = {extra for package in packages.glob("*.deb") for extra in _page_packages(package, work, missing)}
        for extra in sorted(extras - asked):
            # only Prometheus's classic pages need these: without them the API and the start are whole
            subprocess.run([*apt, "download", extra], cwd=packages, capture_output=True, timeout=300, check=False)
        asked |= extras
    return sorted(packages.glob("*.deb"))


def _page_packages(package: Path, work: Path, missing: tuple[str, ...]) -> list[str]:
    depends = _run(["dpkg-deb", "-f", str(package), "Depends"], work, missing).stdout
    return re.findall(r"\b(?:libjs|fonts)-[a-z0-9.+-]+", depends)


def _apt_settings(work: Path) -> str:
    """Read after the system's own settings (proxies stay), so that state, lists and cache are ours and no hook runs."""
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


def _run(command: list[str], folder: Path, missing: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
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
        raise ToolsMissing(missing, f"{command[0]} did not end within 15 minutes") from error
    if done.returncode:
        lines = _complaints(done.stderr, "E:") or done.stderr.splitlines()
        raise ToolsMissing(missing, f"{command[0]} failed with code {done.returncode}: {' '.join(lines[-3:])}")
    return done


def _complaints(text: str, level: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(level)]


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
