"""A real journal, written by a real journald of a namespace of its own; this machine's journal is not touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.tools import do_without

JOURNALD = Path("/lib/systemd/systemd-journald")
NEEDED = ("unshare", "mount", "journalctl", "python3")
ROUNDS = 4
# the instance's own sockets and files lie below /run and /var/log, which are empty memory here; it reads no messages of
# the kernel
_WRITE = """set -eu
mount --make-rprivate /
mkdir -p /mnt
mount --bind "$1" /mnt
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/journald@test.conf.d /run/log/journal
printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\nRateLimitIntervalSec=0\\n' \\
  > /run/systemd/journald@test.conf.d/a.conf
SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-journald test > /mnt/log 2>&1 &
journald=$!
python3 - "$2" <<'END'
import socket, subprocess, sys, time
end = time.monotonic() + 30
def say(number):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.connect("/run/systemd/journal.test/socket")
        door.send(b"MESSAGE=line %d\\nPRIORITY=6\\n" % number)
while True:
    try:
        say(0)
        break
    except OSError:
        if time.monotonic() > end: raise
        time.sleep(0.02)
for _ in range(int(sys.argv[1])):
    for number in range(20): say(number)
    for verb in ("--sync", "--rotate"):
        subprocess.run(["journalctl", "--namespace=test", verb], check=True)
END
cp -a /run/log/journal/. /mnt/
kill "$journald"
wait "$journald" || true
"""


def write_journal(folder: Path) -> Path:
    """Have a real journald write a journal; return its folder, with one active file and four archived ones."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or not JOURNALD.exists():
        do_without(f"no journal can be written: {', '.join(missing) or JOURNALD} not found")
    if os.geteuid() != 0:
        do_without("no journal can be written: that needs root")
    folder.mkdir()
    spaces = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = ["unshare", *spaces, "bash", "-c", _WRITE, "bash", str(folder), str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    log = folder / "log"
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text() if log.exists() else ''}"
    log.unlink()
    (found,) = folder.iterdir()
    return found
