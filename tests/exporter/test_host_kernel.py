"""What is asked of the kernel itself: time, its discipline, its names; and garbage where the kernel should be."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.procfs.cpuinfo import parse_cpuinfo
from exporter.procfs.host import (
    find_meminfo,
    parse_activity,
    parse_cpu_ticks,
    parse_file_numbers,
    parse_load_average,
    parse_pressure,
    parse_schedstat,
    read_uptime,
)
from exporter.procfs.os_release import parse_os_release
from exporter.settings import IncompleteError
from selfheal.common.clock import ManualClock
from tests.exporter.hosts import HOST, OLD, build, copied, numbers, read


@pytest.mark.parametrize("text", ["", "inf 1\n", "nan 1\n", "-1 1\n", "x 1\n"])
def test_an_uptime_that_cannot_be_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "uptime").write_text(text)

    with pytest.raises(ValueError, match=r"uptime|could not convert"):
        read_uptime(tmp_path)


@pytest.fixture
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Live in another zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_time_is_the_clocks_and_so_are_the_sources() -> None:
    clock = ManualClock(1_800_000_000.25)
    found = numbers(build("time", clock=clock)())

    assert found["node_time_seconds"] == 1_800_000_000.25
    assert {series for series in found if "clocksource" in series} == {
        'node_time_clocksource_available_info{clocksource="acpi_pm",device="0"}',
        'node_time_clocksource_available_info{clocksource="hpet",device="0"}',
        'node_time_clocksource_available_info{clocksource="tsc",device="0"}',
        'node_time_clocksource_current_info{clocksource="tsc",device="0"}',
    }


@pytest.mark.parametrize(
    ("zone", "series", "seconds"),
    [
        ("KST-9", 'node_time_zone_offset_seconds{time_zone="KST"}', 32400),
        ("UTC", 'node_time_zone_offset_seconds{time_zone="UTC"}', 0),
        ("<-0330>3:30", 'node_time_zone_offset_seconds{time_zone="-0330"}', -12600),
    ],
    indirect=["zone"],
)
@pytest.mark.usefixtures("zone")
def test_the_zone_is_told(series: str, seconds: int) -> None:
    assert read("time")[series] == seconds


def test_each_device_has_its_sources() -> None:
    assert 'node_time_clocksource_current_info{clocksource="acpi_pm",device="1"}' in read("time", tree=OLD)


def test_sources_that_cannot_be_read_leave_the_time(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "sys/devices/system/clocksource/clocksource0/current_clocksource").unlink()

    with pytest.raises(IncompleteError, match="cannot read the clock sources") as caught:
        build("time", tree=tree)()
    assert "node_time_seconds" in numbers(caught.value.families)


def test_a_host_without_sources_has_the_time(tmp_path: Path) -> None:
    assert len(read("time", tree=tmp_path)) == 2


def test_names_of_the_kernel_are_those_of_uname() -> None:
    kernel = os.uname()
    domain = Path("/proc/sys/kernel/domainname").read_text().strip()

    (series,) = read("uname")

    assert series == (
        f'node_uname_info{{domainname="{domain}",machine="{kernel.machine}",nodename="{kernel.nodename}",'
        f'release="{kernel.release}",sysname="Linux",version="{kernel.version}"}}'
    )


def test_the_discipline_of_the_clock_is_plausible_in_every_field() -> None:
    found = {series.removeprefix("node_timex_"): value for series, value in read("timex").items()}

    assert len(found) == 17
    # a field read at the wrong place would be far out
    assert found["tick_seconds"] == pytest.approx(0.01, rel=0.1)
    assert found["frequency_adjustment_ratio"] == pytest.approx(1, abs=0.0005)
    assert 0 <= found["loop_time_constant"] <= 10
    assert found["sync_status"] in (0, 1)
    assert abs(found["offset_seconds"]) <= 0.5
    assert 0 <= found["maxerror_seconds"] <= 3600
    assert -12 <= found["tai_offset_seconds"] <= 60
    # bit 6 is set when the clock follows nothing
    assert (int(found["status"]) & 0x40 == 0) == (found["sync_status"] == 1)


PARSERS = (
    parse_cpu_ticks, parse_activity, find_meminfo, parse_load_average, parse_file_numbers, parse_pressure,
    parse_schedstat, parse_cpuinfo, parse_os_release,
)  # fmt: skip
CAPTURED = [path.read_bytes() for path in sorted((HOST / "proc").rglob("*")) if path.is_file()]


@given(st.binary(max_size=300) | st.sampled_from(CAPTURED), st.integers(0, 2000), st.binary(max_size=4))
@settings(max_examples=300, deadline=None)
def test_garbage_is_an_error_of_the_expected_kind_or_read(data: bytes, cut: int, noise: bytes) -> None:
    broken = data[:cut] + noise + data[cut + len(noise) :]
    for parse in PARSERS:
        try:
            parse(broken)
        except ValueError as error:
            assert str(error)
