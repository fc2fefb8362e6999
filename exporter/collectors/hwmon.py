"""What hardware sensors measure: node_exporter's hwmon collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from exporter.encode import Family, Kind, Metric
from exporter.filters import Filter, add_filter_flags, read_filter
from exporter.procfs.hwmon import Attribute, Chip, clean_name, list_chips, read_attribute, read_chip
from exporter.settings import IncompleteError, NoDataError, Settings

name = "hwmon"
text = "temperatures, fans, voltages and other hardware sensors"
enabled = True

_LABELS = ("chip", "sensor")
_CHIP_NAMES = Metric(
    "node_hwmon_chip_names", "gauge", "Always 1; what the driver calls the chip.", ("chip", "chip_name")
)
_SENSOR_LABEL = Metric(
    "node_hwmon_sensor_label", "gauge", "Always 1; what the driver calls the sensor.", ("chip", "label", "sensor")
)

# what a chip measures changes seldom and nobody tells; a sensor that comes later is found after so long
_CHIPS_LAST = 60.0

_INTERVALS = ("average_interval", "average_interval_min", "average_interval_max")
_ROTATIONS = ("input", "min", "max", "target")


class Unit(NamedTuple):
    """How a sensor's number becomes one in base units: the end of the metric's name, factor and divisor."""

    suffix: str
    what: str
    factor: float = 1
    divisor: float = 1


_PLAIN = Unit("", "as the chip gives it")
_VOLTS = Unit("_volts", "in volts", 0.001)
_CELSIUS = Unit("_celsius", "in degrees Celsius", 0.001)
_AMPS = Unit("_amps", "in amperes", 0.001)
_JOULES = Unit("_joule_total", "in joules", 1, 1_000_000)
_RATIO = Unit("", "as a ratio", 1, 1_000_000)
_SECONDS = Unit("_seconds", "in seconds", 0.001)
_WATTS = Unit("_watt", "in watts", 1, 1_000_000)
_RPM = Unit("_rpm", "in rotations per minute")
_MEGAHERTZ = Unit("_freq_mhz", "in megahertz", 1, 1_000_000)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filters, spelled as in node_exporter; a sensor's name is `chip;sensor`."""
    add_filter_flags(parser, "--collector.hwmon.chip", "chips")
    add_filter_flags(parser, "--collector.hwmon.sensor", "sensors, as chip;sensor,")


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/sys/class/hwmon`."""
    flags = vars(settings.flags)
    chips = read_filter(flags, "--collector.hwmon.chip", both=True)
    sensors = read_filter(flags, "--collector.hwmon.sensor", both=True)
    plan = _Plan(chips, sensors)
    folder = settings.paths.sysfs / "class/hwmon"
    last: list[tuple[str, str]] = []
    made_at = -_CHIPS_LAST

    def collect() -> list[Family]:
        nonlocal last, made_at
        try:
            present = list_chips(folder)
        except FileNotFoundError as error:
            raise NoDataError("no hardware sensors here") from error
        now = settings.clock.monotonic()
        if present != last or now - made_at >= _CHIPS_LAST:
            plan.make(folder, [name for name, _ in present])
            last, made_at = present, now
        families = plan.read()
        if plan.problems:
            raise IncompleteError("; ".join(plan.problems), families)
        return families

    return collect


class _Gauge(NamedTuple):
    """One series: which file to read, and what its number means."""

    metric: Metric
    labels: tuple[str, str]
    path: str
    unit: Unit


class _Plan:
    """Which files are read in every scrape, and what each becomes; made anew when the chips have changed."""

    def __init__(self, chips: Filter, sensors: Filter) -> None:
        self._chips = chips
        self._sensors = sensors
        self._metrics: dict[str, Metric] = {}
        self._gauges: list[_Gauge] = []
        self._labels: dict[tuple[str, str, str], float] = {}
        self._names: dict[tuple[str, str], float] = {}
        self.problems: list[str] = []

    def make(self, folder: Path, names: list[str]) -> None:
        """Given the folder of all chips and their names there, find all that they measure."""
        self._gauges, self._labels, self._names, self.problems = [], {}, {}, []
        for name in names:
            try:
                chip = read_chip(f"{folder}/{name}")
            except OSError as error:
                self.problems.append(f"{name}: {error}")
                continue
            if chip is not None and self._chips.wants(chip.name):
                self._add(chip)

    def _add(self, chip: Chip) -> None:
        if chip.driver:
            self._names[chip.name, chip.driver] = 1
        wanted = [found for found in chip.attributes if self._sensors.wants(f"{chip.name};{found.sensor}")]
        texts = {found.sensor: read_attribute(found.path) for found in wanted if found.element == "label"}
        named = {sensor: text for sensor, text in texts.items() if text is not None}
        self._labels |= {(chip.name, text, sensor): 1 for sensor, text in named.items()}
        bare = {found.sensor for found in wanted if found.element == ""}
        for found in wanted:
            gauge = self._gauge(chip.name, found, named, bare)
            if gauge is not None:
                self._gauges.append(gauge)

    def _gauge(self, chip: str, found: Attribute, named: dict[str, str], bare: set[str]) -> _Gauge | None:
        if found.element == "label":
            return None
        special = _SPECIAL.get(found.type)
        if special is not None:
            name, unit = special
            return None if found.element else self._of(name, "gauge", unit, chip, found)
        name = f"node_hwmon_{found.type}"
        if found.element == "input":
            # the input is the sensor's own value, unless a file without any element is
            name = f"{name}_input" if found.sensor in bare else name
        elif found.element:
            name = f"{name}_{clean_name(found.element)}"
        if found.type == "freq" and found.element == "input":
            if found.sensor not in named:
                return None
            found = found._replace(sensor=clean_name(named[found.sensor]))
        unit = _unit(found.type, found.element)
        kind: Kind = "counter" if unit is _JOULES else "gauge"
        suffix = "_enabled" if found.element == "beep" else unit.suffix
        return self._of(f"{name}{suffix}", kind, unit, chip, found)

    def _of(self, name: str, kind: Kind, unit: Unit, chip: str, found: Attribute) -> _Gauge:
        metric = self._metrics.get(name)
        if metric is None:
            about = f"Sensors of type {found.type}: {found.element or 'value'}, {unit.what}."
            metric = self._metrics[name] = Metric(name, kind, about, _LABELS)
        return _Gauge(metric, (chip, found.sensor), found.path, unit)

    def read(self) -> list[Family]:
        """Return what all chips say now; what does not answer, or not with a number, is left out."""
        values: dict[Metric, dict[tuple[str, str], float]] = {}
        for metric, labels, path, unit in self._gauges:
            value = _number(read_attribute(path), unit)
            if value is not None:
                values.setdefault(metric, {}).setdefault(labels, value)
        return [
            _CHIP_NAMES.of(self._names),
            _SENSOR_LABEL.of(self._labels),
            *(metric.of(samples) for metric, samples in values.items()),
        ]


_BEEP = Unit("", "1 if switched on")
# these have one file only, and a name of their own
_SPECIAL = {
    "beep_enable": ("node_hwmon_beep_enabled", _BEEP),
    "update_interval": ("node_hwmon_update_interval_seconds", _SECONDS),
    "vrm": ("node_hwmon_voltage_regulator_version", _PLAIN),
}


def _unit(kind: str, element: str) -> Unit:
    """Given a sensor's type and one of its elements, return the unit, in node_exporter's spelling."""
    if element in ("fault", "alarm", "beep"):
        return _PLAIN
    if kind == "power":
        if element == "accuracy":
            return _RATIO
        return _SECONDS if element in _INTERVALS else _WATTS
    if kind == "temp":
        return _PLAIN if element == "type" else _CELSIUS
    if kind == "fan":
        return _RPM if element in _ROTATIONS else _PLAIN
    if kind == "freq":
        return _MEGAHERTZ if element == "input" else _PLAIN
    return {"in": _VOLTS, "cpu": _VOLTS, "curr": _AMPS, "energy": _JOULES, "humidity": _RATIO}.get(kind, _PLAIN)


def _number(text: str | None, unit: Unit) -> float | None:
    if text is None:
        return None
    if unit is _BEEP:
        return int(text == "1")
    try:
        return float(text) * unit.factor / unit.divisor
    except ValueError:
        return None
