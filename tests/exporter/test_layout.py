"""Files of which only the numbers change: where they stand is learnt, and learnt anew when it changes."""

from __future__ import annotations

import re

import pytest

from exporter.procfs.host import find_meminfo, vmstat_finder
from exporter.procfs.layout import Layout, Place


def test_numbers_come_in_the_order_of_the_names() -> None:
    layout = Layout(find_meminfo)

    assert layout.read(b"MemTotal: 20 kB\nHugePages_Free:  3\nActive(anon): 4 kB\n") == [4096, 3, 20480]
    assert layout.names == ("Active_anon_bytes", "HugePages_Free", "MemTotal_bytes")


def test_it_looks_only_once_while_only_numbers_change() -> None:
    looked = []

    def find(data: bytes) -> dict[str, Place]:
        looked.append(data)
        return find_meminfo(data)

    layout = Layout(find)
    layout.read(b"A: 1 kB\nB: 2\n")
    names = layout.names

    assert layout.read(b"A:       100 kB\nB:   7\n") == [102400, 7]
    assert len(looked) == 1
    assert layout.names is names


@pytest.mark.parametrize(
    ("changed", "names", "numbers"),
    [
        (b"A: 1 kB\nB: 2\nC: 3\n", ("A_bytes", "B", "C"), [1024, 2, 3]),
        (b"A: 1 kB\n", ("A_bytes",), [1024]),
        (b"B: 2\nA: 1 kB\n", ("A_bytes", "B"), [1024, 2]),
        (b"A: 1\nB: 2 kB\n", ("A", "B_bytes"), [1, 2048]),
        (b"A: 1 kB\nX: 2\n", ("A_bytes", "X"), [1024, 2]),
    ],
    ids=["one_more", "one_less", "another_order", "another_unit", "another_name"],
)
def test_it_looks_anew_when_anything_else_changes(changed: bytes, names: tuple[str, ...], numbers: list[int]) -> None:
    layout = Layout(find_meminfo)
    layout.read(b"A: 5 kB\nB: 6\n")

    assert layout.read(changed) == numbers
    assert layout.names == names


@pytest.mark.parametrize(
    "broken", [b"", b"A: 1 kB\nB", b"A: x kB\nB: 2\n", b"A: -1 kB\nB: 2\n", b"A: 1 2 kB\n", b"A: 5 6 kB\nB: 7\n"]
)
def test_a_broken_file_is_an_error_and_the_next_whole_one_is_read(broken: bytes) -> None:
    layout = Layout(find_meminfo)
    layout.read(b"A: 5 kB\nB: 6\n")

    with pytest.raises(ValueError, match="meminfo"):
        layout.read(broken)
    assert layout.read(b"A: 7 kB\nB: 8\n") == [7168, 8]


@pytest.mark.parametrize(
    ("wanted", "names", "numbers"),
    [
        ("^pg", ("pgin", "pgout"), [10, 20]),
        ("^oom", ("oom_kill",), [3]),
        ("^none", (), []),
        ("", ("oom_kill", "pgin", "pgout"), [3, 10, 20]),
    ],
    ids=["two", "one", "none", "all"],
)
def test_only_wanted_fields_are_found(wanted: str, names: tuple[str, ...], numbers: list[int]) -> None:
    layout = Layout(vmstat_finder(lambda field: re.search(wanted, field) is not None))

    assert layout.read(b"pgin 10\noom_kill 3\npgout 20\n") == numbers
    assert layout.names == names
