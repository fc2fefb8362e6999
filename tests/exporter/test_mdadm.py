"""Software RAID arrays in all their states, and an mdstat that is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.settings import NoDataError
from tests.exporter.storage import create, numbers, of, read, write

TWO = "        10 blocks [2/2] [UU]\n"


def mdstat(tree: Path, *lines: str) -> Path:
    return write(tree, {"proc/mdstat": "Personalities : [raid1]\n" + "".join(lines) + "\nunused devices: <none>\n"})


@pytest.mark.parametrize(
    ("array", "state", "disks", "required", "blocks", "synced"),
    [
        ("md3", "active", (8, 0, 2), 8, 5853468288, 5853468288),
        ("md127", "active", (2, 1, 0), 2, 312319552, 312319552),
        ("md4", "inactive", (0, 1, 1), 0, 4883648, 4883648),
        ("md6", "recovering", (1, 1, 1), 2, 195310144, 16775552),
        ("md8", "resync", (2, 0, 2), 2, 195310144, 16775552),
        ("md201", "check", (2, 0, 0), 2, 1993728, 114176),
        ("md7", "active", (3, 1, 0), 4, 7813735424, 7813735424),
        ("md9", "resync", (4, 2, 1), 4, 523968, 0),
        ("md11", "resync", (2, 1, 2), 2, 4190208, 0),
        ("md12", "active", (2, 0, 0), 2, 3886394368, 3886394368),
        ("md120", "active", (2, 0, 0), 2, 2095104, 2095104),
        ("md219", "inactive", (0, 0, 3), 0, 7932, 7932),
        ("md42", "resync", (3, 0, 0), 3, 1048576, 65536),
    ],
)
def test_an_array_says_its_disks_and_what_it_does(
    array: str, state: str, disks: tuple[int, int, int], required: int, blocks: int, synced: int
) -> None:
    found = read("mdadm")

    device = f'{{device="{array}"'
    assert [found[f'node_md_disks{device},state="{each}"}}'] for each in ("active", "failed", "spare")] == [*disks]
    assert {series for series, value in of(found, f"node_md_state{device},").items() if value} == {
        f'node_md_state{device},state="{state}"}}'
    }
    assert found[f"node_md_disks_required{device}}}"] == required
    assert found[f"node_md_blocks{device}}}"] == blocks
    assert found[f"node_md_blocks_synced{device}}}"] == synced


def test_without_software_raid_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        create("mdadm", tree=tmp_path)()


def test_without_arrays_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert read("mdadm", tree=mdstat(tmp_path)) == {}


def test_an_array_that_changes_is_read_again(tmp_path: Path) -> None:
    collect = create("mdadm", tree=mdstat(tmp_path, "md0 : active raid1 a[0] b[1]\n", TWO))
    collect()

    mdstat(tmp_path, "md0 : active raid1 a[0]\n", "        10 blocks [2/1] [U_]\n")

    assert numbers(collect())['node_md_disks{device="md0",state="active"}'] == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["md0 : \n", TWO], "not an array"),
        (["md0 : active raid1 a[0] b[1]\n", "   none\n"], "no size of md0"),
        (["md0 : active raid1 a[0] b[1]\n", "   10 blocks\n"], "no numbers of disks of md0"),
        (["md0 : active raid1 a[0] b[1]\n", TWO, "   resync = 8.5% finish=1min\n"], "no progress of md0"),
    ],
    ids=["short", "no_size", "no_numbers", "no_progress"],
)
def test_a_broken_array_is_an_error(tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        create("mdadm", tree=mdstat(tmp_path, *lines))()


def test_an_array_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"proc/mdstat": "md0 : active raid1 a[0] b[1]\n" + TWO.rstrip("\n")})

    with pytest.raises(ValueError, match="md0 in mdstat has too few lines"):
        create("mdadm", tree=tmp_path)()
