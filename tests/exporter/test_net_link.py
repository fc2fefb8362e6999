"""Netlink: the same counters as the file has, in a network where nothing else happens, and hostile messages."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.netdev import as_in_the_file
from exporter.procfs.net import is_own_namespace
from exporter.procfs.net_link import LINK_COUNTERS, LinkCounters
from exporter.procfs.net_socket import Netlink, attributes, messages
from tests.exporter.net_trees import LIVE, TREE, create, in_network
from tests.exporter.trees import values

VETH = "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up"
PAGES = """
import json, socket
from tests.exporter.net_trees import LIVE, create
from tests.exporter.trees import values
%s
print(json.dumps({flag: values(create(%r, *flag.split(), at=LIVE)()) for flag in %r}))
"""
SENT = """
sender, taker = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
taker.bind(("127.0.0.1", 0))
for size in (100, 200, 300):
    sender.sendto(bytes(size), taker.getsockname())
    taker.recv(1000)
"""


def told(prepare: str, before: str, name: str, *flags: str) -> dict[str, dict[str, str]]:
    """Return what a collector tells in a network of its own, by the flags given to it."""
    pages: dict[str, dict[str, str]] = json.loads(in_network(prepare, PAGES % (before, name, flags)))
    return pages


def test_netlink_tells_what_the_file_tells_and_packets_without_a_handler() -> None:
    pages = told("", SENT, "netdev", "", "--no-collector.netdev.netlink")
    asked, read = pages[""], pages["--no-collector.netdev.netlink"]

    assert asked.pop('node_network_receive_nohandler_total{device="lo"}') == "0"
    assert asked == read
    assert read['node_network_receive_packets_total{device="lo"}'] == "3"
    assert read['node_network_transmit_bytes_total{device="lo"}'] == str(600 + 3 * 28)


def test_each_of_the_kernels_counters_is_told_when_asked_for() -> None:
    (page,) = told("", SENT, "netdev", "--collector.netdev.enable-detailed-metrics").values()

    assert set(page) == {f'node_network_{counter}_total{{device="lo"}}' for counter in LINK_COUNTERS}
    assert page['node_network_receive_bytes_total{device="lo"}'] == str(600 + 3 * 28)


def test_counters_are_added_up_as_the_kernel_does_for_its_file() -> None:
    headings = as_in_the_file(LINK_COUNTERS)
    added = {key: {LINK_COUNTERS[place] for place in places} for key, places in headings.items() if len(places) > 1}

    assert added == {
        "receive_drop": {"receive_dropped", "receive_missed_errors"},
        "receive_frame": {
            "receive_length_errors", "receive_over_errors", "receive_crc_errors", "receive_frame_errors",
        },
        "transmit_carrier": {
            "transmit_aborted_errors", "transmit_carrier_errors", "transmit_heartbeat_errors",
            "transmit_window_errors",
        },
    }  # fmt: skip
    assert sum(map(len, headings.values())) == len(LINK_COUNTERS)


def test_traffic_changes_nothing_of_what_is_told_without_counters() -> None:
    code = f"""
import socket
from exporter.procfs.net_link import LinkStates
from exporter.procfs.net_socket import Netlink
states = LinkStates(Netlink())
before = states.read()
{SENT}
after = states.read()
print(len(before), before == after)
"""

    assert in_network("", code) == "1 True\n"


def test_addresses_are_told_with_how_far_they_reach() -> None:
    addresses = (
        f"{VETH}; ip addr add 192.0.2.5/24 dev v0; ip addr add 198.51.100.1 peer 198.51.100.2/32 dev v1;"
        "ip addr add 2001:db8::7/64 dev v0 nodad; ip addr add 169.254.3.4/16 dev v0"
    )
    (page,) = told(addresses, "", "netdev", "--collector.netdev.address-info").values()

    found = {series for series in page if series.startswith("node_network_address_info") and "fe80" not in series}
    assert found == {
        'node_network_address_info{device="lo",address="127.0.0.1",netmask="8",scope="link-local"}',
        'node_network_address_info{device="lo",address="::1",netmask="128",scope="link-local"}',
        'node_network_address_info{device="v0",address="192.0.2.5",netmask="24",scope="global"}',
        'node_network_address_info{device="v0",address="169.254.3.4",netmask="16",scope="link-local"}',
        'node_network_address_info{device="v1",address="198.51.100.1",netmask="32",scope="global"}',
        'node_network_address_info{device="v0",address="2001:db8::7",netmask="64",scope="global"}',
    }


def test_neighbours_that_this_host_answers_for_are_in_the_file_alone() -> None:
    neighbours = (
        f"{VETH}; ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev v0; ip neigh add proxy 192.0.2.9 dev v0;"
        "ip neigh add 192.0.2.8 lladdr 02:00:00:00:00:08 nud noarp dev v0;"
        "ip neigh add 192.0.2.6 lladdr 02:00:00:00:00:06 dev v1"
    )
    pages = told(neighbours, "", "arp", "", "--no-collector.arp.netlink")

    assert pages[""] == {'node_arp_entries{device="v0"}': "1", 'node_arp_entries{device="v1"}': "1"}
    assert pages["--no-collector.arp.netlink"] == {
        'node_arp_entries{device="v0"}': "2",
        'node_arp_entries{device="v1"}': "1",
    }


def test_connections_are_counted_by_state_with_what_waits_in_them() -> None:
    connected = """
server = socket.create_server(("127.0.0.1", 0))
six = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=4)
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
client.send(bytes(70))
"""
    (page,) = told("", connected, "tcpstat", "").values()

    waiting = page.pop('node_tcp_connection_states{state="tx_queued_bytes"}')
    assert page == {
        'node_tcp_connection_states{state="established"}': "2",
        'node_tcp_connection_states{state="listen"}': "2",
        'node_tcp_connection_states{state="rx_queued_bytes"}': "70",
    }
    # a listening socket counts as how many may wait for it
    assert int(waiting) >= 4


def test_without_connections_there_is_nothing_to_tell() -> None:
    assert told("", "", "tcpstat", "") == {"": {}}


def test_this_host_has_the_devices_that_its_file_lists() -> None:
    counters = LinkCounters(Netlink())
    counters.read()
    found = counters.read()

    listed = {line.rpartition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    assert set(found) == listed
    assert {len(row) for row in found.values()} == {len(LINK_COUNTERS)}


RENAMED = """
import socket, subprocess
from exporter.procfs.net_link import LINK_COUNTERS, LinkCounters
from exporter.procfs.net_socket import Netlink
counters, sent = LinkCounters(Netlink()), LINK_COUNTERS.index("transmit_packets")
for step in "true", "ip link set v1 name w1", "ip link set v0 alias long", "ip link set v0 down", "ip link del v0":
    subprocess.run(["sh", "-ec", step], check=True)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
    found = counters.read()
    files = {name: int(open(f"/sys/class/net/{name}/statistics/tx_packets").read()) for name in found}
    assert {name: row[sent] for name, row in found.items()} == files, step
    assert found["lo"][sent] > 0, step
    print(*sorted(found))
"""


def test_counters_stay_with_their_device_whatever_changes_about_it() -> None:
    quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"

    assert in_network(f"{quiet}; {VETH}", RENAMED).split("\n") == ["lo v0 v1"] + ["lo v0 w1"] * 3 + ["lo", ""]


def test_netlink_answers_again_after_it_has_refused() -> None:
    netlink = Netlink()
    with pytest.raises(OSError, match="netlink refuses"):
        netlink.dump(0x7FFF, bytes(16))

    assert netlink.dump(18, bytes(16))


def test_only_the_kernels_procfs_is_this_namespaces_own(tmp_path: Path) -> None:
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/net").symlink_to("net:[4026531840]")

    assert is_own_namespace(LIVE.procfs)
    assert not is_own_namespace(TREE / "proc")
    assert not is_own_namespace(tmp_path)


@pytest.mark.parametrize("name", ["netdev", "netclass", "arp", "netstat", "sockstat", "softnet", "udp_queues"])
def test_this_host_tells_twice_of_the_same_things(name: str) -> None:
    collect = create(name, at=LIVE)
    first = values(collect())

    assert values(collect()).keys() == first.keys()


@given(data=st.binary(max_size=200), number=st.integers(0, 3))
def test_hostile_messages_are_refused_and_never_end_outside(data: bytes, number: int) -> None:
    try:
        found = list(messages(data, number))
    except ValueError:
        return

    assert all(0 < begin <= end <= len(data) for _, _, begin, end in found)


@given(data=st.binary(max_size=200), begin=st.integers(0, 50))
def test_hostile_attributes_are_refused_and_never_end_outside(data: bytes, begin: int) -> None:
    try:
        found = list(attributes(data, begin, len(data)))
    except ValueError:
        return

    assert all(begin < at <= end <= len(data) for _, at, end in found)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("=IHHII", 15, 3, 0, 1, 0), "not whole"),
        (struct.pack("=IHHII", 17, 3, 0, 1, 0), "not whole"),
        (struct.pack("=IHHII", 16, 3, 0, 2, 0), "answers another question"),
        (b"\x10", "not whole"),
    ],
    ids=["too_short", "cut", "of_another", "no_header"],
)
def test_a_broken_message_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        list(messages(data, 1))
