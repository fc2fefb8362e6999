"""How much of planted memory the shipped memory playbooks free: `python -m benchmarks.memory`.

Known reclaimable memory is planted four times, once for each level: old files in a permitted folder in memory, the
garbage of idle workers who collect it when a named command tells them, and twice a worker that has leaked and idles.
The real remediator answers the shipped alerts by the shipped playbooks, changed only in mode, names and how long they
wait (which is printed). The gauges tell of a small host that holds the fixture alone, so that nothing else on this
machine can raise an alert; what was freed is the rise of this machine's own MemAvailable from after the planting until
it was proven. The last line is one JSON object. Other programs' memory is in it: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.memory_planted import GROUP, LEVELS, MIB, MOST, Fixture, Level
from benchmarks.rig import Rig, running, until
from selfheal.common.shipped import shipped

ROOM = 1024 * MIB
"""What must be left to this machine besides what is planted."""
MEMORY = Path("/dev/shm")
AIM, FLOOR = 0.60, 0.30
QUIET = 0.1
"""Share of a level's planted memory that other programs may take or give before the figure means little."""
PHASE_SECONDS = 40.0
CHANGED = {"mode": "auto", "cooldown": "0s", "healthy_for": "2s", "watch": "0s", "rate": "[100/1h]", "for": "0s"}
"""What stands here otherwise than in what is shipped; names of folder, command and unit are the fixture's."""


def available() -> int:
    """Return MemAvailable of this machine in bytes, the median of a second."""
    found = []
    for _ in range(10):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
        time.sleep(0.1)
    return int(median(found))


def rules() -> str:
    """Return the shipped recording rule of memory and the four alerts over it, without their waits."""
    (group,) = yaml.safe_load((shipped("rules") / "host.yml").read_text("utf-8"))["groups"]
    wanted = [
        {**rule, "for": CHANGED["for"]} if "alert" in rule else rule
        for rule in group["rules"]
        if rule.get("record") == "instance:memory_used:ratio" or rule.get("alert", "").startswith("MemoryRelief")
    ]
    return yaml.safe_dump({"groups": [{**group, "rules": wanted}]}, width=10_000)


def playbooks(root: Path) -> list[str]:
    """Return the four shipped playbooks, acting, with the fixture's folder and without their waits."""
    texts = []
    for level in LEVELS:
        file = shipped("remediator", "playbooks", "shipped") / f"memory_{level.name}.yml"
        written = yaml.safe_load(file.read_text("utf-8").replace("/dev/shm/example", str(root)))
        written["mode"] = CHANGED["mode"]
        written["limits"] |= {"cooldown": CHANGED["cooldown"], "rate": ["100/1h"]}
        written["verify"] |= {"healthy_for": CHANGED["healthy_for"], "watch": CHANGED["watch"]}
        texts.append(yaml.safe_dump(written, sort_keys=False, allow_unicode=True))
    return texts


def policy(root: Path, workers: Path) -> str:
    """Return what this benchmark permits: its own folder, its own workers, one command."""
    collect = [sys.executable, str(Path(__file__).with_name("memory_collect.py")), str(workers), "{group}"]
    parameters = {"group": {"type": "group"}}
    return yaml.safe_dump(
        {
            "process_groups": [GROUP],
            "roots": {str(root): {"older_than": "10m", "floor": "1MiB"}},
            "commands": {"collect_garbage": {"run": collect, "parameters": parameters}},
            # no unit of this machine is touched: whatever is asked of this systemctl is nothing
            "units": {"example.service": {"verbs": ["reclaim"]}},
            "programs": {"systemctl": "/bin/true"},
        }
    )


def run_level(rig: Rig, fixture: Fixture, level: Level) -> dict[str, Any]:
    """Plant one level, wait until its playbook has proven that it helped, and return what that freed."""
    alone = available()
    with fixture.unseen():
        fixture.plant(level)
        before, held = available(), fixture.held()
    begun = time.monotonic()
    found = until(lambda: _ended(rig, f"memory_{level.name}"), PHASE_SECONDS, 0.1)
    seconds = time.monotonic() - begun
    freed, let_go = available() - before, held - fixture.held()
    result = {
        "level": level.name,
        "planted_mb": round(level.planted / MIB),
        "seen_mb": round((alone - before) / MIB),
        "freed_mb": round(freed / MIB),
        # of the fixture alone: where the two differ much, other programs took or gave memory meanwhile
        "let_go_mb": round(let_go / MIB),
        "verdict": found["verdict"],
        "seconds": round(seconds, 1),
    }
    told = f"{result['planted_mb']} MiB in, {result['freed_mb']} MiB freed, {result['verdict']} after {seconds:.1f} s"
    print(f"{level.name:13} {level.kind}: {told}", flush=True)
    until(lambda: not rig.query('ALERTS{alertname=~"MemoryRelief.*"}'), PHASE_SECONDS)
    return result


def _ended(rig: Rig, playbook: str) -> dict[str, Any] | None:
    items = [item for item in rig.api("/api/v1/remediations?limit=50")["items"] if item["playbook"] == playbook]
    return next((item for item in items if item["verdict"] is not None or item["ended_at"] is not None), None)


@contextmanager
def following(gauges: Any, page: Callable[[], str]) -> Iterator[None]:
    """Keep the scraped page up to date."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(0.1):
            gauges.text = page()

    gauges.text = page()
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure(folder: Path, memory: Path) -> dict[str, Any]:
    """Run all four levels and return the figures."""
    begun = time.monotonic()
    fixture = Fixture(folder, memory)
    try:
        groups = folder / "groups.yml"
        names = [{"name": GROUP, "cmdline": [fixture.workers.marker]}]
        groups.write_text(yaml.safe_dump({"process_names": names}), "utf-8")
        rig = Rig(
            folder / "rig",
            rules(),
            playbooks=playbooks(fixture.root),
            policy=policy(fixture.root, fixture.workers.folder),
            limits=f"process_config: {groups}",
        )
        with running(rig), following(rig.gauges, fixture.page):
            rig.start()
            try:
                rig.start_remediator()
                until(lambda: rig.query("instance:memory_used:ratio"))
                results = [run_level(rig, fixture, level) for level in LEVELS]
            except TimeoutError:
                # its log goes with the folder
                print((rig.folder / "remediator.log").read_text("utf-8")[-3000:], flush=True)
                raise
            young = fixture.young.exists()
    finally:
        fixture.close()
    return {**summary(results), "young_files_kept": young, "seconds": round(time.monotonic() - begun)}


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Given the figures of each level, return those of all: more than was planted in one makes up for no other."""
    planted, freed, let_go = (sum(each[key] for each in results) for key in ("planted_mb", "freed_mb", "let_go_mb"))
    others = [abs(each["freed_mb"] - each["let_go_mb"]) for each in results]
    return {
        "planted_mb": planted,
        "freed_mb": freed,
        "share": round(sum(min(each["freed_mb"], each["planted_mb"]) for each in results) / planted, 3),
        "aim": AIM,
        "floor": FLOOR,
        "fixed": sum(each["verdict"] == "fixed" for each in results),
        "let_go_mb": let_go,
        "others_mb": max(others),
        "is_quiet": all(other <= QUIET * each["planted_mb"] for each, other in zip(results, others, strict=True)),
        "levels": list(results),
    }


def main() -> int:
    """Measure and print; return 1 below the floor, 2 with too little memory here, 3 if other programs disturbed it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    room = available()
    if room < MOST + ROOM:
        print(f"{(MOST + ROOM) // MIB} MiB must be available, and {room // MIB} MiB are")
        return 2
    print(f"at most {MOST // MIB} MiB are planted at once; {room // MIB} MiB are available")
    print(f"otherwise than shipped: {', '.join(f'{key} {value}' for key, value in CHANGED.items())}", flush=True)
    with TemporaryDirectory() as folder, TemporaryDirectory(dir=MEMORY) as memory:
        figures = measure(Path(folder).resolve(), Path(memory).resolve())
    if not figures["is_quiet"]:
        print(f"other programs took or gave {figures['others_mb']} MiB in one level: run it again on a quiet machine")
    print(json.dumps(figures))
    helped = figures["share"] >= FLOOR and figures["fixed"] == len(LEVELS) and figures["young_files_kept"]
    if not helped:
        return 1
    return 0 if figures["is_quiet"] else 3


if __name__ == "__main__":
    sys.exit(main())
