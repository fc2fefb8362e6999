"""CPU time that never falls, and what is known of each CPU: kind, throttling, frequencies, online, isolated."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from exporter.procfs.cpus import parse_list
from exporter.settings import IncompleteError
from tests.exporter.hosts import HOST, OLD, build, copied, numbers, read
from tests.exporter.trees import create, values


def times(found: dict[str, float]) -> dict[str, float]:
    """Return seconds by mode of CPU 0."""
    pattern = re.compile(r'node_cpu_seconds_total.*"0",mode="(\w+)"')
    return {match[1]: value for series, value in found.items() if (match := pattern.match(series))}


def test_cpu_time_is_exported_by_cpu_and_mode() -> None:
    found = values(create("cpu")())

    assert found['node_cpu_seconds_total{cpu="0",mode="user"}'] == "27.66"
    assert found['node_cpu_seconds_total{cpu="1",mode="idle"}'] == "1976.92"
    assert found['node_cpu_guest_seconds_total{cpu="1",mode="nice"}'] == "0.0"
    assert len([series for series in found if "seconds_total" in series]) == 2 * 8 + 2 * 2


def test_fields_that_an_old_kernel_lacks_are_0() -> None:
    found = times(read("cpu", tree=OLD))

    assert found == {
        "user": 50.66, "nice": 1.45, "system": 15.42, "idle": 234.14,
        "iowait": 0.08, "irq": 0.0, "softirq": 0.12, "steal": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "exported"),
    [(5000, 4990, "50.0"), (5000, 4701, "50.0"), (5000, 4700, "47.0"), (5000, 5001, "50.01")],
    ids=["corrected", "below_the_boundary", "came_back_anew", "grew"],
)
def test_a_small_step_back_of_the_kernel_is_not_exported(
    tmp_path: Path, before: int, after: int, exported: str
) -> None:
    (tmp_path / "stat").write_text(f"cpu0 1 2 3 {before}\n")
    collect = create("cpu", procfs=tmp_path)
    collect()
    (tmp_path / "stat").write_text(f"cpu0 1 2 3 {after}\n")

    assert values(collect())['node_cpu_seconds_total{cpu="0",mode="idle"}'] == exported


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ("cpu0 90 200 300 49999 400 500 600 700", (1.0, 4.0)),
        ("cpu0 90 200 300 49000 300 500 600 700", (0.9, 3.0)),
    ],
    ids=["each_alone", "all_together"],
)
def test_a_cpu_starts_anew_as_a_whole(tmp_path: Path, after: str, seconds: tuple[float, float]) -> None:
    (tmp_path / "stat").write_text("cpu0 100 200 300 50000 400 500 600 700\n")
    collect = create("cpu", procfs=tmp_path)
    collect()
    (tmp_path / "stat").write_text(after + "\n")

    found = times(numbers(collect()))

    assert (found["user"], found["iowait"]) == seconds


def test_a_cpu_that_went_offline_is_no_longer_exported_and_comes_back_anew(tmp_path: Path) -> None:
    both = "cpu0 1 2 3 4\ncpu1 1 2 3 400\n"
    (tmp_path / "stat").write_text(both)
    collect = create("cpu", procfs=tmp_path)
    collect()
    (tmp_path / "stat").write_text("cpu0 1 2 3 4\n")
    assert not [series for series in values(collect()) if 'cpu="1"' in series and "seconds" in series]
    (tmp_path / "stat").write_text(both.replace("400", "399"))

    assert values(collect())['node_cpu_seconds_total{cpu="1",mode="idle"}'] == "3.99"


def test_guests_are_left_out_when_not_wanted() -> None:
    assert not [series for series in read("cpu", "--no-collector.cpu.guest") if "guest" in series]
    assert read("cpu")['node_cpu_guest_seconds_total{cpu="0",mode="user"}'] == 225.19


def test_throttling_is_counted_by_core_and_package() -> None:
    found = {series: value for series, value in read("cpu").items() if "throttles" in series}

    # the second package tells of no package throttling, and its second core of none at all
    assert found == {
        'node_cpu_core_throttles_total{core="0",package="0"}': 17,
        'node_cpu_core_throttles_total{core="4",package="0"}': 0,
        'node_cpu_core_throttles_total{core="0",package="1"}': 4102,
        'node_cpu_package_throttles_total{package="0"}': 93,
    }


def test_cpus_of_one_core_share_its_count() -> None:
    found = {series: value for series, value in read("cpu", tree=OLD).items() if "throttles" in series}

    assert found == {'node_cpu_core_throttles_total{core="0",package="0"}': 1}


def test_throttling_is_read_anew_each_time(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    collect = build("cpu", tree=tree)
    collect()
    (tree / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").write_text("18\n")
    (tree / "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count").unlink()

    found = numbers(collect())

    assert found['node_cpu_core_throttles_total{core="0",package="0"}'] == 18
    assert 'node_cpu_core_throttles_total{core="4",package="0"}' not in found


def test_what_is_online_and_isolated_is_told() -> None:
    found = read("cpu")

    assert [found[f'node_cpu_online{{cpu="{cpu}"}}'] for cpu in range(4)] == [1, 1, 1, 0]
    assert {series for series in found if "isolated" in series} == {
        'node_cpu_isolated{cpu="2"}', 'node_cpu_isolated{cpu="3"}',
    }  # fmt: skip


def test_where_the_first_cpu_cannot_be_switched_off_none_is_told_to_be_online() -> None:
    assert not [series for series in read("cpu", tree=OLD) if "online" in series]


def test_a_cpu_that_comes_online_is_seen(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    collect = build("cpu", tree=tree)
    collect()
    (tree / "sys/devices/system/cpu/cpu3/online").write_text("1\n")
    with (tree / "proc/stat").open("r+") as file:
        lines = file.read().replace("intr", "cpu3 1 2 3 4 5 6 7 8 9 10\nintr", 1)
        file.seek(0)
        file.write(lines)

    assert numbers(collect())['node_cpu_online{cpu="3"}'] == 1


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", []), ("0", ["0"]), ("0,4-6", ["0", "4", "5", "6"]), ("2-2", ["2"]), ("10-11,1", ["10", "11", "1"])],
)
def test_a_list_of_cpus_is_read_as_the_kernel_writes_it(text: str, cpus: list[str]) -> None:
    assert parse_list(text) == cpus


def test_a_broken_list_leaves_the_times(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "sys/devices/system/cpu/isolated").write_text("x-y\n")
    collect = build("cpu", tree=tree)

    for _ in range(2):
        with pytest.raises(IncompleteError, match="only the CPUs' times could be read: invalid literal") as caught:
            collect()
        assert times(numbers(caught.value.families))["user"] == 3501.14


def test_what_each_cpu_is_comes_when_asked_for() -> None:
    asked = read("cpu", "--collector.cpu.info")

    assert not [series for series in read("cpu") if "_info" in series]
    assert (
        'node_cpu_info{cachesize="14080 KB",core="4",cpu="1",family="6",microcode="0x2006e05",model="85",'
        'model_name="Intel(R) Xeon(R) Silver 4114 CPU @ 2.20GHz",package="0",stepping="4",vendor="GenuineIntel"}'
    ) in asked
    assert len([series for series in asked if "_info" in series]) == 3


@pytest.mark.parametrize(
    ("flag", "series"),
    [
        ("flags-include=^avx.$", ['node_cpu_flag_info{flag="avx2"}']),
        ("bugs-include=^spec_", ['node_cpu_bug_info{bug="spec_store_bypass"}']),
    ],
)
def test_features_and_faults_are_chosen_by_an_expression(flag: str, series: list[str]) -> None:
    found = read("cpu", f"--collector.cpu.info.{flag}")

    assert [name for name in found if "flag_info" in name or "bug_info" in name] == series
    # as in node_exporter, whoever chooses wants the rest, too
    assert len([name for name in found if name.startswith("node_cpu_info")]) == 3


def test_a_broken_cpuinfo_leaves_the_times(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "proc/cpuinfo").write_bytes(b"\xff\0 nothing\n\nHardware : board\n")

    with pytest.raises(IncompleteError, match="cpuinfo names no CPU") as caught:
        build("cpu", "--collector.cpu.info", tree=tree)()
    assert times(numbers(caught.value.families))["user"] == 3501.14


def test_frequencies_are_exported_in_hertz_for_cpus_that_are_online() -> None:
    found = read("cpufreq")

    assert found['node_cpu_frequency_hertz{cpu="0"}'] == 2.2e9
    assert found['node_cpu_scaling_frequency_hertz{cpu="1"}'] == 2_198_998_000
    assert found['node_cpu_frequency_max_hertz{cpu="2"}'] == 3e9
    # what a CPU does not tell is left out, and a CPU that is off tells nothing
    assert 'node_cpu_frequency_hertz{cpu="1"}' not in found
    assert not [series for series in found if 'cpu="3"' in series]


def test_the_governor_in_use_is_1_and_the_others_0() -> None:
    found = {series: value for series, value in read("cpufreq").items() if 'governor{cpu="0"' in series}

    assert len(found) == 6
    assert [series for series, value in found.items() if value] == [
        'node_cpu_scaling_governor{cpu="0",governor="schedutil"}'
    ]


def test_a_frequency_that_the_driver_does_not_know_costs_only_itself(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    folder = tree / "sys/devices/system/cpu/cpu0/cpufreq"
    (folder / "cpuinfo_cur_freq").write_text("<unknown>\n")
    (folder / "scaling_governor").unlink()

    found = read("cpufreq", tree=tree)

    assert 'node_cpu_frequency_hertz{cpu="0"}' not in found
    assert not [series for series in found if 'governor{cpu="0"' in series]
    assert found['node_cpu_scaling_frequency_hertz{cpu="0"}'] == 2_199_998_000


def test_cpus_are_listed_again_when_one_is_switched_off(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    collect = build("cpufreq", tree=tree)
    assert 'node_cpu_scaling_frequency_hertz{cpu="2"}' in numbers(collect())
    (tree / "sys/devices/system/cpu/offline").write_text("2-3\n")

    assert 'node_cpu_scaling_frequency_hertz{cpu="2"}' not in numbers(collect())


def test_a_host_without_frequencies_has_none_and_nothing_is_wrong() -> None:
    assert read("cpufreq", tree=OLD) == {}


def test_without_a_list_of_cpus_that_are_off_it_is_an_error_as_in_node_exporter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read("cpufreq", tree=tmp_path)


def test_a_driver_that_is_loaded_later_is_seen(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    folder = tree / "sys/devices/system/cpu/cpu0/cpufreq"
    shutil.rmtree(folder)
    collect = build("cpufreq", tree=tree)
    assert not [series for series in numbers(collect()) if 'cpu="0"' in series]
    shutil.copytree(HOST / "sys/devices/system/cpu/cpu0/cpufreq", folder)

    assert 'node_cpu_frequency_hertz{cpu="0"}' in numbers(collect())
