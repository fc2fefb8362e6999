"""What one scrape costs, theirs beside ours: `python -m benchmarks.exporter`.

process-exporter against ours with only its collector, node_exporter against ours with the same collectors; the
incumbents are Debian's packages, unpacked. Each is visited in turn, at +0, +500 and +2,000 sleeping processes, and
again with all of them running once between two scrapes. The last line is JSON: theirs divided by ours, of the newer
packages; and the most resident memory of one process that does both jobs.
"""

from __future__ import annotations

import json
import signal
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scrapes import Cell, Crowd, Target, crowd, note_zipped, visit
from exporter.collectors import COLLECTORS
from selfheal.stack.oracles import NEWER, OLDER, provide_oracles
from selfheal.stack.tools import default_folder

ROUNDS = 5
GROUPS = "process_names:\n- name: '{{.Comm}}'\n  cmdline: ['.+']\n"

# what both have, on in node_exporter by default, and on every host
HOST = (
    "arp", "conntrack", "cpu", "diskstats", "entropy", "filefd", "filesystem", "loadavg", "meminfo", "netclass",
    "netdev", "netstat", "pressure", "schedstat", "sockstat", "softnet", "stat", "time", "timex", "uname", "vmstat",
)  # fmt: skip

OURS = (sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:PORT", "--log.level=error")
OURS_PROCESS, OURS_HOST, OURS_BOTH = "ours, process", "ours, host", "ours, both"
WARM_UP = 4


@dataclass(frozen=True, slots=True)
class Load:
    """How many processes sleep beside, and whether all of them run once before each scrape."""

    count: int
    awake: bool

    @property
    def name(self) -> str:
        """As it stands in the table."""
        return f"+{self.count} {'ran' if self.awake else 'idle'}"


LOADS = (Load(0, False), Load(500, False), Load(500, True), Load(2000, False), Load(2000, True))


def main() -> int:
    """Measure, print a table and the figures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    oracles = provide_oracles(default_folder(), lambda root: print(f"unpacking Debian's packages into {root}"))
    cells: dict[tuple[str, Load], Cell] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="selfheal-bench-")))
        (folder / "groups.yml").write_text(GROUPS, "utf-8")
        beside = stack.enter_context(crowd())
        targets = []
        for name, command in _commands(oracles, folder / "groups.yml").items():
            targets.append(Target(name, command, folder / "log"))
            stack.callback(targets[-1].close)
        for load in LOADS:
            beside.grow(load.count)
            measured = _measured(targets, load)
            _measure(measured, load, beside, cells)
            _print(load, measured, cells)
    print(json.dumps(_figures(cells)))
    return 0


def ours_for_processes(groups: Path) -> Sequence[str | Path]:
    """Given a file of groups, return the command of ours with only its collector of processes."""
    return (*OURS, "--collector.disable-defaults", "--collector.process", f"--config.path={groups}")


def _commands(oracles: dict[tuple[str, str], Path], groups: Path) -> dict[str, Sequence[str | Path]]:
    same = [f"--collector.{name}" for name in HOST if name in COLLECTORS]
    commands: dict[str, Sequence[str | Path]] = {}
    for versions in (NEWER, OLDER):
        version = versions["process-exporter"]
        commands[f"process-exporter {version}"] = (
            oracles["process-exporter", version], "-threads=false", "-gather-smaps=false", f"-config.path={groups}",
            "-web.listen-address=127.0.0.1:PORT",
        )  # fmt: skip
    commands[OURS_PROCESS] = ours_for_processes(groups)
    for versions in (NEWER, OLDER):
        version = versions["node_exporter"]
        commands[f"node_exporter {version}"] = (
            oracles["node_exporter", version], "--collector.disable-defaults", "--web.disable-exporter-metrics", *same,
            "--web.listen-address=127.0.0.1:PORT",
        )  # fmt: skip
    commands[OURS_HOST] = (*OURS, "--collector.disable-defaults", "--web.disable-exporter-metrics", *same)
    commands[OURS_BOTH] = (*OURS, f"--config.path={groups}")
    return commands


def _measured(targets: Sequence[Target], load: Load) -> list[Target]:
    """Return whom to visit: what only reads the host's own files does not see who runs beside."""
    return [target for target in targets if not (load.awake and _is_host(target))]


def _is_host(target: Target) -> bool:
    return target.name == OURS_HOST or target.name.startswith("node_exporter")


def _scrapes(target: Target, load: Load) -> int:
    """Return how often one visit scrapes: of what costs little more often, so that few scrapes do not decide."""
    if target.name.startswith("process-exporter"):
        return 3 if load.count > 500 else 8
    return 8 if load.awake and load.count > 500 else 20


def _measure(targets: Sequence[Target], load: Load, beside: Crowd, cells: dict[tuple[str, Load], Cell]) -> None:
    before = beside.wake if load.awake else None
    for target in targets:
        cells[target.name, load] = Cell()
        # who is new to an exporter costs more the first times
        visit(target, Cell(), WARM_UP, before)
    for _ in range(ROUNDS):
        for target in targets:
            visit(target, cells[target.name, load], _scrapes(target, load), before)
    for target in targets:
        note_zipped(target, cells[target.name, load])


def _print(load: Load, targets: Sequence[Target], cells: dict[tuple[str, Load], Cell]) -> None:
    heads = ("CPU ms", "p50 ms", "p99 ms", "RSS MB", "bytes", "gzip", "samples")
    print(f"{load.name:26}", *(f"{head:>8}" for head in heads))
    for target in targets:
        cell = cells[target.name, load]
        print(
            f"  {target.name:24} {cell.cpu:8.2f} {cell.p50:8.2f} {cell.p99:8.2f} {cell.rss_kib / 1024:8.1f} "
            f"{len(cell.page):8} {cell.zipped:8} {cell.samples:8}",
            flush=True,
        )


def _figures(cells: dict[tuple[str, Load], Cell]) -> dict[str, float]:
    theirs, node = f"process-exporter {NEWER['process-exporter']}", f"node_exporter {NEWER['node_exporter']}"

    def cpu_ratio(count: int, awake: bool) -> float:
        load = Load(count, awake)
        return round(cells[theirs, load].cpu / cells[OURS_PROCESS, load].cpu, 2)

    def host_cpu(name: str) -> float:
        # who sleeps beside does not matter to these, so that all rounds tell the same
        return statistics.median(
            [each for (target, _), cell in cells.items() if target == name for each in cell.cpu_ms]
        )

    ran = Load(500, True)
    largest = max(cell.rss_kib for (name, _), cell in cells.items() if name == OURS_BOTH)
    return {
        "idle_cpu_ratio_500": cpu_ratio(500, False),
        "idle_cpu_ratio_2000": cpu_ratio(2000, False),
        "worst_cpu_ratio_500": cpu_ratio(500, True),
        "worst_cpu_ratio_2000": cpu_ratio(2000, True),
        "host_cpu_ratio": round(host_cpu(node) / host_cpu(OURS_HOST), 2),
        "p50_ratio_500": round(cells[theirs, ran].p50 / cells[OURS_PROCESS, ran].p50, 2),
        "rss_mb": round(largest / 1024, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
