"""What sysfs says of each network device. Format: Documentation/ABI/testing/sysfs-class-net of Linux."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.net_files import DeviceFiles, GoneError
from exporter.procfs.net_link import is_about

# what rtnetlink does not tell of a device, then what it tells, too
_ONLY_HERE = ("addr_assign_type", "duplex", "flags", "name_assign_type", "speed")
_FILES = (
    *_ONLY_HERE,
    "address", "broadcast", "carrier", "carrier_changes", "carrier_down_count", "carrier_up_count", "dev_id",
    "dormant", "ifalias", "ifindex", "iflink", "link_mode", "mtu", "netdev_group", "operstate", "tx_queue_len", "type",
)  # fmt: skip
_TEXTS = frozenset({"address", "broadcast", "duplex", "ifalias", "operstate"})

# each pins about 4 KiB in the kernel, and a process may often have no more than 1,024
MOST_KEPT = 400

Messages = Mapping[int, bytes]
"""What rtnetlink says of each device, by its number: the same bytes while nothing that it tells has changed."""


class Device(NamedTuple):
    """One network device: its numbers by file, those that it has, and its texts, empty for those that it has not.

    Bytes of the name that are no text are kept as Python keeps them in paths.
    """

    name: str
    numbers: dict[str, int]
    texts: dict[str, str]


class NetClass:
    """Reads the wanted devices again and again; one of which nothing has changed is the same object as before.

    Of up to 18 devices all files stay open. If there are more, and netlink can be asked, only those files are read that
    tell what netlink does not, unless what netlink tells of the device has changed.
    """

    def __init__(
        self,
        folder: Path,
        wants: Callable[[str], bool],
        ask: Callable[[], Messages] | None = None,
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._folder = folder
        self._wants = wants
        self._ask = ask
        self._most_kept = most_kept
        self._devices: dict[str, _Known] = {}

    def read(self) -> list[Device]:
        """Return the devices by name. Raise OSError if they cannot be listed."""
        present = {name: inode for name, inode in list_devices(self._folder).items() if self._wants(name)}
        for name, known in list(self._devices.items()):
            if present.get(name) != known.inode:
                del self._devices[name]
        messages = self._messages() if len(present) * len(_FILES) > self._most_kept else None
        return self._read(present, messages)

    def kept(self) -> int:
        """Return how many files are open."""
        return sum(known.files.kept for known in self._devices.values())

    def _messages(self) -> Messages | None:
        try:
            return self._ask() if self._ask else None
        except (OSError, ValueError):
            # netlink may be forbidden to us
            return None

    def _read(self, present: dict[str, int], messages: Messages | None) -> list[Device]:
        found = []
        left = self._most_kept - self.kept()
        for name, inode in present.items():
            known = self._devices.get(name) or _Known(DeviceFiles(self._folder, name, _FILES), name, inode)
            kept = known.files.kept
            try:
                found.append(known.read(messages, left + kept))
            except GoneError:
                # the next list will be without it
                self._devices.pop(name, None)
                continue
            self._devices[name] = known
            left -= known.files.kept - kept
        if messages is not None and not all(known.message for known in self._devices.values()):
            # netlink told of others: either some have just come, or sysfs is another network namespace's
            for known in self._devices.values():
                known.message = b""
        return found


def list_devices(folder: Path) -> dict[str, int]:
    """Return the names below `/sys/class/net` in order, each with the inode of its entry. Raise OSError if it fails.

    A device keeps the inode when it is renamed, and no other is given it.
    """
    with os.scandir(folder) as entries:
        # an ordinary file there is no device: the list of bonds
        found = {entry.name: entry.inode() for entry in entries if not entry.is_file(follow_symlinks=False)}
    return dict(sorted(found.items()))


class _Known:
    """A device and what was read of it last."""

    __slots__ = ("_device", "_raw", "files", "inode", "message")

    def __init__(self, files: DeviceFiles, name: str, inode: int) -> None:
        self.files = files
        self.inode = inode
        self.message = b""
        self._raw: list[bytes | None] = []
        self._device = Device(name, {}, {})

    def read(self, messages: Messages | None, may_keep: int) -> Device:
        """Given what netlink says of the devices, if it was asked, return this one as it is."""
        if messages is None:
            self.message = b""
            return self._parsed(self.files.read(len(_FILES), may_keep if may_keep >= len(_FILES) else 0))
        may_keep = min(may_keep, len(_ONLY_HERE))
        if self.message and messages.get(self._device.numbers.get("ifindex", 0)) == self.message:
            only_here = self.files.read(len(_ONLY_HERE), may_keep)
            return self._parsed(only_here + self._raw[len(_ONLY_HERE) :])
        device = self._parsed(self.files.read(len(_FILES), may_keep))
        self.message = _find_message(device, messages)
        return device

    def _parsed(self, raw: list[bytes | None]) -> Device:
        if raw != self._raw:
            self._device = _parse(self._device.name, raw)
            self._raw = raw
        return self._device


def _find_message(device: Device, messages: Messages) -> bytes:
    """Return the message about this device, nothing if there is none that is about it beyond doubt."""
    message = messages.get(device.numbers.get("ifindex", 0), b"")
    try:
        address = bytes.fromhex(device.texts["address"].replace(":", ""))
    except ValueError:
        return b""
    return message if is_about(message, os.fsencode(device.name), address) else b""


def _parse(name: str, raw: list[bytes | None]) -> Device:
    numbers: dict[str, int] = {}
    texts = dict.fromkeys(_TEXTS, "")
    for file, contents in zip(_FILES, raw, strict=True):
        if contents is None:
            continue
        value = contents.strip()
        if file in _TEXTS:
            texts[file] = value.decode("utf-8", "replace")
        elif (number := _number(value)) is not None:
            numbers[file] = number
    return Device(name, numbers, texts)


def _number(value: bytes) -> int | None:
    try:
        return int(value[2:], 16) if value.startswith(b"0x") else int(value)
    except ValueError:
        # as node_exporter has it: what is no number is left out, and only that
        return None
