"""Which collectors node_exporter has, and which of them ours has too."""

from __future__ import annotations

from dataclasses import replace

from exporter.collectors import COLLECTORS
from tests.exporter.oracle.pages import Page

# as `--help` of 1.9.0 lists them
ON = (
    "arp", "bcache", "bonding", "btrfs", "conntrack", "cpu", "cpufreq", "diskstats", "dmi", "edac", "entropy",
    "fibrechannel", "filefd", "filesystem", "hwmon", "infiniband", "ipvs", "loadavg", "mdadm", "meminfo", "netclass",
    "netdev", "netstat", "nfs", "nfsd", "nvme", "os", "powersupplyclass", "pressure", "rapl", "schedstat", "selinux",
    "sockstat", "softnet", "stat", "systemd", "tapestats", "textfile", "thermal_zone", "time", "timex", "udp_queues",
    "uname", "vmstat", "watchdog", "xfs", "zfs",
)  # fmt: skip
OFF = (
    "buddyinfo", "cgroups", "cpu_vulnerabilities", "drbd", "drm", "ethtool", "interrupts", "ksmd", "lnstat", "logind",
    "meminfo_numa", "mountstats", "network_route", "ntp", "perf", "processes", "qdisc", "runit", "slabinfo",
    "softirqs", "supervisord", "sysctl", "tcpstat", "wifi", "xfrm", "zoneinfo",
)  # fmt: skip


def common() -> list[str]:
    """Return the collectors that both have."""
    return [name for name in sorted((*ON, *OFF)) if name in COLLECTORS]


def of_the_host(page: Page) -> Page:
    """Return the families of a page that node_exporter's collectors have, or would have if they knew them."""
    return {
        name: family for name, family in page.items() if name.startswith("node_") and name != "node_exporter_build_info"
    }


def of_processes(page: Page) -> Page:
    """Return the families of a page that process-exporter has, or would have if it knew them."""
    return {name: family for name, family in page.items() if name.startswith("namedprocess_")}


def grouped(ours: Page, theirs: Page) -> Page:
    """Return ours without the groups that have no member: those that stand in the configuration are always there."""
    seen = {dict(labels)["groupname"] for _, labels in theirs["namedprocess_namegroup_num_procs"].samples}
    empty = {
        dict(labels)["groupname"]
        for (_, labels), count in ours["namedprocess_namegroup_num_procs"].samples.items()
        if count == 0
    }
    return {
        name: replace(
            family,
            samples={
                series: number
                for series, number in family.samples.items()
                if dict(series[1]).get("groupname") not in empty - seen
            },
        )
        for name, family in ours.items()
    }
