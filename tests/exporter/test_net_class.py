"""The devices of sysfs read again and again: files that stay open, devices that change, and netlink's help."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.encode import encode
from exporter.procfs.net_class import Device, Messages, NetClass
from tests.exporter.net_trees import TREE, copied, create, in_network, paths

SYSFS = Path("/sys/class/net")
FILES = 22


def everything(_: str) -> bool:
    return True


def open_files() -> int:
    links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum("lo" in link.parts for link in links)


def message(device: Device) -> bytes:
    """Return what netlink would tell of a device, as far as it is looked at."""
    name = device.name.encode() + b"\0"
    address = bytes.fromhex(device.texts["address"].replace(":", ""))
    told = b"" if not address else struct.pack("=HH", 4 + len(address), 1) + address
    return struct.pack("=HH", 4 + len(name), 3) + name + told


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the written tree's devices, without the one that has no number."""
    folder = copied(tmp_path) / "sys/class/net"
    (folder / "odd0/operstate").unlink()
    (folder / "odd0").rmdir()
    return folder


@pytest.fixture
def told(tree: Path) -> dict[int, bytes]:
    """What netlink would tell of the tree's devices."""
    return {device.numbers["ifindex"]: message(device) for device in NetClass(tree, everything).read()}


def with_netlink(tree: Path, ask: Callable[[], Messages]) -> NetClass:
    return NetClass(tree, everything, ask, most_kept=FILES)


def mtu(reader: NetClass, name: str) -> int:
    return {device.name: device.numbers["mtu"] for device in reader.read()}[name]


def test_devices_come_by_name_and_ordinary_files_are_none() -> None:
    names = [device.name for device in NetClass(TREE / "sys/class/net", everything).read()]

    assert names == sorted(names)
    assert "lo" in names
    assert "bonding_masters" not in names


def test_files_of_a_written_tree_are_never_kept(tree: Path) -> None:
    reader = NetClass(tree, everything)
    before = mtu(reader, "eth0")
    (tree / "eth0/mtu").write_text("9000\n")

    assert (before, mtu(reader, "eth0"), reader.kept()) == (1500, 9000, 0)


def test_a_device_of_which_nothing_changed_is_the_same_object(tree: Path) -> None:
    reader = NetClass(tree, everything)
    before = {device.name: device for device in reader.read()}
    (tree / "eth0/mtu").write_text("9000\n")
    after = {device.name: device for device in reader.read()}

    assert [name for name in after if after[name] is not before[name]] == ["eth0"]


def test_a_device_that_went_is_left_out_and_one_that_came_is_there(tree: Path) -> None:
    reader = NetClass(tree, everything)
    before = [device.name for device in reader.read()]
    (tree / "eth0").rename(tree / "eth9")

    assert [device.name for device in reader.read()] == sorted({*before, "eth9"} - {"eth0"})


def test_files_of_sysfs_stay_open_and_are_closed_with_the_reader() -> None:
    reader = NetClass(SYSFS, lambda name: name == "lo")
    first = reader.read()

    assert (reader.kept(), open_files()) == (FILES, FILES)
    assert reader.read()[0] is first[0]
    del reader
    assert open_files() == 0


@pytest.mark.parametrize("most", [0, FILES - 1], ids=["none", "one_too_few"])
def test_no_more_files_stay_open_than_are_allowed(most: int) -> None:
    reader = NetClass(SYSFS, lambda name: name == "lo", most_kept=most)

    assert reader.read() == NetClass(SYSFS, lambda name: name == "lo").read()
    assert reader.kept() == 0


def test_what_netlink_tells_unchanged_is_not_read_again(tree: Path, told: dict[int, bytes]) -> None:
    reader = with_netlink(tree, lambda: told)
    reader.read()
    (tree / "eth0/mtu").write_text("9000\n")
    (tree / "eth0/speed").write_text("100\n")
    after = {device.name: device.numbers for device in reader.read()}["eth0"]

    assert (after["mtu"], after["speed"]) == (1500, 100)


def test_what_netlink_tells_otherwise_is_read_again(tree: Path, told: dict[int, bytes]) -> None:
    reader = with_netlink(tree, lambda: told)
    reader.read()
    (tree / "eth0/mtu").write_text("9000\n")
    told[2] += b"changed"

    assert mtu(reader, "eth0") == 9000


@pytest.mark.parametrize("what", ["another_name", "another_address", "nothing"])
def test_netlink_is_not_believed_of_any_device_while_it_tells_of_others(
    tree: Path, told: dict[int, bytes], what: str
) -> None:
    eth1 = told[3]
    told |= {3: eth1.replace(b"eth1", b"eth7") if what == "another_name" else eth1.replace(b"\x5e", b"\x5f")}
    if what == "nothing":
        del told[3]
    reader = with_netlink(tree, lambda: told)
    reader.read()
    (tree / "eth0/mtu").write_text("9000\n")

    assert mtu(reader, "eth0") == 9000


def test_a_device_whose_name_is_no_text_is_found_and_told(tree: Path, told: dict[int, bytes]) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tree / "eth0").rename(tree / name)

    devices = with_netlink(tree, lambda: told).read()

    assert name in [device.name for device in devices]
    page = encode(create("netclass", at=paths(tree.parents[2]))()).decode()
    assert 'node_network_iface_id{device="caf\ufffd"}' in page


def test_every_file_is_read_where_netlink_is_forbidden(tree: Path) -> None:
    def ask() -> Messages:
        raise PermissionError("netlink")

    reader = with_netlink(tree, ask)
    reader.read()
    (tree / "eth0/mtu").write_text("9000\n")

    assert mtu(reader, "eth0") == 9000


CHANGES = """
import os, subprocess
from pathlib import Path
from exporter.procfs.net_class import NetClass
from exporter.procfs.net_link import LinkStates
from exporter.procfs.net_socket import Netlink

folder = Path("/sys/class/net")
few = NetClass(folder, lambda name: True)
many = NetClass(folder, lambda name: True, LinkStates(Netlink()).read, most_kept=44)
for step in (
    "true",
    "ip link set v0 up", "ip link set v1 up", "ip link set v0 mtu 1400", "ip link set v0 txqueuelen 7",
    "ip link set v0 alias other", "ip link set v0 address 02:00:00:00:00:09", "ip link set v0 promisc on",
    "ip link set v0 allmulticast on", "ip link set v1 down", "ip link set v0 down", "ip link set v0 group 5",
    "echo 6 > /sys/class/net/v0/netdev_group", "ip link set v0 mode dormant",
    "ip link set v2 address 02:00:00:00:00:07",
    "ip link set v0 name x9; ip link set v1 name v0; ip link set x9 name v1",
    "ip link del v0", "ip link add v0 type veth peer name v1", "ip link set v0 name w0",
):
    subprocess.run(["sh", "-ec", step], check=True)
    right = NetClass(folder, lambda name: True, most_kept=0).read()
    assert few.read() == right, step
    assert many.read() == right, step
assert few.kept() == 22 * len(right), few.kept()
assert 22 <= many.kept() <= 44, many.kept()
print("right")
"""


def test_each_change_of_a_real_device_is_seen_however_it_is_read() -> None:
    told = in_network("ip link add v0 type veth peer name v1; ip link add v2 type veth peer name v3", CHANGES)

    assert told == "right\n"
