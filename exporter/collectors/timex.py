"""How well the clock is disciplined: what adjtimex(2) says, in node_exporter's units."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.settings import NoDataError, Settings

name = "timex"
text = "discipline of the clock"
enabled = True

_OFFSET = Metric("node_timex_offset_seconds", "gauge", "Seconds by which the clock is off its reference.")
_FREQUENCY = Metric(
    "node_timex_frequency_adjustment_ratio", "gauge", "How fast the clock is made to run; 1 is as it is."
)
_MAX_ERROR = Metric("node_timex_maxerror_seconds", "gauge", "Seconds by which the clock can be wrong at most.")
_ERROR = Metric("node_timex_estimated_error_seconds", "gauge", "Seconds by which the clock is thought to be wrong.")
_STATUS = Metric("node_timex_status", "gauge", "Status bits of the clock; see STA_ in adjtimex(2).")
_CONSTANT = Metric("node_timex_loop_time_constant", "gauge", "Time constant of the phase-locked loop.")
_TICK = Metric("node_timex_tick_seconds", "gauge", "Seconds between two ticks of the clock.")
_PPS_FREQUENCY = Metric("node_timex_pps_frequency_hertz", "gauge", "Frequency by the pulse per second.")
_JITTER = Metric("node_timex_pps_jitter_seconds", "gauge", "Jitter of the pulse per second.")
_SHIFT = Metric("node_timex_pps_shift_seconds", "gauge", "Interval over which the pulse per second is calibrated.")
_STABILITY = Metric(
    "node_timex_pps_stability_hertz", "gauge", "How much the pulse per second changed lately, on average."
)
_JITTERS = Metric("node_timex_pps_jitter_total", "counter", "Pulses per second whose jitter was above the limit.")
_CALIBRATIONS = Metric("node_timex_pps_calibration_total", "counter", "Calibrations by the pulse per second.")
_ERRORS = Metric("node_timex_pps_error_total", "counter", "Calibrations by the pulse per second that failed.")
_UNSTABLE = Metric(
    "node_timex_pps_stability_exceeded_total", "counter", "Calibrations whose frequency changed more than the limit."
)
_TAI = Metric("node_timex_tai_offset_seconds", "gauge", "Seconds by which International Atomic Time is ahead of UTC.")
_SYNCHRONISED = Metric("node_timex_sync_status", "gauge", "Whether the clock follows a reliable server.")

_UNSYNCHRONISED_STATE = 5
_STA_NANO = 0x2000
_MICRO = 1e6
_NANO = 1e9
# frequencies are parts per million with 16 bits after the point
_PPM = 1e6 * 65536


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(_settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks the kernel, which needs no right for it."""
    # not above: only Linux has this call
    from exporter.procfs.syscalls import adjtimex

    def collect() -> list[Family]:
        try:
            found = adjtimex()
        except PermissionError as error:
            raise NoDataError(f"the clock may not be asked: {error}") from error
        fraction = _NANO if found.status & _STA_NANO else _MICRO
        return [
            _ERROR.only(found.esterror / _MICRO),
            _FREQUENCY.only(1 + found.freq / _PPM),
            _CONSTANT.only(found.constant),
            _MAX_ERROR.only(found.maxerror / _MICRO),
            _OFFSET.only(found.offset / fraction),
            _CALIBRATIONS.only(found.calcnt),
            _ERRORS.only(found.errcnt),
            _PPS_FREQUENCY.only(found.ppsfreq / _PPM),
            _JITTER.only(found.jitter / fraction),
            _JITTERS.only(found.jitcnt),
            _SHIFT.only(found.shift),
            _UNSTABLE.only(found.stbcnt),
            _STABILITY.only(found.stabil / _PPM),
            _STATUS.only(found.status),
            _SYNCHRONISED.only(int(found.state != _UNSYNCHRONISED_STATE)),
            _TAI.only(found.tai),
            _TICK.only(found.tick / _MICRO),
        ]

    return collect
