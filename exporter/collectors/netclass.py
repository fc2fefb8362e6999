"""What each network device is and in which state: node_exporter's netclass collector."""

from __future__ import annotations

import argparse
import operator
from collections.abc import Callable

from exporter.encode import Family, Kind, Metric, as_text
from exporter.filters import Filter
from exporter.procfs.net import is_own_namespace
from exporter.procfs.net_class import Device, NetClass
from exporter.procfs.net_link import LinkStates
from exporter.procfs.net_socket import Netlink
from exporter.settings import NoDataError, Settings, flag_type
from selfheal.common.flags import add_flag
from selfheal.common.re2 import compile_own, compile_re2

name = "netclass"
text = "kind and state of each network device"
enabled = True

_UP_FLAG = 0x1
_BYTES_PER_MEGABIT = 125_000


def _metric(what: str, text: str, kind: Kind = "gauge") -> Metric:
    return Metric(f"node_network_{what}", kind, text, ("device",))


_NUMBERS = {
    "addr_assign_type": _metric("address_assign_type", "How the device got its hardware address."),
    "carrier": _metric("carrier", "Whether the device has a carrier; not told while it is down."),
    "carrier_changes": _metric("carrier_changes_total", "Times that the carrier came or went.", "counter"),
    "carrier_down_count": _metric("carrier_down_changes_total", "Times that the carrier went.", "counter"),
    "carrier_up_count": _metric("carrier_up_changes_total", "Times that the carrier came.", "counter"),
    "dev_id": _metric("device_id", "Number that tells devices with one hardware address apart."),
    "dormant": _metric("dormant", "Whether the device waits for something else before it is up."),
    "flags": _metric("flags", "The kernel's flags of the device, as one number."),
    "ifindex": _metric("iface_id", "The kernel's number of the device."),
    "iflink": _metric("iface_link", "Number of the device that this one sends through; its own if there is none."),
    "link_mode": _metric("iface_link_mode", "0: up with the carrier; 1: dormant until told otherwise."),
    "mtu": _metric("mtu_bytes", "Largest packet that the device sends."),
    "name_assign_type": _metric("name_assign_type", "How the device got its name."),
    "netdev_group": _metric("net_dev_group", "Number of the group that the device was put into."),
    "type": _metric("protocol_type", "The kernel's number for the kind of hardware."),
    "speed": _metric("speed_bytes", "Bytes per second that the device can send; below 0 if it does not know."),
    "tx_queue_len": _metric("transmit_queue_length", "Packets that may wait for the device."),
}
_INFO = Metric(
    "node_network_info", "gauge", "Always 1; what else is known about the device.",
    ("device", "address", "broadcast", "duplex", "operstate", "adminstate", "ifalias"),
)  # fmt: skip
_UP = _metric("up", "Whether the device can carry packets. A loopback device does not tell and counts as not.")


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the choice of devices and what is left out of them, spelled as in node_exporter."""
    flag = "--collector.netclass"
    add_flag(
        parser, f"{flag}.ignored-devices", metavar="REGEX", type=flag_type(compile_re2),
        default=compile_own("^$"),
        help="network devices to leave out (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}.ignore-invalid-speed", action=argparse.BooleanOptionalAction,
        help="leave out the speed of devices that do not know it",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}.netlink", action=argparse.BooleanOptionalAction,
        help="accepted for compatibility; everything is exported either way",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}_rtnl.with-stats", action=argparse.BooleanOptionalAction,
        help="accepted for compatibility; the collector netdev has the statistics",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/sys/class/net`."""
    flags = vars(settings.flags)
    chosen = Filter(None, flags["collector.netclass.ignored_devices"])
    only_valid = bool(flags["collector.netclass.ignore_invalid_speed"])
    ask = LinkStates(Netlink()).read if is_own_namespace(settings.paths.procfs) else None
    reader = NetClass(settings.paths.sysfs / "class" / "net", chosen.wants, ask)
    last: list[Device] = []
    families: list[Family] = []

    def collect() -> list[Family]:
        nonlocal last, families
        try:
            devices = reader.read()
        except (FileNotFoundError, PermissionError) as error:
            raise NoDataError(str(error)) from error
        if len(devices) != len(last) or not all(map(operator.is_, devices, last)):
            families = _families(devices, only_valid)
            last = devices
        return families

    return collect


def _families(devices: list[Device], only_valid_speed: bool) -> list[Family]:
    labels = {device.name: (as_text(device.name),) for device in devices}
    families = [
        _INFO.of(dict.fromkeys(map(_about, devices), 1)),
        _UP.of({labels[device.name]: int(device.texts["operstate"] == "up") for device in devices}),
    ]
    for file, metric in _NUMBERS.items():
        values = {labels[device.name]: device.numbers[file] for device in devices if file in device.numbers}
        if file == "speed":
            # -1 is that of a device that does not know it, and node_exporter multiplies that too
            values = {
                label: speed * _BYTES_PER_MEGABIT
                for label, speed in values.items()
                if speed >= 0 or not only_valid_speed
            }
        families.append(metric.of(values))
    return families


def _about(device: Device) -> tuple[str, ...]:
    flags = device.numbers.get("flags")
    admin = "unknown" if flags is None else "up" if flags & _UP_FLAG else "down"
    texts = device.texts
    return (
        as_text(device.name),
        texts["address"],
        texts["broadcast"],
        texts["duplex"],
        texts["operstate"],
        admin,
        texts["ifalias"],
    )
