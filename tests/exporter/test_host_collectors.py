"""Collectors of the host's own files, on written trees and on broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.settings import NoDataError
from tests.exporter.hosts import OLD, build, copied, numbers, read
from tests.exporter.trees import PROCFS, copied_procfs, create, values


def test_every_field_of_meminfo_has_node_exporters_name() -> None:
    found = values(create("meminfo")())

    captured = (PROCFS / "meminfo").read_text().splitlines()
    assert len(found) == len(captured)
    assert found["node_memory_MemTotal_bytes"] == str(int(captured[0].split()[1]) * 1024)
    assert {"node_memory_Active_anon_bytes", "node_memory_HugePages_Total", "node_memory_Cached_bytes"} <= found.keys()


def test_memory_that_changes_is_read_anew_and_what_stays_is_kept(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\nMemFree: 4 kB\n")
    collect = create("meminfo", procfs=tmp_path)
    first = collect()
    # a caller that empties its list empties only that
    first.clear()
    for free in (3, 2, 2):
        (tmp_path / "meminfo").write_text(f"MemTotal: 8 kB\nMemFree: {free} kB\n")

        assert numbers(collect()) == {"node_memory_MemTotal_bytes": 8192, "node_memory_MemFree_bytes": free * 1024}


def test_load_is_exported_for_three_spans() -> None:
    assert values(create("loadavg")()) == {"node_load1": "0.18", "node_load5": "0.09", "node_load15": "0.02"}


def test_what_the_kernel_counted_since_boot_is_exported() -> None:
    assert read("stat") == {
        "node_boot_time_seconds": 1_766_131_200,
        "node_context_switches_total": 731_044_912,
        "node_forks_total": 1_923_847,
        "node_intr_total": 418_236_401,
        "node_procs_blocked": 1,
        "node_procs_running": 3,
    }


def test_soft_interrupts_come_by_vector_when_asked_for() -> None:
    found = {series: value for series, value in read("stat", "--collector.stat.softirq").items() if "soft" in series}

    assert len(found) == 10
    assert found['node_softirqs_total{vector="hi"}'] == 17
    assert found['node_softirqs_total{vector="block_iopoll"}'] == 0
    assert found['node_softirqs_total{vector="rcu"}'] == 64_206_323


def test_a_line_of_thousands_of_interrupts_is_read_by_its_sum(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    path = tree / "proc/stat"
    path.write_text(path.read_text().replace("intr 418236401", "intr 418236402" + " 7" * 20_000))

    assert read("stat", tree=tree)["node_intr_total"] == 418_236_402
    assert len(read("cpu", "--no-collector.cpu.guest", tree=tree)) > 3 * 8


def test_fields_of_vmstat_are_chosen_by_an_expression() -> None:
    assert set(read("vmstat")) == {
        "node_vmstat_oom_kill", "node_vmstat_pgfault", "node_vmstat_pgmajfault", "node_vmstat_pgpgin",
        "node_vmstat_pgpgout", "node_vmstat_pswpin", "node_vmstat_pswpout",
    }  # fmt: skip
    assert read("vmstat", "--collector.vmstat.fields=^thp_") == {"node_vmstat_thp_fault_alloc": 55_120}
    assert read("vmstat", "--collector.vmstat.fields=^nothing$") == {}


def test_numbers_above_what_a_float_can_hold_stay_exact() -> None:
    found = values(build("vmstat", "--collector.vmstat.fields=^pg", tree=OLD)())

    assert found == {"node_vmstat_pgfault": "18446744073709551615", "node_vmstat_pgpgin": "9007199254740993"}


def test_open_files_and_their_limit_are_exported() -> None:
    assert read("filefd") == {"node_filefd_allocated": 12416, "node_filefd_maximum": float(2**63 - 1)}


def test_randomness_is_exported() -> None:
    assert read("entropy") == {"node_entropy_available_bits": 3921, "node_entropy_pool_size_bits": 4096}


def test_pressure_is_exported_in_seconds() -> None:
    assert read("pressure") == {
        # the microseconds are divided as node_exporter does it, rounding included
        "node_pressure_cpu_waiting_seconds_total": 98123.45512700001,
        "node_pressure_io_waiting_seconds_total": 41233.019837,
        "node_pressure_io_stalled_seconds_total": 30120.945511,
        "node_pressure_memory_waiting_seconds_total": 7.120993,
        "node_pressure_memory_stalled_seconds_total": 3.312087,
        "node_pressure_irq_stalled_seconds_total": 611.827349,
    }


def test_a_kernel_without_pressure_of_interrupts_has_the_rest(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "proc/pressure/irq").unlink()
    collect = build("pressure", tree=tree)

    for _ in range(2):
        assert len(numbers(collect())) == 5


def test_scheduling_is_exported_by_cpu() -> None:
    found = read("schedstat")

    assert found['node_schedstat_running_seconds_total{cpu="0"}'] == 8271635.449182733
    assert found['node_schedstat_waiting_seconds_total{cpu="1"}'] == 88120.394857102
    assert found['node_schedstat_timeslices_total{cpu="2"}'] == 701882915
    assert len(found) == 9


def test_the_firmware_is_told_with_the_labels_that_can_be_read() -> None:
    (series,) = read("dmi")

    assert series.startswith(
        r'node_dmi_info{bios_date="04/12/2024",bios_release="2.19",bios_vendor="Example Firmware \"A\""'
    )
    assert r'board_asset_tag="",board_name="0X1\\Y"' in series
    assert 'chassis_asset_tag="tag"' in series
    assert 'product_name="R440 가나다"' in series
    assert series.endswith(',system_vendor="Example Inc."}')
    # only root may read the serial numbers; the rest of the folder is not of interest
    assert "serial" not in series
    assert "modalias" not in series


@pytest.mark.parametrize("name", ["pressure", "schedstat", "dmi"])
def test_what_a_kernel_does_not_have_is_no_data_and_no_error(name: str) -> None:
    collect = build(name, tree=OLD)

    for _ in range(2):
        with pytest.raises(NoDataError):
            collect()


@pytest.mark.parametrize(
    ("name", "file", "data", "reason"),
    [
        ("cpu", "stat", b"", "no line of a CPU"),
        ("cpu", "stat", b"cpu0 1 2", "the line of cpu0 is not whole"),
        ("cpu", "stat", b"cpu0 1 2 x 4", "invalid literal"),
        ("cpu", "stat", b"cpux 1 2 3 4", "invalid literal"),
        ("meminfo", "meminfo", b"", "meminfo is empty"),
        ("meminfo", "meminfo", b"MemTotal: 1 kB\nMemFr", "not a line of meminfo: 'MemFr'"),
        ("meminfo", "meminfo", b"MemTotal: 1 MB\n", "unknown unit in meminfo: 'MemTotal: 1 MB'"),
        ("meminfo", "meminfo", b"\xff\xfe: 1 kB x", "unknown unit"),
        ("loadavg", "loadavg", b"0.1 0.2", "loadavg is not whole"),
        ("loadavg", "loadavg", b"a b c", "could not convert string to float"),
        ("stat", "stat", b"", "stat has no line of intr"),
        ("stat", "stat", b"cpu0 1 2 3 4\nintr 5\nctxt 6\n", "stat has no line of softirq"),
        ("stat", "stat", b"intr x\n", "invalid literal"),
        ("vmstat", "vmstat", b"pgpgin\n", "not a line of vmstat: 'pgpgin'"),
        ("vmstat", "vmstat", b"pgpgin x\n", "not a line of vmstat: 'pgpgin x'"),
        ("filefd", "sys/fs/file-nr", b"12 0", "file-nr is not whole"),
        ("filefd", "sys/fs/file-nr", b"a 0 b", "invalid literal"),
        ("entropy", "sys/kernel/random/entropy_avail", b"many", "invalid literal"),
        ("pressure", "pressure/io", b"", "a file of pressure is empty"),
        ("pressure", "pressure/io", b"some avg10=0.00 total=x", "invalid literal"),
        ("schedstat", "schedstat", b"version 17\n", "schedstat has no line of a CPU"),
    ],
)
def test_a_broken_file_is_an_error_and_no_value(tmp_path: Path, name: str, file: str, data: bytes, reason: str) -> None:
    tree = copied(tmp_path)
    (tree / "proc" / file).write_bytes(data)

    with pytest.raises(ValueError, match=reason):
        build(name, tree=tree)()


@pytest.mark.parametrize("name", ["cpu", "meminfo", "loadavg", "stat", "vmstat", "filefd", "entropy"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        build(name, tree=tmp_path)()


def test_a_collector_that_failed_works_again_with_its_file(tmp_path: Path) -> None:
    collect = create("loadavg", procfs=tmp_path)
    with pytest.raises(FileNotFoundError):
        collect()
    (tmp_path / "loadavg").write_text("1.0 2.0 3.0 1/2 3\n")

    assert values(collect())["node_load5"] == "2.0"


def test_a_file_that_breaks_is_an_error_and_works_again(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("meminfo", procfs=procfs)
    collect()
    (procfs / "meminfo").write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="not a line of meminfo"):
        collect()
    (procfs / "meminfo").write_bytes((PROCFS / "meminfo").read_bytes())

    assert values(collect())["node_memory_MemTotal_bytes"] == values(create("meminfo")())["node_memory_MemTotal_bytes"]
