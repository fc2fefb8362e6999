"""Counters of IP, ICMP, TCP and UDP: node_exporter's netstat collector, untyped as there."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.net_statistics import PairedTable, SingleTable
from exporter.settings import Settings, flag_type
from selfheal.common.flags import add_flag
from selfheal.common.re2 import Expression, compile_own, compile_re2

name = "netstat"
text = "counters of IP, ICMP, TCP and UDP"
enabled = True

FIELDS = (
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    "|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    "|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the choice of fields, spelled as in node_exporter."""
    add_flag(
        parser, "--collector.netstat.fields", metavar="REGEX", type=flag_type(compile_re2),
        default=compile_own(FIELDS),
        help="counters to export, written Protocol_Field (default: %(default)s)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads netstat, snmp and, where there is IPv6, snmp6."""
    wanted: Expression = vars(settings.flags)["collector.netstat.fields"]
    folder = settings.paths.procfs / "net"
    netstat, snmp, snmp6 = (KeptFile(folder / file) for file in ("netstat", "snmp", "snmp6"))
    pairs, singles = PairedTable(wanted.matches), SingleTable(wanted.matches)
    metrics: dict[str, Metric] = {}

    def collect() -> list[Family]:
        fields = pairs.parse(netstat.read())
        fields.update(pairs.parse(snmp.read()))
        try:
            fields.update(singles.parse(snmp6.read()))
        except FileNotFoundError:
            # no IPv6
            pass
        for field in fields.keys() - metrics.keys():
            # the names are the kernel's, so they are learnt from it
            metrics[field] = Metric(f"node_netstat_{field}", "untyped", f"The kernel's protocol counter {field}.")
        return [metrics[field].only(value) for field, value in fields.items()]

    return collect
