"""The operating system's name and version: how the file is written, where it lies, and when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.procfs.os_release import parse_os_release
from exporter.settings import NoDataError
from tests.exporter.hosts import OLD, build, numbers, read

DAY = 86400.0


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("NAME=", ""),
        ("  NAME = spaced ", "spaced"),
        ("export NAME=a b", "a b"),
        ('NAME="quoted # no comment"', "quoted # no comment"),
        ('NAME=" kept "  # comment', " kept "),
        ("NAME=plain # comment", "plain"),
        ("NAME='raw \\n $x'", "raw \\n $x"),
        (r'NAME="a\"b\\c\$d\ne"', 'a"b\\c$d\ne'),
        ("NAME=un\"quo\"ted' twice'", "unquoted twice"),
        ("# a comment\n\nNAME=last\r", "last"),
    ],
)
def test_a_value_is_read_as_a_shell_does(line: str, value: str) -> None:
    assert parse_os_release(line.encode()) == {"NAME": value}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NAME", "not a line of os-release: 'NAME'"),
        ("1NAME=x", "not a line of os-release"),
        ('NAME="x', "a quote is open"),
        ("NAME=it's", "a quote is open"),
    ],
)
def test_what_is_no_assignment_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_os_release(text.encode())


def test_name_version_and_end_of_support_are_exported() -> None:
    found = read("os")

    assert found.pop("node_os_support_end_timestamp_seconds") == 1_969_574_400
    assert found == {
        r'node_os_info{build_id="20240501",id="example",id_like="rhel fedora",image_id="",image_version="",'
        r'name="Example \"Quoted\" Linux",pretty_name="Example Linux 9.4 (Plain)",variant="Server Edition",'
        r'variant_id="server",version="9.4 (Plain)",version_codename="plain",version_id="9.4"}': 1,
        r'node_os_version{id="example",id_like="rhel fedora",name="Example \"Quoted\" Linux"}': 9.4,
    }


def test_the_file_of_the_vendor_is_read_where_there_is_no_other() -> None:
    assert read("os", tree=OLD)['node_os_version{id="old",id_like="",name="plain"}'] == 7


def test_no_file_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        build("os", tree=tmp_path)()


def write(tree: Path, text: str, written: int) -> None:
    """Write the file as of a time."""
    (tree / "root/etc").mkdir(parents=True, exist_ok=True)
    path = tree / "root/etc/os-release"
    path.write_text(text)
    os.utime(path, (written, written))


def test_an_upgrade_is_seen_and_a_broken_file_is_an_error_each_time(tmp_path: Path) -> None:
    write(tmp_path, "ID=a\nVERSION_ID=12\n", 1)
    collect = build("os", tree=tmp_path)
    assert numbers(collect())['node_os_version{id="a",id_like="",name=""}'] == 12
    write(tmp_path, "ID", 2)

    for _ in range(2):
        with pytest.raises(ValueError, match="not a line"):
            collect()
    write(tmp_path, "ID=a\nVERSION_ID=13\nSUPPORT_END=1970-01-02\n", 3)
    found = numbers(collect())
    assert found['node_os_version{id="a",id_like="",name=""}'] == 13
    assert found["node_os_support_end_timestamp_seconds"] == DAY


@pytest.mark.parametrize("version", ["VERSION_ID=rolling", "VERSION_ID=0", "VERSION_ID=", ""])
def test_a_version_that_is_no_number_is_left_out(tmp_path: Path, version: str) -> None:
    write(tmp_path, f"ID=a\n{version}\n", 1)

    assert [series for series in read("os", tree=tmp_path) if not series.startswith("node_os_info")] == []


@pytest.mark.parametrize("day", ["20320531", "2032-13-01", "soon"])
def test_an_end_of_support_that_is_no_day_is_an_error(tmp_path: Path, day: str) -> None:
    write(tmp_path, f"ID=a\nSUPPORT_END={day}\n", 1)

    with pytest.raises(ValueError, match=r"SUPPORT_END|month"):
        build("os", tree=tmp_path)()
