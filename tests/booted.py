"""A real systemd, booted as process 1 of namespaces of its own, with a bus and the units that a test writes.

It boots one small target of ours instead of the distribution's: nothing of this machine is mounted, cleaned or started.
What it could write to (/run, /tmp, /var/tmp, its own state, /etc's units) is empty memory in its mount namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.stack.support import wait_until
from tests.tools import do_without

SYSTEMD = Path("/lib/systemd/systemd")
NEEDED = ("unshare", "nsenter", "mount", "systemctl", "dbus-daemon")
UNITS = {
    "world.target": """[Unit]
Description=All that this machine has
DefaultDependencies=no
Requires=dbus.service
After=dbus.service
""",
    "dbus.socket": """[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
""",
    "dbus.service": """[Unit]
DefaultDependencies=no
Requires=dbus.socket
[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
""",
}
# private before all else: what is mounted here must never be seen, or emptied, outside
_BOOT = """set -eu
mount --make-rprivate /
mkdir -p /mnt
mount -t tmpfs tmpfs /mnt
cp "$1"/* /mnt
for folder in /var/tmp /var/lib/systemd /etc/systemd/system /run /tmp; do
  mount -t tmpfs tmpfs "$folder"
done
mkdir -p /run/systemd/system
cp /mnt/* /run/systemd/system
umount /mnt
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
shift
for controller in "$@"; do
  mkdir "/sys/fs/cgroup/$controller"
  # on a machine of version 2 alone it is not there to be mounted
  mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
done
exec env -i container=lxc PATH="$PATH" /lib/systemd/systemd --system --unit=world.target --show-status=no
"""


class Booted:
    """A running systemd, seen from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def inside(self, *command: str | Path) -> list[str | Path]:
        """Return a command that runs among its mounts, as a process of ours: it is ended by its id as any other."""
        return ["nsenter", "--mount", f"--target={self.pid}", "--", *command]

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """Run systemctl there and return what it says."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command as a process of that world and return what it says."""
        # systemd answers on its own socket only to processes that it can name by an id of its world
        done = subprocess.run(self.among(*command), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def among(self, *command: str | Path) -> list[str | Path]:
        """Return a command that runs as a process of that world, which ends with it at the latest."""
        return ["nsenter", "--mount", "--pid", f"--target={self.pid}", "--", *command]


@contextmanager
def booted(units: Mapping[str, str], controllers: Sequence[str] = ()) -> Iterator[Booted]:
    """Boot systemd with `units` (file name to content) beside the bus; end it and all it started.

    `controllers` of control groups, version 1, are mounted each by itself, as this machine does; systemd finds others.
    """
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or not SYSTEMD.exists():
        do_without(f"no systemd can be booted: {', '.join(missing) or SYSTEMD} not found")
    if os.geteuid() != 0:
        do_without("no systemd can be booted: that needs root")
    with TemporaryDirectory(prefix="selfheal-units-") as folder:
        for name, text in (UNITS | dict(units)).items():
            (Path(folder) / name).write_text(text)
        spaces = ["--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "--mount-proc"]
        command = ["unshare", *spaces, "sh", "-c", _BOOT, "sh", folder, *controllers]
        log = Path(folder).with_suffix(".log")
        with log.open("wb") as sink:
            parent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        try:
            wait_until(lambda: _first_child(parent.pid) is not None or parent.poll() is not None)
            first = _first_child(parent.pid)
            assert first is not None, log.read_text()
            world = Booted(first)
            wait_until(
                lambda: (
                    parent.poll() is not None or world.systemctl("is-active", "dbus.service", check=False) == "active"
                )
            )
            assert parent.poll() is None, log.read_text()
            yield world
        finally:
            # process 1 ends with its parent, and with it everything in its namespace
            parent.kill()
            parent.wait()
            log.unlink()


def _first_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None
