"""Every accepted shape as a rule, with patients that are sick at first and what then becomes of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Change = Mapping[str, float | tuple[float | None, float] | None]

STILL: Change = {}
DOWN = "down"
UP = "up"
REMOVED = "removed"
BLIP = "blip"
"""Well for fewer samples than a window holds, then as sick as before: the figures of `blip`, or the target itself."""

# the end of a scenario's name says what must be found
HEALED = "healed"


@dataclass(frozen=True)
class Shape:
    """One rule and its patients; every patient starts with `sick`, and `then` says what happens to it."""

    expr: str
    sick: Change
    then: Mapping[str, Change | str]
    window: float = 0.0
    starts_down: bool = False
    blip: Change = field(default_factory=dict)
    """What is well for a moment where `then` says BLIP."""


RECORDINGS = """
groups:
  - name: recorded
    rules:
      - {record: 'over:ratio', expr: 'over_raw / 100'}
      - {record: 'limit', labels: {check: c, instance: over-laxer-healed}, expr: 'vector(0.90)'}
      - {record: 'limit', labels: {check: other, instance: over-default-sick}, expr: 'vector(0.99)'}
      - {record: 'one:double', expr: 'twice_raw * 2'}
      - {record: 'two:sum', expr: 'sum by (instance, job, shape) (one:double)'}
      - {record: 'slow:rate', expr: 'rate(slow_total[4s])'}
"""


def _ends(series: str, healed: Change, **more: Change | str) -> dict[str, Change | str]:
    """Return what may become of a patient: still sick, healed, its series gone, its target down, and more."""
    return {"sick": STILL, HEALED: healed, "gone": {series: None}, "down": DOWN, **more}


SHAPES: Mapping[str, Shape] = {
    "plain": Shape(
        "plain_x > 5",
        {"plain_x": 9},
        _ends("plain_x", {"plain_x": 5}, removed=REMOVED, nan={"plain_x": float("nan")}),
    ),
    "below": Shape("10 >= below_x", {"below_x": 3}, _ends("below_x", {"below_x": 10.5})),
    "flag": Shape("flag_x == 1", {"flag_x": 1}, _ends("flag_x", {"flag_x": 0}, beyond={"flag_x": 2})),
    "unlike": Shape("unlike_x != 1", {"unlike_x": 0}, _ends("unlike_x", {"unlike_x": 1})),
    "up": Shape('up{shape="up"} == 0', {"any": 1}, {"sick": STILL, HEALED: UP, "removed": REMOVED}, starts_down=True),
    "maxup": Shape(
        'max_over_time(up{shape="maxup"}[5s]) == 0',
        {"any": 1},
        {"sick": STILL, HEALED: UP, "removed": REMOVED, "blip": BLIP},
        window=5,
        starts_down=True,
    ),
    "lowest": Shape(
        "min_over_time(lowest_x[5s]) > 5",
        {"lowest_x": 9},
        _ends("lowest_x", {"lowest_x": 2}, blip=BLIP),
        window=5,
        blip={"lowest_x": 2},
    ),
    "ratio": Shape(
        "ratio_part / ignoring (mode) ratio_whole > 0.5",
        {'ratio_part{mode="used"}': 9, "ratio_whole": 10},
        _ends('ratio_part{mode="used"}', {'ratio_part{mode="used"}': 2}, halved={"ratio_whole": None}),
    ),
    "stale": Shape(
        "time() - stale_seconds > 300", {"stale_seconds": 1}, _ends("stale_seconds", {"stale_seconds": 4e9})
    ),
    "grown": Shape(
        "increase(grown_total[4s]) > 2",
        {"grown_total": (5, 3)},
        _ends("grown_total", {"grown_total": (None, 0)}),
        window=4,
    ),
    "members": Shape(
        "count by (instance, job, shape) (member_x) < 2",
        {'member_x{member="a"}': 1},
        _ends('member_x{member="a"}', {'member_x{member="b"}': 1}, another={'member_x{member="a"}': None}),
    ),
    "strict": Shape(
        "strict_x > on (instance) group_left () strict_limit",
        {"strict_x": 9, "strict_limit": 5},
        _ends("strict_x", {"strict_x": 4}, unlimited={"strict_limit": None}),
    ),
    "night": Shape("night_x > 5 and on () hour() >= 0", {"night_x": 9}, _ends("night_x", {"night_x": 2})),
    "leak": Shape(
        "deriv(leak_bytes[4s]) > 1 and leak_bytes > 50",
        {"leak_bytes": (100, 20)},
        _ends("leak_bytes", {"leak_bytes": 10}),
    ),
    "forecast": Shape(
        "predict_linear(disk_free[4s], 20) < 5 and disk_free / disk_size < 0.5",
        {"disk_free": (40, -1), "disk_size": 100},
        _ends("disk_free", {"disk_free": 90}),
    ),
    "spin": Shape(
        "rate(spin_total[4s]) > 0.4", {"spin_total": (5, 1)}, _ends("spin_total", {"spin_total": (None, 0.1)}), 4
    ),
    "slow": Shape("slow:rate > 0.4", {"slow_total": (5, 1)}, _ends("slow_total", {"slow_total": (None, 0.1)}), 4),
    "errors": Shape(
        "rate(err_total[4s]) / rate(req_total[4s]) > 0.5",
        {"err_total": (5, 4), "req_total": (5, 5)},
        _ends("err_total", {"err_total": (None, 1)}, idle={"err_total": (None, 0), "req_total": (None, 0)}),
        4,
    ),
    "parts": Shape(
        "sum without (part) (part_x) > 20",
        {'part_x{part="a"}': 5, 'part_x{part="b"}': 30},
        _ends(
            'part_x{part="b"}', {'part_x{part="b"}': 6}, vanished={'part_x{part="a"}': None, 'part_x{part="b"}': None}
        ),
    ),
    "cores": Shape(
        "avg by (instance, job, shape) (core_x) * -1 < -3",
        {'core_x{core="0"}': 4, 'core_x{core="1"}': 5},
        _ends('core_x{core="1"}', {'core_x{core="0"}': 1, 'core_x{core="1"}': 2}),
    ),
    "over": Shape(
        'over:ratio > on (instance) group_left () (max by (instance) (limit{check="c"})'
        " or group by (instance) (over:ratio) * 0.8)",
        {"over_raw": 95},
        _ends(
            "over_raw",
            {"over_raw": 60},
            **{"laxer-healed": {"over_raw": 85}, "default-sick": {"over_raw": 85}, "vanished": {"over_raw": None}},
        ),
    ),
    "twice": Shape("two:sum > 20", {"twice_raw": 15}, _ends("twice_raw", {"twice_raw": 4})),
    "quiet": Shape(
        "quiet_x > 80 unless on (instance) quiet_maintenance == 1",
        {"quiet_x": 90, "quiet_maintenance": 0},
        _ends("quiet_x", {"quiet_x": 40}, suppressed={"quiet_maintenance": 1}),
    ),
    "worse": Shape(
        "worse_x > 80 unless worse_x > 95", {"worse_x": 90}, _ends("worse_x", {"worse_x": 40}, critical={"worse_x": 99})
    ),
    "hours": Shape(
        "hours_x > 5 and on () count(clock_x > 8) > 0",
        {"hours_x": 9},
        _ends("hours_x", {"hours_x": 2}),
    ),
    "either": Shape(
        "ours_x > 5 or theirs_x > 5",
        {"ours_x": 9},
        _ends("ours_x", {"ours_x": 2}, appeared={"ours_x": None, "theirs_x": 9}),
    ),
}
"""The clock of `hours` is a patient of its own, which goes outside its hours when everything else changes."""
