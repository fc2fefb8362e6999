"""`python -m tests.exporter.portable_elsewhere SYSTEM …`: our exporter where Python itself looks like another system's.

What that system does not have is taken away, and psutil is made of written values. It is no run on that system: it
shows that nothing of Linux is needed, and that psutil's shapes there are understood.
"""

from __future__ import annotations

import importlib
import ntpath
import os
import pkgutil
import platform
import select
import signal
import socket
import sys
import time

from tests.exporter.portable_world import MIB, Written, fake_psutil

_MODULES = {"win32": ("fcntl", "grp", "pwd", "resource", "termios", "syslog"), "darwin": ()}
_GONE = {
    "win32": {
        os: (
            "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "fchmod", "geteuid", "getloadavg",
            "getuid", "pread", "statvfs", "statvfs_result", "sysconf", "uname", "ST_RDONLY", "sched_yield",
        ),
        select: ("poll", "epoll"),
        signal: ("SIGHUP", "SIGUSR1", "SIGKILL"),
        socket: ("AF_NETLINK", "AF_UNIX", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
        time: ("clock_gettime_ns", "clock_gettime"),
    },
    "darwin": {
        os: ("O_PATH",),
        select: ("epoll",),
        socket: ("AF_NETLINK", "SOCK_CLOEXEC", "SOCK_NONBLOCK"),
    },
}  # fmt: skip
_PROCESSES = {
    "win32": (
        Written(4, "System", created=901.0, ppid=0, hidden=frozenset({"cmdline", "memory_info"})),
        Written(20, "nginx.exe", created=1000.5, ppid=4, cmdline=[r"C:\nginx\nginx.exe"], user=2.5, read=7, written=9),
        Written(21, "helper.exe", created=1001.5, ppid=20, cmdline=["helper.exe"], handles=5),
        # what was its parent has ended, and another has the pid now
        Written(22, "stranger.exe", created=999.0, ppid=20, cmdline=["stranger.exe"]),
        Written(30, "agent.exe", created=1000.0, ppid=4, hidden=frozenset({"cmdline"}), exe="C:\\Tools\\agent.exe"),
    ),
    "darwin": (
        Written(1, "launchd", created=901.0, ppid=0, cmdline=["/sbin/launchd"]),
        Written(20, "nginx", created=1000.5, cmdline=["/usr/local/bin/nginx", "-g"], user=2.5),
        Written(21, "helper", created=1001.5, ppid=20, cmdline=["helper"], handles=5, rss=3 * MIB),
        Written(22, "nginx", ppid=20, status="zombie", hidden=frozenset({"cmdline"})),
    ),
}


def become(system: str) -> list[str]:
    """Let this Python look like another system's, for what is imported from now on; return the exporter's modules."""
    # the standard library was made for this system, and is loaded before anything looks different
    ours = exporter_modules()
    for name in ours:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("exporter", "selfheal")]:
        del sys.modules[name]
    for name in _MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in _GONE[system].items():
        for name in names:
            vars(module).pop(name, None)
    if system == "darwin":
        del importlib.import_module("resource").prlimit
        platform._uname_cache = platform.uname_result("Darwin", "mac.lan", "23.1.0", "Version 23", "arm64")  # type: ignore[attr-defined]
    else:
        platform._uname_cache = platform.uname_result("Windows", "BOX", "11", "10.0.22631", "AMD64")  # type: ignore[attr-defined]
        os.environ["PROCESSOR_ARCHITECTURE"] = "AMD64"
        os.path, os.sep, os.altsep = ntpath, "\\", "/"
    sys.modules["psutil"] = fake_psutil(system, _PROCESSES[system])
    sys.platform = system
    return ours


def exporter_modules() -> list[str]:
    """Return every module of the exporter but its program."""
    import exporter

    found = pkgutil.walk_packages(exporter.__path__, "exporter.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def main() -> int:
    """Become the system, import everything, and run the exporter with the other arguments."""
    system, *arguments = sys.argv[1:]
    for name in become(system):
        importlib.import_module(name)
    from exporter.__main__ import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
