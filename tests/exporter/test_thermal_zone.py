"""Thermal zones and cooling devices, with some that do not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.settings import IncompleteError
from selfheal.common.clock import ManualClock
from tests.exporter.storage import create, numbers, read, write


def test_zones_and_coolers_are_node_exporters() -> None:
    found = read("thermal_zone")

    assert found['node_thermal_zone_temp{type="bcm2835_thermal",zone="0"}'] == 49.925
    assert found['node_thermal_zone_temp{type="acpitz",zone="1"}'] == -44
    assert found['node_thermal_zone_temp{type="pch skylake",zone="10"}'] == 50.5
    assert found['node_cooling_device_cur_state{name="1",type="intel_powerclamp"}'] == -1
    assert found['node_cooling_device_max_state{name="12",type="LCD"}'] == 100
    assert len(found) == 12


def test_a_zone_that_measures_nothing_now_is_left_out(tmp_path: Path) -> None:
    here = "sys/class/thermal/thermal_zone"
    write(tmp_path, {f"{here}0/type": "a\n", f"{here}1/type": "b\n", f"{here}1/temp": "5\n", f"{here}s/temp": "9\n"})

    assert read("thermal_zone", tree=tmp_path) == {'node_thermal_zone_temp{type="b",zone="1"}': 0.005}


def test_a_host_without_any_says_nothing(tmp_path: Path) -> None:
    assert read("thermal_zone", tree=tmp_path) == {}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("cooling_device3/cur_state", "cooling_device3: .*invalid literal"),
        ("cooling_device3/type", "cooling_device3: .*No such file"),
        ("thermal_zone3/temp", "thermal_zone3: .*invalid literal"),
    ],
)
def test_one_that_is_broken_costs_only_itself(tmp_path: Path, broken: str, reason: str) -> None:
    here = "sys/class/thermal"
    files = {}
    for name in ("cooling_device2", "cooling_device3"):
        files |= {f"{here}/{name}/type": "Fan\n", f"{here}/{name}/cur_state": "1\n", f"{here}/{name}/max_state": "3\n"}
    for name in ("thermal_zone2", "thermal_zone3"):
        files |= {f"{here}/{name}/type": "chip\n", f"{here}/{name}/temp": "1000\n"}
    write(tmp_path, files | {f"{here}/{broken}": "?\n"})
    if broken.endswith("type"):
        (tmp_path / here / broken).unlink()

    with pytest.raises(IncompleteError, match=reason) as caught:
        create("thermal_zone", tree=tmp_path)()

    found = numbers(caught.value.families)
    assert found['node_cooling_device_cur_state{name="2",type="Fan"}'] == 1
    assert found['node_thermal_zone_temp{type="chip",zone="2"}'] == 1
    assert len(found) == (5 if broken.startswith("thermal") else 4)


def test_a_device_put_in_anothers_place_is_seen_after_a_while(tmp_path: Path) -> None:
    here = "sys/class/thermal/thermal_zone0"
    write(tmp_path, {f"{here}/type": "old\n", f"{here}/temp": "1000\n"})
    clock = ManualClock()
    collect = create("thermal_zone", tree=tmp_path, clock=clock)
    collect()
    write(tmp_path, {f"{here}/type": "new\n", f"{here}/temp": "2000\n"})
    assert numbers(collect()) == {'node_thermal_zone_temp{type="old",zone="0"}': 2}

    clock.advance(60)

    assert numbers(collect()) == {'node_thermal_zone_temp{type="new",zone="0"}': 2}
