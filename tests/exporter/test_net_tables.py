"""The parsers of /proc/net: what a table says, tables of older kernels, and broken ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.procfs.layout import Layout
from exporter.procfs.net import (
    Conntrack,
    Queues,
    Softnet,
    count_neighbours,
    parse_devices,
    parse_softnet,
    sum_conntrack,
    sum_queues,
)
from exporter.procfs.net_statistics import PairedTable, SingleTable, find_sockets
from selfheal.common.procfs import PAGE_BYTES
from tests.exporter.net_trees import TREE

NET = TREE / "proc/net"


def all_fields(_: str) -> bool:
    return True


def sockets(data: bytes) -> dict[str, int]:
    layout = Layout(find_sockets)
    values = layout.read(data)
    return dict(zip(layout.names, values, strict=True))


def test_counters_of_a_device_stand_in_the_order_of_the_file() -> None:
    devices = parse_devices((NET / "dev").read_bytes())

    assert devices["bond0"] == (123456, 789, 1, 2, 3, 4, 5, 6, 654, 321, 7, 8, 9, 10, 11, 12)
    assert devices["eth1"][0] == 18446744073709551615
    assert list(devices)[-2:] == ["wlan0.100", "tun0"]


def test_a_name_with_colons_ends_at_the_last() -> None:
    line = b"eth0:1:" + b" 7" * 16

    assert parse_devices(b"heading\nheading\n" + line + b"\n") == {"eth0:1": (7,) * 16}


def test_each_width_of_softnet_stat_tells_what_its_kernel_knew() -> None:
    assert parse_softnet((NET / "softnet_stat").read_bytes()) == [
        Softnet(0, 0x19279, 0, 5, 0, 0, 0, 0),
        Softnet(1, 0x12FFFF, 1, 6, 10, 11, 0, 0),
        Softnet(2, 0x228900, 2, 7, 12, 13, 14, 0),
        Softnet(3, 0xFFFFFFFF, 3, 8, 15, 16, 17, 0),
        Softnet(8, 0x358FE3, 0x6283, 0, 19, 20, 21, 22),
        Softnet(11, 0x953D1A, 0x446, 0, 23, 24, 25, 26),
    ]


def test_neighbours_are_counted_by_device() -> None:
    assert count_neighbours((NET / "arp").read_bytes()) == {"eth0": 3, "bond0": 1, "br-0123456789ab": 2}


def test_conntrack_statistics_are_summed_over_the_cpus() -> None:
    sums = sum_conntrack((NET / "stat/nf_conntrack").read_bytes())

    assert sums == Conntrack(0x11, 5, 0xE92 + 0x1A2B, 9, 15, 6, 8, 14)


def test_conntrack_of_old_kernels_has_no_restarts() -> None:
    assert sum_conntrack(b"heading\n" + b"00000002 " * 16 + b"\n").search_restart == 0


def test_queues_of_all_sockets_are_summed() -> None:
    assert sum_queues((NET / "udp").read_bytes()) == Queues(0x11A, 0x916)
    assert sum_queues((NET / "udp6").read_bytes()) == Queues(2, 0xFFFFFFFF)


def test_fields_are_named_by_protocol_and_only_wanted_ones_are_read() -> None:
    table = PairedTable(lambda field: field in ("TcpExt_TW", "Tcp_MaxConn", "MPTcpExt_AddAddr"))

    assert table.parse((NET / "snmp").read_bytes()) == {"Tcp_MaxConn": -1}
    assert table.parse((NET / "netstat").read_bytes()) == {"TcpExt_TW": 10 * 1009 + 3, "MPTcpExt_AddAddr": 7}


def test_a_kernel_that_begins_to_name_another_field_is_understood() -> None:
    table = PairedTable(all_fields)
    before = table.parse(b"IcmpMsg: InType3\nIcmpMsg: 1\n")
    after = table.parse(b"IcmpMsg: InType0 InType3\nIcmpMsg: 5 1\n")

    assert (before, after) == ({"IcmpMsg_InType3": 1}, {"IcmpMsg_InType0": 5, "IcmpMsg_InType3": 1})


def test_fields_of_ipv6_are_split_behind_the_six() -> None:
    table = SingleTable(lambda field: "In" in field)
    before = table.parse(b"Ip6InReceives 7\nOther 1\nUdpLite6InErrors\t3\n")
    after = table.parse(b"Udp6InErrors 4\nIp6InReceives 8\n")

    assert before == {"Ip6_InReceives": 7, "UdpLite6_InErrors": 3}
    assert after == {"Udp6_InErrors": 4, "Ip6_InReceives": 8}


def test_sockets_are_told_with_their_memory_in_bytes() -> None:
    found = sockets((NET / "sockstat").read_bytes())

    assert found["sockets_used"] == 1602
    assert found["TCP_mem"] * PAGE_BYTES == found["TCP_mem_bytes"] == 22 * PAGE_BYTES
    assert found["FRAG_memory"] == 5120
    assert len(found) == 14


def test_a_protocol_that_does_not_say_so_has_no_socket_in_use() -> None:
    assert sockets(b"sockets: used 5\nTCP: orphan 2 new 7\n") == {"sockets_used": 5, "TCP_orphan": 2, "TCP_inuse": 0}


def broken(parse: Callable[[bytes], object], data: bytes, reason: str, name: str) -> object:
    return pytest.param(parse, data, reason, id=name)


@pytest.mark.parametrize(
    ("parse", "data", "reason"),
    [
        broken(parse_devices, b"\n\neth0: 1 2 3\n", "not a line of net/dev", "short_device"),
        broken(parse_devices, b"\n\neth0" + b" 1" * 17, "not a line of net/dev", "device_without_colon"),
        broken(parse_devices, b"\n\neth0: x" + b" 1" * 16, "invalid literal", "device_without_number"),
        broken(parse_softnet, b"0 0 0 0 0 0 0 0\n", "has 8 columns", "narrow_softnet"),
        broken(parse_softnet, b"x\n", "invalid literal", "softnet_without_number"),
        broken(count_neighbours, b"heading\n1 2 3\n", "not a line of net/arp", "short_neighbour"),
        broken(sum_conntrack, b"heading\n1 2 3\n", "has 3 columns, 16 or 17 expected", "narrow_conntrack"),
        broken(sum_queues, b"heading\n 1: a b 07 0000:0000\n", "not a line of a socket", "short_socket"),
        broken(sum_queues, b"heading\n 1: a b 07 0000 0 0\n", "no queues", "socket_without_queues"),
        broken(PairedTable(all_fields).parse, b"Ip: A B\n", "has no line of values", "names_without_values"),
        broken(PairedTable(all_fields).parse, b"Ip: A B\nIp: 1\n", "do not pair", "a_value_is_missing"),
        broken(PairedTable(all_fields).parse, b"Ip: A\nTcp: 1\n", "do not pair", "values_of_another"),
        broken(PairedTable(all_fields).parse, b"Ip A\nIp 1\n", "not a line of names", "names_without_colon"),
        broken(SingleTable(all_fields).parse, b"Ip6A 1\nIp6B\nIp6C 3 4\n", "not a name and a value", "odd_line"),
        broken(SingleTable(all_fields).parse, b"Ip6A x\n", "invalid literal", "ipv6_without_number"),
        broken(PairedTable(all_fields).parse, b'I"p: A\nI"p: 1\n', "not a line of names", "no_name_of_a_metric"),
        broken(SingleTable(all_fields).parse, b"Ip6{A} 1\n", "not a name of a counter", "no_name_of_ipv6"),
        broken(sockets, b"T{CP: inuse 1\n", "not a line of sockstat", "no_name_of_a_protocol"),
        broken(sockets, b"TCP: inuse\n", "not a line of sockstat", "field_without_number"),
        broken(sockets, b"TCP:\n", "not a line of sockstat", "protocol_without_field"),
    ],
)
def test_a_broken_table_is_an_error(parse: Callable[[bytes], object], data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(data)


PARSERS: list[Callable[[bytes], object]] = [
    parse_devices, parse_softnet, count_neighbours, sum_conntrack, sum_queues, PairedTable(all_fields).parse,
    SingleTable(all_fields).parse, sockets,
]  # fmt: skip


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary() | st.text("Ip6: 12-x\n", max_size=40).map(str.encode))
def test_garbage_is_refused_and_nothing_worse(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        found = parse(data)
    except ValueError:
        return

    assert found is not None
