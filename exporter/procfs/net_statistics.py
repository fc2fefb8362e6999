"""The protocols' counters: netstat, snmp, snmp6, sockstat. What never changes about a file is worked out once.

Formats: proc(5), net/ipv4/proc.c and net/ipv6/proc.c of Linux.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter.procfs.layout import Place
from selfheal.common.procfs import PAGE_BYTES

Wanted = Callable[[str], bool]

_SOCKET_FIELDS = frozenset({"inuse", "orphan", "tw", "alloc", "mem", "memory"})


class PairedTable:
    """Reads tables of two lines a protocol, first names, then values: `net/netstat` and `net/snmp`."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._layouts: dict[bytes, tuple[int, list[tuple[int, str]]]] = {}

    def parse(self, data: bytes) -> dict[str, int]:
        """Given the bytes, return each wanted field as `Protocol_Field`. Raise ValueError if lines do not pair."""
        lines = data.splitlines()
        if len(lines) % 2:
            raise ValueError("a line of names has no line of values")
        fields: dict[str, int] = {}
        for names, line in zip(lines[::2], lines[1::2], strict=True):
            width, places = self._layouts.get(names) or self._learn(names)
            values = line.split()
            if len(values) != width or values[0] != names[: len(values[0])]:
                raise ValueError(f"names and values do not pair: {names[:16]!r}")
            for place, name in places:
                fields[name] = int(values[place])
        return fields

    def _learn(self, names: bytes) -> tuple[int, list[tuple[int, str]]]:
        # split before decoding: text has more kinds of blanks than bytes
        protocol, *words = (word.decode("ascii", "replace") for word in names.split() or (b"",))
        if not protocol.endswith(":"):
            raise ValueError(f"not a line of names: {names[:16]!r}")
        keys = [f"{protocol[:-1]}_{word}" for word in words]
        if not all(map(str.isidentifier, keys)):
            raise ValueError(f"not a line of names: {names[:16]!r}")
        places = [(place, key) for place, key in enumerate(keys, 1) if self._wanted(key)]
        if len(self._layouts) > 64:
            # the kernel has a handful; whoever writes others at every scrape does not get to fill our memory
            self._layouts.clear()
        layout = self._layouts[names] = (len(words) + 1, places)
        return layout


class SingleTable:
    """Reads `net/snmp6`: a name and a value a line."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._names: list[bytes] = []
        self._places: list[tuple[int, str]] = []

    def parse(self, data: bytes) -> dict[str, int]:
        """Given the bytes, return each wanted field as `Protocol6_Field`. Raise ValueError if a line is not a pair."""
        words = data.split()
        names = words[::2]
        if names != self._names:
            if any(len(line.split()) != 2 for line in data.splitlines()):
                raise ValueError("a line of snmp6 is not a name and a value")
            self._places = list(self._learn(names))
            self._names = names
        return {key: int(words[place]) for place, key in self._places}

    def _learn(self, names: list[bytes]) -> Iterator[tuple[int, str]]:
        for number, name in enumerate(names):
            protocol, six, field = name.decode("ascii", "replace").partition("6")
            key = f"{protocol}6_{field}"
            if six and not key.isidentifier():
                raise ValueError(f"not a name of a counter: {name!r}")
            if six and self._wanted(key):
                yield 2 * number + 1, key


def find_sockets(data: bytes) -> dict[str, Place]:
    """Given the bytes of `net/sockstat` or `sockstat6`, return where each field stands, as `PROTOCOL_field`.

    `mem` counts pages; `mem_bytes` is the same in bytes. Raise ValueError if a line is broken.
    """
    found: dict[str, Place] = {}
    begin = 0
    for line in data.splitlines():
        protocol, *words = (word.decode("ascii", "replace") for word in line.split() or (b"",))
        protocol = protocol.rstrip(":")
        if not words or len(words) % 2 or not protocol.isidentifier():
            raise ValueError(f"not a line of sockstat: {line!r}")
        if protocol != "sockets":
            # 0 where the kernel does not say it, as node_exporter has it
            found[f"{protocol}_inuse"] = Place(begin + 2, 0)
        for number, field in enumerate(words[::2]):
            if field in _SOCKET_FIELDS or (protocol, field) == ("sockets", "used"):
                found[f"{protocol}_{field}"] = Place(begin + 2 * number + 2, 1)
            if field == "mem":
                found[f"{protocol}_mem_bytes"] = Place(begin + 2 * number + 2, PAGE_BYTES)
        begin += 1 + len(words)
    return found
