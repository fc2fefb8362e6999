"""What a collector is, and the literal table of all of them.

A collector is a module with a `name`, a `text` for its switch, `enabled` (its default), `add_flags(parser)` for its
own flags and `create(settings)`, which returns a function that returns its families. It starts no process, needs no
root, and never blocks longer than its deadline. A new one is its file, its test, and one line in `COLLECTORS`.

What it may have besides: a module function `files(flags)` returns the configuration files it reads, and a reload builds
the collector anew only if one of them changed. What `create` returns may have `close()`, which ends its threads, and
`pages`, a mapping of path prefixes such as `/-/heartbeat/` to functions that answer a Request with a Response.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Protocol

from exporter.collectors import (
    arp,
    bonding,
    cgroup,
    conntrack,
    cpu,
    cpufreq,
    deployment,
    directory,
    diskstats,
    dmi,
    entropy,
    filefd,
    filesystem,
    heartbeat,
    hwmon,
    json_,
    loadavg,
    mdadm,
    meminfo,
    netclass,
    netdev,
    netstat,
    os,
    pressure,
    probe,
    process,
    processes,
    schedstat,
    sockstat,
    softnet,
    stat,
    systemd,
    tcpstat,
    textfile,
    thermal_zone,
    time,
    timex,
    udp_queues,
    uname,
    vmstat,
    workspace,
)
from exporter.encode import Family
from exporter.settings import Settings


class Collector(Protocol):
    """The module that is a collector."""

    name: str
    text: str
    enabled: bool
    """Whether it is on without being asked for; as in node_exporter where it has the same collector."""

    def add_flags(self, parser: argparse._ActionsContainer, /) -> None:
        """Add the flags that only this collector has."""
        ...

    def create(self, settings: Settings, /) -> Callable[[], list[Family]]:
        """Return the function that reads and returns the families; everything wrong with the settings is raised here.

        That function raises OSError or ValueError when it cannot read, and IncompleteError when it read a part.
        """
        ...


COLLECTORS: dict[str, Collector] = {
    "arp": arp,
    "bonding": bonding,
    "cgroup": cgroup,
    "conntrack": conntrack,
    "cpu": cpu,
    "cpufreq": cpufreq,
    "deployment": deployment,
    "directory": directory,
    "diskstats": diskstats,
    "dmi": dmi,
    "entropy": entropy,
    "filefd": filefd,
    "filesystem": filesystem,
    "heartbeat": heartbeat,
    "hwmon": hwmon,
    "json": json_,
    "loadavg": loadavg,
    "mdadm": mdadm,
    "meminfo": meminfo,
    "netclass": netclass,
    "netdev": netdev,
    "netstat": netstat,
    "os": os,
    "pressure": pressure,
    "probe": probe,
    "process": process,
    "processes": processes,
    "schedstat": schedstat,
    "sockstat": sockstat,
    "softnet": softnet,
    "stat": stat,
    "systemd": systemd,
    "tcpstat": tcpstat,
    "textfile": textfile,
    "thermal_zone": thermal_zone,
    "time": time,
    "timex": timex,
    "udp_queues": udp_queues,
    "uname": uname,
    "vmstat": vmstat,
    "workspace": workspace,
}
