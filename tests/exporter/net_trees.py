"""The written tree of a host with many network devices, and the network collectors built on it or on a copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import Family
from exporter.paths import Paths
from exporter.settings import Settings
from selfheal.common.clock import ManualClock
from tests.exporter.trees import FIXTURES
from tests.tools import do_without

TREE = FIXTURES / "oracle" / "net"
LIVE = Paths()


def paths(tree: Path = TREE) -> Paths:
    """Return the three roots of a written tree."""
    return Paths(tree / "proc", tree / "sys", tree / "root")


def copied(tmp_path: Path) -> Path:
    """Copy the tree to where a test may change it."""
    return Path(shutil.copytree(TREE, tmp_path / "tree", symlinks=True))


def create(name: str, *flags: str, at: Paths | None = None) -> Callable[[], list[Family]]:
    """Build one collector from flags, on the written tree if no other is given."""
    return COLLECTORS[name].create(Settings(at or paths(), ManualClock(), make_parser().parse_args(flags)))


def in_network(prepare: str, code: str) -> str:
    """Run Python code in a network namespace of its own, with sysfs, prepared by a shell script; return what it prints.

    Where this user may make none, or has no `ip`, the test is skipped, or fails in CI.
    """
    wrapped = ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-ec"]
    enter = "mount -t sysfs sysfs /sys && ip link set lo up"
    if (
        not all(map(shutil.which, ("unshare", "ip")))
        or subprocess.run([*wrapped, enter], capture_output=True).returncode
    ):
        do_without("this user may make no network namespace here, or unshare or ip is missing")
    script = f'{enter}\n{prepare}\nexec "$0" -c "$1"'
    done = subprocess.run([*wrapped, script, sys.executable, code], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout
