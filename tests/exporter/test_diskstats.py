"""What disks did and what they are: counters old and new, udev's properties, filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfheal.common.clock import ManualClock
from tests.exporter.storage import TREE, create, numbers, of, read, write

LINE = "8 0 sda 1 2 3 4 5 6 7 8 9 10 11"
UDEV = f"--path.udev.data={TREE}/root/run/udev/data"


def devices(found: dict[str, float], family: str) -> set[str]:
    return {series.partition('device="')[2].partition('"')[0] for series in of(found, f"{family}{{")}


def test_each_column_has_its_family_and_unit(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"})

    found = read("diskstats", tree=tmp_path)

    by_name = {series.removeprefix("node_disk_").removesuffix('{device="sda"}'): v for series, v in found.items()}
    assert by_name == {
        "reads_completed_total": 1, "reads_merged_total": 2, "read_bytes_total": 3 * 512,
        "read_time_seconds_total": 0.004, "writes_completed_total": 5, "writes_merged_total": 6,
        "written_bytes_total": 7 * 512, "write_time_seconds_total": 0.008, "io_now": 9,
        "io_time_seconds_total": 0.01, "io_time_weighted_seconds_total": 0.011, "discards_completed_total": 12,
        "discards_merged_total": 13, "discarded_sectors_total": 14, "discard_time_seconds_total": 0.015,
        "flush_requests_total": 16, "flush_requests_time_seconds_total": 0.017,
        'info{device="sda",major="8",minor="0",model="",path="",revision="",rotational="0",serial="",wwn=""}': 1,
    }  # fmt: skip


def test_older_kernels_have_fewer_columns() -> None:
    found = read("diskstats")

    assert {"sdc", "vda"} <= devices(found, "node_disk_io_time_seconds_total")
    assert {"sdc", "vda"}.isdisjoint(devices(found, "node_disk_discards_merged_total"))
    assert {"mmcblk0", "sdb"} <= devices(found, "node_disk_discards_merged_total")
    assert {"mmcblk0", "sdb"}.isdisjoint(devices(found, "node_disk_flush_requests_total"))


def test_the_largest_counter_stays_exact() -> None:
    assert read("diskstats")['node_disk_reads_completed_total{device="md0"}'] == float(2**64 - 1)


@pytest.mark.parametrize(
    ("flags", "disks"),
    [
        ([], {"sda", "sdb", "sdc", "sr0", "nvme0n1", "dm-0", "dm-1", "mmcblk0", "md0", "vda"}),
        (["--collector.diskstats.device-include=^nvme"], {"nvme0n1", "nvme0n1p1"}),
        (["--collector.diskstats.device-exclude=^(ram|fd|loop|z|s|n|dm|m)"], {"vda"}),
    ],
)
def test_filters_choose_disks(flags: list[str], disks: set[str]) -> None:
    assert devices(read("diskstats", *flags), "node_disk_io_now") == disks


def test_include_and_exclude_together_are_refused() -> None:
    flag = "--collector.diskstats.device"

    with pytest.raises(ValueError, match=f"{flag}-include and -exclude contradict each other"):
        create("diskstats", f"{flag}-include=a", f"{flag}-exclude=b")


def test_udev_says_what_a_disk_is() -> None:
    found = read("diskstats")

    assert of(found, 'node_disk_info{device="sda"') == {
        'node_disk_info{device="sda",major="8",minor="0",model="WDC_WD20EFRX-68EUZN0",'
        'path="pci-0000:00:17.0-ata-1",revision="82.00A82",rotational="1",serial="WD-WCC4M0",'
        'wwn="0x50014ee2bdb1cd58"}': 1
    }
    # the number printed on the disk goes before udev's own
    assert [series for series in found if 'device="sdb"' in series and 'serial="S5B0NEAM"' in series]
    assert (
        found[
            'node_disk_filesystem_info{device="dm-0",type="ext4",usage="filesystem",uuid="9b9f2e9c",version="1.0=last"}'
        ]
        == 1
    )
    assert (
        found[
            'node_disk_device_mapper_info{device="dm-0",lv_layer="",lv_name="root",name="vg0-root",uuid="LVM-wbXm7xfc5LHZ",vg_name="vg0"}'
        ]
        == 1
    )
    assert devices(found, "node_disk_filesystem_info") == {"dm-0", "dm-1", "md0"}


def test_ata_disks_say_how_they_turn_and_cache() -> None:
    found = read("diskstats")

    assert of(found, "node_disk_ata") == {
        'node_disk_ata_rotation_rate_rpm{device="sda"}': 5400,
        'node_disk_ata_rotation_rate_rpm{device="sdb"}': 0,
        'node_disk_ata_write_cache{device="sda"}': 1,
        'node_disk_ata_write_cache{device="sdb"}': 1,
        'node_disk_ata_write_cache_enabled{device="sda"}': 0,
    }


def test_udevs_folder_can_be_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n"})

    assert devices(read("diskstats", UDEV, tree=tmp_path), "node_disk_ata_write_cache") == {"sda"}
    assert devices(read("diskstats", tree=tmp_path), "node_disk_ata_write_cache") == set()


def test_whether_a_disk_rotates_needs_no_other_file(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n", "sys/block/sda/queue/rotational": "1\n"})

    (info,) = of(read("diskstats", tree=tmp_path), "node_disk_info")
    assert 'rotational="1"' in info


def test_what_udev_learns_is_seen_in_the_next_scrape(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n", "root/run/udev/data/b8:0": "E:ID_MODEL=old\n"})
    collect = create("diskstats", tree=tmp_path)
    collect()

    write(tmp_path, {"new": "E:ID_MODEL=new\n"})
    (tmp_path / "new").rename(tmp_path / "root/run/udev/data/b8:0")

    (info,) = of(numbers(collect()), "node_disk_info")
    assert 'model="new"' in info


def test_what_sysfs_tells_of_no_change_is_seen_after_a_while(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n", "sys/block/sda/queue/rotational": "1\n"})
    clock = ManualClock()
    collect = create("diskstats", tree=tmp_path, clock=clock)
    collect()
    write(tmp_path, {"sys/block/sda/queue/rotational": "0\n"})

    clock.advance(61)

    (info,) = of(numbers(collect()), "node_disk_info")
    assert 'rotational="0"' in info


def test_a_disk_that_goes_takes_its_series_along(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n"})
    collect = create("diskstats", tree=tmp_path)
    assert devices(numbers(collect()), "node_disk_info") == {"sda", "sdb"}

    write(tmp_path, {"proc/diskstats": f"{LINE}\n"})

    found = numbers(collect())
    assert devices(found, "node_disk_info") == devices(found, "node_disk_io_now") == {"sda"}


def test_short_lines_of_old_partitions_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n3 1 hdx 1 2 3 4\n"})

    assert devices(read("diskstats", tree=tmp_path), "node_disk_info") == {"sda"}


@pytest.mark.parametrize("line", ["8 0", "8 0 sda", "8 0 sda a b c d e f g h i j k"])
def test_a_broken_line_is_an_error(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"proc/diskstats": f"{LINE}\n{line}\n"})

    with pytest.raises(ValueError, match=r"not a line of diskstats|invalid literal"):
        create("diskstats", tree=tmp_path)()
