"""The same values through psutil, for systems without procfs; the literal table of the collectors that are there.

Imported only where this engine is chosen, for psutil is loaded with it. A collector here has the name, the flags and
the families of that in `exporter.collectors`, as far as psutil tells them with the same meaning; what means something
else has a name of our own, and what psutil cannot tell is left out. On Linux all of it runs beside node_exporter in the
tests; what is only for other systems says so where it stands.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.collectors import directory, heartbeat, json_, probe, textfile, workspace
from exporter.portable import cpu, diskstats, filesystem, loadavg, meminfo, netdev, process, stat, time, uname
from exporter.portable.system import SYSTEM, System
from exporter.registry import Collect
from exporter.settings import Settings

Create = Callable[[Settings], Collect]

_THROUGH_PSUTIL: dict[str, Create] = {
    "cpu": cpu.create,
    "diskstats": diskstats.create,
    "filesystem": filesystem.create,
    "loadavg": loadavg.create,
    "meminfo": meminfo.create,
    "netdev": netdev.create,
    "process": process.create,
    "stat": stat.create,
    "time": time.create,
    "uname": uname.create,
}

# these read nothing of the kernel's, so that they are the same everywhere
_ANYWHERE: dict[str, Create] = {
    "probe": probe.create,
    "textfile": textfile.create,
}

# these, too, but they open, follow or replace files by calls that Windows does not have
_POSIX: dict[str, Create] = {
    "directory": directory.create,
    "heartbeat": heartbeat.create,
    "json": json_.create,
    "workspace": workspace.create,
}

PORTABLE: dict[str, Create] = {
    **_THROUGH_PSUTIL,
    **_ANYWHERE,
    **({} if SYSTEM is System.WINDOWS else _POSIX),
}
