"""cpu, meminfo and loadavg on a captured procfs, and on broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exporter.trees import PROCFS, copied_procfs, create, values


def test_cpu_time_is_exported_by_cpu_and_mode() -> None:
    found = values(create("cpu")())

    assert found['node_cpu_seconds_total{cpu="0",mode="user"}'] == "27.66"
    assert found['node_cpu_seconds_total{cpu="1",mode="idle"}'] == "1976.92"
    assert found['node_cpu_guest_seconds_total{cpu="1",mode="nice"}'] == "0.0"
    assert len(found) == 2 * 8 + 2 * 2


def test_every_field_of_meminfo_has_node_exporters_name() -> None:
    found = values(create("meminfo")())

    captured = (PROCFS / "meminfo").read_text().splitlines()
    assert len(found) == len(captured)
    assert found["node_memory_MemTotal_bytes"] == str(int(captured[0].split()[1]) * 1024)
    assert {"node_memory_Active_anon_bytes", "node_memory_HugePages_Total", "node_memory_Cached_bytes"} <= found.keys()


def test_load_is_exported_for_three_spans() -> None:
    assert values(create("loadavg")()) == {"node_load1": "0.18", "node_load5": "0.09", "node_load15": "0.02"}


@pytest.mark.parametrize(
    ("before", "after", "exported"),
    [(5000, 4990, "50.0"), (5000, 4700, "50.0"), (5000, 4699, "46.99"), (5000, 5001, "50.01")],
    ids=["corrected", "at_the_boundary", "came_back_anew", "grew"],
)
def test_a_small_step_back_of_the_kernel_is_not_exported(
    tmp_path: Path, before: int, after: int, exported: str
) -> None:
    (tmp_path / "stat").write_text(f"cpu0 1 2 3 {before}\n")
    collect = create("cpu", procfs=tmp_path)
    collect()
    (tmp_path / "stat").write_text(f"cpu0 1 2 3 {after}\n")

    assert values(collect())['node_cpu_seconds_total{cpu="0",mode="idle"}'] == exported


def test_a_cpu_that_went_offline_is_no_longer_exported(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu0 1 2 3 4\ncpu1 1 2 3 4\n")
    collect = create("cpu", procfs=tmp_path)
    collect()
    (tmp_path / "stat").write_text("cpu0 1 2 3 4\n")

    assert not [series for series in values(collect()) if 'cpu="1"' in series]


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
    ],
)
def test_a_broken_file_is_an_error_and_no_value(tmp_path: Path, name: str, file: str, data: bytes, reason: str) -> None:
    procfs = copied_procfs(tmp_path)
    (procfs / file).write_bytes(data)

    with pytest.raises(ValueError, match=reason):
        create(name, procfs=procfs)()


@pytest.mark.parametrize("name", ["cpu", "meminfo", "loadavg"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        create(name, procfs=tmp_path)()


def test_a_collector_that_failed_works_again_with_its_file(tmp_path: Path) -> None:
    collect = create("loadavg", procfs=tmp_path)
    with pytest.raises(FileNotFoundError):
        collect()
    (tmp_path / "loadavg").write_text("1.0 2.0 3.0 1/2 3\n")

    assert values(collect())["node_load5"] == "2.0"
