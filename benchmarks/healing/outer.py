"""Goes into namespaces of the benchmark's own, so that whatever a run starts, links or mounts ends with it.

Network, mounts and pids are new: the bridge, every veth, every mount and every process are gone when the inner process
ends, however it ends. Nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from selfheal.stack import kernel

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
NEEDED = ("unshare", "ip", "mount")
CANNOT = 2
"""Exit code where the benchmark cannot run at all."""
PATIENCE = 30.0
"""Seconds that the inner process has to end after it was asked to."""
PROBE = """
ip link add name probe0 type bridge
ip link add name probe1 type veth peer name probe2
mount -t tmpfs probe /srv
"""


def why_not() -> str | None:
    """Return why namespaced hosts cannot be made here, with the remedy, or None."""
    if os.geteuid() != 0:
        return "hosts are namespaces, which need root: run it with sudo, or in a container that is --privileged"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found: install util-linux, mount and iproute2"
    if not Path("/srv").is_dir():
        return "there is no folder /srv, over which hosts mount their own: mkdir /srv"
    argv = [*UNSHARE, "sh", "-ec", PROBE]
    probe = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode:
        said = " ".join(probe.stderr.split()) or f"code {probe.returncode}"
        return f"this machine does not allow namespaces with a bridge, veth and tmpfs ({said}): use a virtual machine"
    return None


def run_inside(arguments: Sequence[str]) -> int:
    """Run the benchmark again, inside, with a folder that is removed afterwards; return its exit code.

    Ctrl-C and SIGTERM end it as they would end us; if we are killed, the kernel kills it and all of its hosts.
    """
    with TemporaryDirectory(prefix="healing-") as folder:
        argv = [*UNSHARE, sys.executable, "-m", "benchmarks.healing", "--inside", folder, *arguments]
        parent = os.getpid()
        # not our session's: a Ctrl-C reaches us alone, and we hand it on once
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: kernel.die_with_parent(parent)
        )
        asked = [0]

        def hand_on(_number: int, _frame: object) -> None:
            asked[0] += 1
            for pid in kernel.children(process.pid):
                os.kill(pid, signal.SIGTERM if asked[0] == 1 else signal.SIGKILL)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, hand_on)
        try:
            return _wait(process, asked)
        finally:
            kernel.end_group(process)


def _wait(process: subprocess.Popen[bytes], asked: list[int]) -> int:
    left = PATIENCE
    while left > 0:
        try:
            return process.wait(0.5)
        except subprocess.TimeoutExpired:
            left -= 0.5 if asked[0] else 0.0
    return 1
