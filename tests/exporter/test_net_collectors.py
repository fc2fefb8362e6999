"""The network collectors on the written tree: what they export, what their flags change, and what may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.encode import encode
from exporter.settings import IncompleteError, NoDataError
from selfheal.common.procfs import PAGE_BYTES
from tests.exporter.net_trees import copied, create, paths
from tests.exporter.trees import values

ALL = ("arp", "bonding", "conntrack", "netclass", "netdev", "netstat", "sockstat", "softnet", "udp_queues")
FIVE = (
    "netclass_rtnl.with-stats", "netclass.netlink", "netdev.label-ifalias", "netdev.address-info",
    "netdev.enable-detailed-metrics",
)  # fmt: skip


def types(name: str, *flags: str) -> dict[str, str]:
    """Return the type of each family that a collector exports on the tree."""
    lines = encode(create(name, *flags)()).decode().splitlines()
    return dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))


def test_traffic_is_exported_by_device_under_the_headings_of_the_file() -> None:
    found = values(create("netdev")())

    assert found['node_network_receive_errs_total{device="bond0"}'] == "1"
    assert found['node_network_receive_multicast_total{device="bond0"}'] == "6"
    assert found['node_network_transmit_carrier_total{device="bond0"}'] == "11"
    assert found['node_network_receive_bytes_total{device="eth0"}'] == "9007199254740993"
    assert len(found) == 8 * 16
    assert set(types("netdev").values()) == {"counter"}


def test_detailed_traffic_has_the_kernels_names() -> None:
    found = values(create("netdev", "--collector.netdev.enable-detailed-metrics")())

    assert found['node_network_receive_dropped_total{device="bond0"}'] == "2"
    assert found['node_network_transmit_errors_total{device="bond0"}'] == "7"
    assert not [series for series in found if "_errs_" in series or "_drop_" in series]


@pytest.mark.parametrize(
    ("flag", "devices"),
    [
        ("--collector.netdev.device-include=^(lo|tun)", {"lo", "tun0"}),
        ("--collector.netdev.device-exclude=[0-9]", {"lo"}),
    ],
)
def test_devices_are_chosen_by_name(flag: str, devices: set[str]) -> None:
    found = values(create("netdev", flag)())

    assert {series.partition('device="')[2].partition('"')[0] for series in found} == devices


def test_an_alias_becomes_a_label_and_is_empty_where_there_is_none() -> None:
    found = values(create("netdev", "--collector.netdev.label-ifalias")())

    assert found[r'node_network_transmit_colls_total{device="eth0",ifalias="uplink \"a\" \\ rack 7, 서버"}'] == "41"
    # this device is in no folder of sysfs
    assert found['node_network_receive_bytes_total{device="wlan0.100",ifalias=""}'] == "5"


def test_addresses_of_this_host_are_not_told_as_those_of_another() -> None:
    found = create("netdev", "--collector.netdev.address-info")()

    assert not [family for family in found if family.metric.name == "node_network_address_info"]


def test_contradicting_filters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"-include and -exclude contradict each other"):
        create("netdev", "--collector.netdev.device-include=a", "--collector.netdev.device-exclude=b")


def test_a_device_is_told_with_all_that_its_files_say() -> None:
    found = values(create("netclass")())

    assert (
        found[
            'node_network_info{device="eth0",address="02:00:5e:00:53:01",broadcast="ff:ff:ff:ff:ff:ff",duplex="full",'
            r'operstate="up",adminstate="up",ifalias="uplink \"a\" \\ rack 7, 서버"}'
        ]
        == "1"
    )
    numbers = {
        series.partition("{")[0].removeprefix("node_network_"): value
        for series, value in found.items()
        if series.endswith('{device="eth0"}')
    }
    assert numbers == {
        "address_assign_type": "0", "carrier": "1", "carrier_changes_total": "2", "carrier_down_changes_total": "1",
        "carrier_up_changes_total": "1", "device_id": "32", "dormant": "0", "flags": "4867", "iface_id": "2",
        "iface_link": "2", "iface_link_mode": "0", "mtu_bytes": "1500", "name_assign_type": "4", "net_dev_group": "0",
        "protocol_type": "1", "speed_bytes": "125000000", "transmit_queue_length": "1000", "up": "1",
    }  # fmt: skip


def test_only_what_counts_is_a_counter() -> None:
    counters = {name for name, kind in types("netclass").items() if kind == "counter"}

    assert counters == {f"node_network_carrier_{what}changes_total" for what in ("", "up_", "down_")}


def test_what_a_device_does_not_tell_is_left_out() -> None:
    found = values(create("netclass")())

    assert 'node_network_carrier{device="eth2"}' not in found
    assert 'node_network_speed_bytes{device="lo"}' not in found
    assert 'node_network_name_assign_type{device="br-0123456789ab"}' not in found
    assert (
        'node_network_info{device="odd0",address="",broadcast="",duplex="",operstate="up",adminstate="unknown",'
        'ifalias=""}' in found
    )


@pytest.mark.parametrize(
    ("flags", "speed"),
    [((), "-125000"), (("--collector.netclass.ignore-invalid-speed",), None)],
    ids=["told", "left_out"],
)
def test_a_speed_that_a_device_does_not_know_may_be_left_out(flags: tuple[str, ...], speed: str | None) -> None:
    found = values(create("netclass", *flags)())

    assert found.get('node_network_speed_bytes{device="eth1"}') == speed
    assert found['node_network_speed_bytes{device="veth0a1b2c3"}'] == "1250000000"


def test_ignored_devices_are_left_out() -> None:
    found = values(create("netclass", "--collector.netclass.ignored-devices=^(?:eth|bond|br|veth|tun|ib|odd)")())

    assert {series for series in found if "_up{" in series} == {'node_network_up{device="lo"}'}


def test_every_flag_of_the_incumbent_is_known() -> None:
    for flag in FIVE:
        assert values(create("netclass", f"--collector.{flag}")()) == values(create("netclass")())


@pytest.mark.parametrize("data", ["many\n", "", "0xzz\n"])
def test_a_number_that_is_none_is_left_out_and_nothing_else(tmp_path: Path, data: str) -> None:
    tree = copied(tmp_path)
    (tree / "sys/class/net/eth0/mtu").write_text(data)

    lost = values(create("netclass")()).keys() - values(create("netclass", at=paths(tree))()).keys()
    assert lost == {'node_network_mtu_bytes{device="eth0"}'}


def test_the_counters_that_matter_are_exported_by_protocol_untyped() -> None:
    found = values(create("netstat")())

    assert found["node_netstat_Tcp_CurrEstab"] == "22"
    assert found["node_netstat_Ip_Forwarding"] == "1"
    assert found["node_netstat_Icmp6_InErrors"] == "374"
    assert {"node_netstat_TcpExt_ListenDrops", "node_netstat_IpExt_InOctets", "node_netstat_UdpLite6_InErrors"} <= set(
        found
    )
    assert len(found) == 42
    assert set(types("netstat").values()) == {"untyped"}


def test_other_counters_can_be_chosen() -> None:
    found = values(create("netstat", "--collector.netstat.fields=^(Tcp_MaxConn|MPTcpExt_.*)$")())

    assert found["node_netstat_Tcp_MaxConn"] == "-1"
    assert len(found) == 15


def test_a_host_without_ipv6_has_the_rest(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    for file in ("snmp6", "sockstat6", "udp6"):
        (tree / "proc/net" / file).unlink()

    assert len(values(create("netstat", at=paths(tree))())) == 42 - 12
    assert len(values(create("sockstat", at=paths(tree))())) == 14
    assert values(create("udp_queues", at=paths(tree))()) == {
        'node_udp_queues{queue="tx",ip="v4"}': "282",
        'node_udp_queues{queue="rx",ip="v4"}': "2326",
    }


def test_sockets_are_exported_by_protocol() -> None:
    found = values(create("sockstat")())

    assert found["node_sockstat_sockets_used"] == "1602"
    assert found["node_sockstat_TCP_mem_bytes"] == str(22 * PAGE_BYTES)
    assert found["node_sockstat_FRAG6_memory"] == "640"
    assert len(found) == 14 + 6


def test_each_cpu_tells_what_it_did_with_packets() -> None:
    found = values(create("softnet")())

    assert found['node_softnet_backlog_len{cpu="11"}'] == "26"
    assert found['node_softnet_cpu_collision_total{cpu="2"}'] == "12"
    assert len(found) == 6 * 7
    assert [name for name, kind in types("softnet").items() if kind == "gauge"] == ["node_softnet_backlog_len"]


@pytest.mark.parametrize(
    ("flags", "devices"),
    [
        ((), {"eth0": "3", "bond0": "1", "br-0123456789ab": "2"}),
        (("--collector.arp.device-include=^b",), {"bond0": "1", "br-0123456789ab": "2"}),
        (("--collector.arp.device-exclude=^b",), {"eth0": "3"}),
        (("--collector.arp.device-include=^b", "--collector.arp.device-exclude=-"), {"bond0": "1"}),
    ],
    ids=["all", "included", "excluded", "both"],
)
def test_neighbours_are_counted_by_device(flags: tuple[str, ...], devices: dict[str, str]) -> None:
    found = values(create("arp", *flags)())

    assert found == {f'node_arp_entries{{device="{device}"}}': count for device, count in devices.items()}


def test_tracked_connections_are_told_with_their_limit() -> None:
    found = values(create("conntrack")())

    assert (found["node_nf_conntrack_entries"], found["node_nf_conntrack_entries_limit"]) == ("123", "65536")
    statistics = {name.partition("_stat_")[2]: value for name, value in found.items() if "_stat_" in name}
    assert statistics == {
        "found": "17", "invalid": "5", "ignore": "10429", "insert": "9", "insert_failed": "15", "drop": "6",
        "early_drop": "8", "search_restart": "14",
    }  # fmt: skip


def test_a_kernel_without_statistics_of_connections_has_their_number(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "proc/net/stat/nf_conntrack").unlink()

    with pytest.raises(IncompleteError) as raised:
        create("conntrack", at=paths(tree))()

    assert len(values(raised.value.families)) == 2


def test_bonds_are_told_with_their_devices_and_those_that_work() -> None:
    assert values(create("bonding")()) == {
        'node_bonding_active{master="bond0"}': "2",
        'node_bonding_active{master="bond1"}': "0",
        'node_bonding_slaves{master="bond0"}': "3",
        'node_bonding_slaves{master="bond1"}': "0",
    }


@pytest.mark.parametrize("name", ["bonding", "conntrack", "netclass", "tcpstat", "udp_queues"])
def test_a_host_that_has_nothing_of_it_is_no_failure(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoDataError):
        create(name, at=paths(tmp_path))()


@pytest.mark.parametrize("name", ["arp", "netdev", "netstat", "softnet"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        create(name, at=paths(tmp_path))()


@pytest.mark.parametrize("name", ALL)
def test_what_changed_is_told_at_the_next_look(tmp_path: Path, name: str) -> None:
    tree = copied(tmp_path)
    collect = create(name, at=paths(tree))
    first = values(collect())
    assert first == values(create(name)())

    for file in (*tree.glob("proc/net/*"), *tree.glob("proc/sys/net/netfilter/*"), *tree.glob("sys/class/net/*/mtu")):
        if file.is_file():
            file.write_text(file.read_text().replace("7", "9").replace("1A", "1B"))
    (tree / "sys/class/net/eth0/mtu").write_text("9000\n")
    (tree / "sys/class/net/bond0/bonding/slaves").write_text("eth0\n")
    (tree / "proc/sys/net/netfilter/nf_conntrack_count").write_text("9\n")
    (tree / "proc/net/arp").write_text("heading\n192.0.2.1 0x1 0x2 02:fc:00:00:00:05 * eth0\n")

    assert values(collect()) != first
