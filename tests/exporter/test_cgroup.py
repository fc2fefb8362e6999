"""The cgroup collector on a tree captured under both versions at once, and on a written tree of version 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.collectors import cgroup
from exporter.config import make_parser
from exporter.encode import Family
from exporter.paths import Paths
from exporter.procfs import cgroups
from exporter.settings import IncompleteError, NoDataError, Settings
from selfheal.common.clock import ManualClock
from tests.exporter.trees import FIXTURES, values

# version 1's controllers with version 2 beside them, as systemd's "hybrid" mode has it: captured, but for the table of
# block devices, which the machine of the capture did not fill
VERSION_1 = FIXTURES / "cgroup1"
# as the kernel documents the files
VERSION_2 = FIXTURES / "cgroup2"


def create(sysfs: Path, *flags: str) -> Callable[[], list[Family]]:
    settings = Settings(Paths(sysfs=sysfs), ManualClock(), make_parser().parse_args(flags))
    return cgroup.create(settings)


def of_unit(page: dict[str, str], unit: str) -> dict[str, str]:
    """Return the series of one unit, without prefix and unit."""
    mark = f'unit="{unit}"'
    return {
        series.removeprefix("selfheal_cgroup_").replace(mark + ",", "").replace(f"{{{mark}}}", ""): value
        for series, value in page.items()
        if mark in series
    }


def copied(tmp_path: Path, tree: Path = VERSION_2) -> Path:
    return Path(shutil.copytree(tree, tmp_path / "sysfs"))


def test_version_2_gives_every_number_of_a_unit() -> None:
    page = values(create(VERSION_2)())

    assert of_unit(page, "system.slice/report.service") == {
        'cpu_seconds_total{mode="user"}': "80.0",
        'cpu_seconds_total{mode="system"}': "31.0",
        "cpu_periods_total": "1200",
        "cpu_throttled_periods_total": "300",
        "cpu_throttled_seconds_total": "45.5",
        "oom_kills_total": "2",
        'pressure_waiting_seconds_total{resource="cpu"}': "6.7505",
        'pressure_stalled_seconds_total{resource="cpu"}': "0.0",
        'pressure_waiting_seconds_total{resource="memory"}': "0.01",
        'pressure_stalled_seconds_total{resource="memory"}': "0.009",
        'pressure_waiting_seconds_total{resource="io"}': "2.0",
        'pressure_stalled_seconds_total{resource="io"}': "1.9",
        "io_read_bytes_total": "4196",
        "io_written_bytes_total": "8392",
        "io_reads_total": "4",
        "io_writes_total": "6",
        "memory_current_bytes": "268435456",
        "memory_limit_bytes": "268435456",
        "memory_anon_bytes": "260046848",
        "memory_file_bytes": "1048576",
    }


def test_version_1_with_version_2_beside_it_gives_every_number_of_a_unit() -> None:
    page = values(create(VERSION_1)())

    assert of_unit(page, "work.slice/batch.service") == {
        # the finer of the two clocks
        'cpu_seconds_total{mode="user"}': "0.159177",
        'cpu_seconds_total{mode="system"}': "0.557071",
        "cpu_periods_total": "37",
        "cpu_throttled_periods_total": "35",
        "cpu_throttled_seconds_total": "2.986594",
        "oom_kills_total": "1",
        'pressure_waiting_seconds_total{resource="cpu"}': "2.381703",
        'pressure_stalled_seconds_total{resource="cpu"}': "2.381703",
        'pressure_waiting_seconds_total{resource="memory"}': "0.000446",
        'pressure_stalled_seconds_total{resource="memory"}': "0.000446",
        'pressure_waiting_seconds_total{resource="io"}': "0.0",
        'pressure_stalled_seconds_total{resource="io"}': "0.0",
        "io_read_bytes_total": "0",
        "io_written_bytes_total": "0",
        "io_reads_total": "0",
        "io_writes_total": "0",
        "memory_current_bytes": "7159808",
        "memory_limit_bytes": "50331648",
        "memory_anon_bytes": "7032832",
        "memory_file_bytes": "0",
    }
    web = of_unit(page, "work.slice/web.service")
    assert (web["io_read_bytes_total"], web["io_written_bytes_total"]) == ("4608", "3145728")
    assert (web["io_reads_total"], web["io_writes_total"]) == ("2", "24")
    # the largest page below 2^63 is version 1's word for no limit
    assert "memory_limit_bytes" not in web


def test_version_1_alone_gives_the_same_in_ticks_and_without_pressure(tmp_path: Path) -> None:
    sysfs = copied(tmp_path, VERSION_1)
    shutil.rmtree(sysfs / "fs/cgroup/unified")

    page = of_unit(values(create(sysfs)()), "work.slice/batch.service")

    assert page['cpu_seconds_total{mode="user"}'] == "0.15"
    assert page['cpu_seconds_total{mode="system"}'] == "0.55"
    assert page["oom_kills_total"] == "1"
    assert not [series for series in page if "pressure" in series]


def test_version_1_where_cpu_and_cpuacct_share_a_folder_without_links(tmp_path: Path) -> None:
    sysfs = copied(tmp_path, VERSION_1)
    root = sysfs / "fs/cgroup"
    shutil.rmtree(root / "unified")
    shutil.copytree(root / "cpuacct", root / "cpu,cpuacct")
    shutil.copytree(root / "cpu", root / "cpu,cpuacct", dirs_exist_ok=True)
    shutil.rmtree(root / "cpu")
    shutil.rmtree(root / "cpuacct")

    page = of_unit(values(create(sysfs)()), "work.slice/batch.service")

    assert page['cpu_seconds_total{mode="user"}'] == "0.15"
    assert page["cpu_throttled_periods_total"] == "35"


def test_units_are_services_scopes_and_slices_by_their_paths() -> None:
    page = values(create(VERSION_2)())

    units = {series.partition('unit="')[2].partition('"')[0] for series in page} - {""}
    # not the mount, not what a service made below itself, not the user's own, not the passing run-….scope
    assert units == {
        "init.scope",
        "system.slice",
        "system.slice/nginx.service",
        "system.slice/report.service",
        "system.slice/sleepy.service",
        "user.slice",
    }
    assert page["selfheal_cgroup_units"] == "6"
    assert page["selfheal_cgroup_units_folded"] == "0"


def test_filters_choose_the_units_and_reach_those_of_a_user() -> None:
    flags = ("--collector.cgroup.unit-exclude", r"session-", "--collector.cgroup.unit-include", r"^user\.slice/")

    page = values(create(VERSION_2, *flags)())

    units = {series.partition('unit="')[2].partition('"')[0] for series in page} - {""}
    assert units == {
        "user.slice/user-1000.slice",
        "user.slice/user-1000.slice/user@1000.service",
        "user.slice/user-1000.slice/user@1000.service/app.slice",
        "user.slice/user-1000.slice/user@1000.service/app.slice/editor.service",
    }


def test_what_is_not_accounted_for_is_absent_and_not_zero() -> None:
    page = of_unit(values(create(VERSION_2)()), "system.slice/sleepy.service")

    assert not [series for series in page if "memory_" in series or "io_" in series or "oom" in series]
    assert page['cpu_seconds_total{mode="user"}'] == "0.001"
    assert "cpu_periods_total" not in page


def test_units_beyond_the_most_are_folded_into_other_but_slices_are_not() -> None:
    page = values(create(VERSION_2, "--collector.cgroup.max-units", "3")())

    # by CPU: system.slice, report, nginx have places; user.slice is a total and stays out, init and sleepy are other
    assert page["selfheal_cgroup_units_folded"] == "3"
    assert of_unit(page, "system.slice/nginx.service")['cpu_seconds_total{mode="user"}'] == "40.25"
    other = of_unit(page, "other")
    assert other['cpu_seconds_total{mode="user"}'] == "2.311114"
    assert other["memory_current_bytes"] == "7122944"
    assert "memory_limit_bytes" not in other


def test_other_never_falls_when_one_of_its_units_ends_or_starts_anew(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    collect = create(sysfs, "--collector.cgroup.max-units", "3")
    first = float(of_unit(values(collect()), "other")['cpu_seconds_total{mode="user"}'])
    stat = sysfs / "fs/cgroup/init.scope/cpu.stat"

    stat.write_text("usage_usec 30\nuser_usec 500000\nsystem_usec 10\n")
    restarted = float(of_unit(values(collect()), "other")['cpu_seconds_total{mode="user"}'])
    shutil.rmtree(stat.parent)
    shutil.rmtree(sysfs / "fs/cgroup/system.slice/sleepy.service")
    ended = of_unit(values(collect()), "other")

    assert restarted == pytest.approx(first + 0.5)
    assert float(ended['cpu_seconds_total{mode="user"}']) == restarted
    assert "memory_current_bytes" not in ended


def test_a_unit_that_could_not_be_read_for_once_is_not_added_to_other_again(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    collect = create(sysfs, "--collector.cgroup.max-units", "3")
    series = 'cpu_seconds_total{mode="user"}'
    first = of_unit(values(collect()), "other")[series]
    stat = sysfs / "fs/cgroup/init.scope/cpu.stat"
    right = stat.read_text()

    stat.write_text("user_usec\n")
    with pytest.raises(IncompleteError) as caught:
        collect()
    stat.write_text(right)

    assert of_unit(values(caught.value.families), "other")[series] == first
    assert of_unit(values(collect()), "other")[series] == first


def test_a_unit_that_could_not_be_read_for_once_keeps_its_place(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    collect = create(sysfs, "--collector.cgroup.max-units", "3")
    before = values(collect())
    stat = sysfs / "fs/cgroup/system.slice/nginx.service/cpu.stat"
    right = stat.read_text()

    stat.write_text("user_usec\n")
    with pytest.raises(IncompleteError):
        collect()
    stat.write_text(right)

    assert values(collect()) == before


def test_a_unit_keeps_its_place_when_another_overtakes_it(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    collect = create(sysfs, "--collector.cgroup.max-units", "3")
    collect()

    (sysfs / "fs/cgroup/init.scope/cpu.stat").write_text("usage_usec 9\nuser_usec 999000000\nsystem_usec 0\n")
    kept = values(collect())
    shutil.rmtree(sysfs / "fs/cgroup/system.slice/nginx.service")
    freed = values(collect())

    assert not of_unit(kept, "init.scope")
    assert of_unit(kept, "system.slice/nginx.service")
    assert of_unit(freed, "init.scope")['cpu_seconds_total{mode="user"}'] == "999.0"


def test_a_broken_file_costs_its_unit_and_is_named(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    stat = sysfs / "fs/cgroup/system.slice/nginx.service/cpu.stat"
    stat.write_text("user_usec\n")

    with pytest.raises(IncompleteError) as caught:
        create(sysfs)()

    assert str(caught.value) == f"{stat} is not as the kernel writes it"
    page = values(caught.value.families)
    assert not of_unit(page, "system.slice/nginx.service")
    assert of_unit(page, "system.slice/report.service")


@pytest.mark.parametrize("layout", ["absent", "empty", "version 2 without units"])
def test_a_host_without_units_has_no_data_and_no_failure(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "fs/cgroup"
    if layout != "absent":
        root.mkdir(parents=True)
    if layout == "version 2 without units":
        (root / "cgroup.controllers").write_text("cpu\n")
        (root / "docker").mkdir()

    with pytest.raises(NoDataError) as caught:
        create(tmp_path)()

    assert str(caught.value) == f"no systemd units below {root}"


def test_a_unit_that_goes_while_it_is_read_is_no_error(tmp_path: Path) -> None:
    sysfs = copied(tmp_path)
    layout = cgroups.find_layout(sysfs / "fs/cgroup")
    assert layout is not None

    usage = cgroups.read_usage(layout, "system.slice/gone.service")

    assert usage == cgroups.Usage()


@pytest.mark.parametrize("given", ["0", "10001", "many"])
def test_a_most_that_cannot_be_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["--collector.cgroup.max-units", given])

    told = capsys.readouterr().err
    if given == "many":
        assert "--collector.cgroup.max-units: 'many': invalid literal for int()" in told
    else:
        assert f"--collector.cgroup.max-units: '{given}': from 1 to 10000 units can be exported" in told
