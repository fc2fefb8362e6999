"""Sensors of several kinds of chips: names, units, labels, filters, and chips that come and go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporter.settings import IncompleteError, NoDataError
from selfheal.common.clock import ManualClock
from tests.exporter.storage import create, numbers, of, read, write

NCT = 'chip="platform_nct6775_656"'
HERE = "sys/class/hwmon/hwmon0"


@pytest.mark.parametrize(
    ("series", "value"),
    [
        (f'temp_celsius{{{NCT},sensor="temp1"}}', 38),
        (f'temp_celsius{{{NCT},sensor="temp7"}}', 2.5),
        (f'temp_type{{{NCT},sensor="temp1"}}', 4),
        (f'temp_max_hyst_celsius{{{NCT},sensor="temp1"}}', 0),
        (f'temp_beep_enabled{{{NCT},sensor="temp1"}}', 1),
        (f'in_max_volts{{{NCT},sensor="in0"}}', 1.744),
        (f'in_alarm{{{NCT},sensor="in1"}}', 1),
        (f'cpu_vid_volts{{{NCT},sensor="cpu0"}}', 1.35),
        (f'fan_rpm{{{NCT},sensor="fan2"}}', 1098),
        (f'fan_target_rpm{{{NCT},sensor="fan1"}}', 27000),
        (f'fan_pulses{{{NCT},sensor="fan1"}}', 2),
        (f'fan_fault{{{NCT},sensor="fan2"}}', 0),
        (f'fan{{{NCT},sensor="fan3"}}', 700),
        (f'pwm{{{NCT},sensor="pwm1"}}', 255),
        (f'pwm_auto_point1_temp{{{NCT},sensor="pwm1"}}', 30000),
        (f'curr_max_amps{{{NCT},sensor="curr1"}}', 5),
        (f'energy_joule_total{{{NCT},sensor="energy1"}}', 123456.789012),
        (f'power_watt{{{NCT},sensor="power1"}}', 11.5),
        (f'power_accuracy{{{NCT},sensor="power1"}}', 2.5e-06),
        (f'power_average_interval_min_seconds{{{NCT},sensor="power1"}}', 0.1),
        (f'power_cap_watt{{{NCT},sensor="power1"}}', 1),
        (f'humidity{{{NCT},sensor="humidity1"}}', 0.045),
        (f'intrusion_beep_enabled{{{NCT},sensor="intrusion0"}}', 0),
        (f'beep_enabled{{{NCT},sensor="beep_enable0"}}', 1),
        (f'update_interval_seconds{{{NCT},sensor="update_interval0"}}', 1.5),
        (f'voltage_regulator_version{{{NCT},sensor="vrm0"}}', 115),
        ('freq_freq_mhz{chip="0000:00:08_1_0000:c4:00_0",sensor="mclk"}', 1000),
        ('temp_min_celsius{chip="nvme_nvme0",sensor="temp1"}', -273150 * 0.001),
        ('sensor_label{chip="platform_coretemp_0",label="Physical id 0",sensor="temp1"}', 1),
    ],
)
def test_a_sensor_has_its_name_and_base_unit(series: str, value: float) -> None:
    assert read("hwmon")[f"node_hwmon_{series}"] == value


def test_a_chip_is_named_by_its_device_then_its_driver_then_its_folder() -> None:
    found = read("hwmon")

    temperatures = {series.partition('chip="')[2].partition('"')[0] for series in of(found, "node_hwmon_temp_celsius")}
    assert temperatures == {
        "0000:00:08_1_0000:c4:00_0", "acpi_tz", "hwmon5", "nvme_nvme0", "platform_applesmc_768",
        "platform_coretemp_0", "platform_nct6775_656",
    }  # fmt: skip
    assert of(found, 'node_hwmon_chip_names{chip="acpi_tz"') == {
        'node_hwmon_chip_names{chip="acpi_tz",chip_name="acpi_tz"}': 1
    }
    assert not of(found, 'node_hwmon_chip_names{chip="hwmon5"')


def test_what_is_no_sensor_or_no_number_is_left_out() -> None:
    found = read("hwmon")

    assert not [series for series in found if "foo" in series or 'sensor="temp9' in series]
    assert not [series for series in found if NCT in series and 'sensor="temp2"' in series]
    assert not of(found, 'node_hwmon_temp_crit_celsius{chip="platform_coretemp_0",sensor="temp3"')
    assert not [series for series in found if 'sensor="freq3"' in series]


def test_the_energy_used_is_a_counter() -> None:
    kinds = {family.metric.name: family.metric.kind for family in create("hwmon")()}

    assert {name for name, kind in kinds.items() if kind == "counter"} == {"node_hwmon_energy_joule_total"}


@pytest.mark.parametrize(
    ("flags", "chips"),
    [
        (["--collector.hwmon.chip-include=^nvme"], {"nvme_nvme0"}),
        (["--collector.hwmon.chip-exclude=^(platform|acpi|hwmon|0000)"], {"nvme_nvme0"}),
        (["--collector.hwmon.chip-include=^(nvme|acpi)", "--collector.hwmon.chip-exclude=tz$"], {"nvme_nvme0"}),
        (["--collector.hwmon.sensor-include=^(acpi_tz|hwmon5);temp1$"], {"acpi_tz", "hwmon5"}),
        (["--collector.hwmon.sensor-exclude=^(platform_.*|0000.*|nvme_nvme0);|^acpi_tz;temp1$"], {"hwmon5"}),
    ],
)
def test_filters_choose_chips_and_sensors(flags: list[str], chips: set[str]) -> None:
    found = read("hwmon", *flags)

    assert {s.partition('chip="')[2].partition('"')[0] for s in of(found, "node_hwmon_temp")} == chips


def test_without_sensors_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        create("hwmon", tree=tmp_path)()


def test_values_are_read_anew_and_chips_that_come_or_go_are_seen(tmp_path: Path) -> None:
    write(tmp_path, {f"{HERE}/name": "a\n", f"{HERE}/temp1_input": "1000\n"})
    collect = create("hwmon", tree=tmp_path)
    collect()

    write(tmp_path, {f"{HERE}/temp1_input": "2000\n", "sys/class/hwmon/hwmon1/temp1_input": "3000\n"})
    found = numbers(collect())
    assert found['node_hwmon_temp_celsius{chip="a",sensor="temp1"}'] == 2
    assert found['node_hwmon_temp_celsius{chip="hwmon1",sensor="temp1"}'] == 3

    shutil.rmtree(tmp_path / HERE)
    assert numbers(collect()) == {'node_hwmon_temp_celsius{chip="hwmon1",sensor="temp1"}': 3}


def test_a_sensor_that_comes_later_is_found_after_a_while(tmp_path: Path) -> None:
    write(tmp_path, {f"{HERE}/name": "a\n"})
    clock = ManualClock()
    collect = create("hwmon", tree=tmp_path, clock=clock)
    collect()
    write(tmp_path, {f"{HERE}/temp1_input": "1000\n"})

    clock.advance(61)

    assert numbers(collect())['node_hwmon_temp_celsius{chip="a",sensor="temp1"}'] == 1


def test_a_bare_value_beside_an_input_is_another_metric(tmp_path: Path) -> None:
    write(tmp_path, {f"{HERE}/in1": "5\n", f"{HERE}/in1_input": "6\n"})

    assert read("hwmon", tree=tmp_path) == {
        'node_hwmon_in_volts{chip="hwmon0",sensor="in1"}': 0.005,
        'node_hwmon_in_input_volts{chip="hwmon0",sensor="in1"}': 0.006,
    }


def test_two_chips_of_one_name_are_one_series(tmp_path: Path) -> None:
    for number in "01":
        here = f"sys/class/hwmon/hwmon{number}"
        write(tmp_path, {f"{here}/name": "same\n", f"{here}/temp1_input": f"{number}000\n"})

    assert read("hwmon", tree=tmp_path)['node_hwmon_temp_celsius{chip="same",sensor="temp1"}'] == 0


def test_a_link_that_leads_nowhere_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {f"{HERE}/temp1_input": "1000\n", "sys/class/hwmon/text": ""})
    (tmp_path / "sys/class/hwmon/hwmon9").symlink_to("gone")

    assert len(read("hwmon", tree=tmp_path)) == 1


def test_a_chip_that_cannot_be_listed_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    write(tmp_path, {f"{HERE}/temp1_input": "1000\n", "sys/class/hwmon/hwmon1/temp1_input": "3000\n"})
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if str(path).endswith("hwmon1"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(IncompleteError, match=r"hwmon1: .*Permission denied") as caught:
        create("hwmon", tree=tmp_path)()

    assert numbers(caught.value.families) == {'node_hwmon_temp_celsius{chip="hwmon0",sensor="temp1"}': 1}
