"""How the cost of a scrape grows with the number of processes: `python -m benchmarks.growth`.

Ours with only its collector of processes, at 100 to 5,000 sleeping processes, idle and with all of them running once
before each scrape. A line is fitted through CPU per scrape; the last line is JSON: how well it fits, and the cost per
process at 5,000 divided by that at 500.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.exporter import GROUPS, ours_for_processes
from benchmarks.scrapes import Cell, Target, crowd, visit

COUNTS = (100, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000)
# from few to many again and again: what else the machine does can only add to a cost, so the least disturbed sweep of
# each count is on the line
SWEEPS = 3
ROUNDS = 5
SCRAPES = 3
WARM_UP = 4

Cells = dict[tuple[int, bool], list[Cell]]


def main() -> int:
    """Measure, print a table and the figures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cells: Cells = {(count, awake): [] for count in COUNTS for awake in (False, True)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="selfheal-growth-")))
        (folder / "groups.yml").write_text(GROUPS, "utf-8")
        target = Target("ours", ours_for_processes(folder / "groups.yml"), folder / "log")
        stack.callback(target.close)
        for number in range(SWEEPS):
            print(f"sweep {number + 1} of {SWEEPS}", flush=True)
            _sweep(target, cells)
    found = {
        awake: {count: min(cell.cpu for cell in cells[count, awake]) for count in COUNTS} for awake in (False, True)
    }
    print(f"{'processes':>9} {'idle ms':>8} {'us each':>8} {'ran ms':>8} {'us each':>8} {'RSS MB':>7}")
    for count in COUNTS:
        idle, ran = found[False][count], found[True][count]
        memory = cells[count, True][0].rss_kib / 1024
        print(f"{count:9} {idle:8.2f} {1000 * idle / count:8.2f} {ran:8.2f} {1000 * ran / count:8.2f} {memory:7.1f}")
    figures = _figures(found[False], "idle") | _figures(found[True], "worst")
    print(json.dumps(figures))
    return 0


def _sweep(target: Target, cells: Cells) -> None:
    with crowd() as beside:
        for count in COUNTS:
            beside.grow(count)
            for awake in (False, True):
                visit(target, Cell(), WARM_UP, beside.wake)
                cells[count, awake].append(Cell())
                for _ in range(ROUNDS):
                    visit(target, cells[count, awake][-1], SCRAPES, beside.wake if awake else None)


def _figures(costs: dict[int, float], name: str) -> dict[str, float]:
    counts, times = list(costs), list(costs.values())
    return {
        f"{name}_r2": round(statistics.correlation(counts, times) ** 2, 4),
        f"{name}_us_per_process": round(1000 * statistics.linear_regression(counts, times).slope, 2),
        f"{name}_ratio_5000_500": round((costs[5000] / 5000) / (costs[500] / 500), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
