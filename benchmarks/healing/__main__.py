"""Faults on many hosts, healed or left alone: `python -m benchmarks.healing`.

Every kind of fault is brought about on one of several namespaced hosts. Each host runs its own exporter and remediator;
one Prometheus (scrape 5 s, evaluation 1 s) and one Alertmanager serve all. A fault is healed when the remediator has
proven it and the host itself shows it; it is handed over when it was left untouched for the right reason. Decoys are
counted that were touched, and effects that no fault accounts for. `median_seconds` is from the fault to the proof,
without the rule's `for` and the playbook's `healthy_for`, of faults that a gauge tells; `median_slope_seconds` of those
that need a rate or a slope. Needs root. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.healing import outer
from benchmarks.healing.faults import KINDS, Fault, Shape
from benchmarks.healing.layout import QUICK, Pace
from selfheal.stack.packages import PackagesError
from selfheal.stack.tools import ToolsMissing, default_folder, provide

AIM, FLOOR = 13.0, 15.0
"""Seconds from a fault that a gauge tells to its proof."""
MOST_HOSTS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if anything was neither healed nor handed over, or touched that was not ill."""
    given = _read(arguments)
    if given.list:
        for fault in KINDS.values():
            print(f"{fault.name:16} {fault.shape:6} {fault.alert:26} {fault.handed or 'healed'}")
        return 0
    if given.inside is not None:
        return _inside(given)
    reason = outer.why_not()
    if reason is not None:
        print(f"cannot run: {reason}", file=sys.stderr)
        return outer.CANNOT
    try:
        # before the network is left
        provide(default_folder(), _tell)
        if given.peer:
            from benchmarks.healing.peer_monit import fetch

            fetch()
    except (ToolsMissing, PackagesError) as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return outer.CANNOT
    return outer.run_inside(sys.argv[1:] if arguments is None else arguments)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.healing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="rounds, each with every kind once (default: 3)")
    parser.add_argument("--hosts", type=int, default=6, help="namespaced hosts (default: 6)")
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS.values()), help="only these, with commas")
    parser.add_argument("--list", action="store_true", help="tell the kinds and end")
    parser.add_argument("--peer", choices=["monit"], help="measure this one, too, alone in its own round")
    parser.add_argument("--quick", action="store_true", help="scrape every second, to try the machinery")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not 1 <= given.hosts <= MOST_HOSTS or given.seeds < 1:
        parser.error(f"--hosts is from 1 to {MOST_HOSTS}, --seeds from 1 on")
    return given


def _kinds(text: str) -> list[Fault]:
    unknown = [name for name in text.split(",") if name not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such kind: {', '.join(unknown)}; --list tells all")
    return [KINDS[name] for name in dict.fromkeys(text.split(","))]


def _inside(given: argparse.Namespace) -> int:
    # only in here, where the namespaces are ours
    from benchmarks.healing.configure import difference
    from benchmarks.healing.hosts import make_bridge
    from benchmarks.healing.rounds import Round, Tally, spread

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    begun = time.monotonic()
    make_bridge()
    tools = provide(default_folder(), _tell)
    for line in difference(given.inside / "compared"):
        _tell(line)
    total, pace = Tally(), QUICK if given.quick else Pace()

    def tell(line: str) -> None:
        _tell(f"{_spent(begun)} {line}")

    for seed in range(1, given.seeds + 1):
        dice = random.Random(seed)
        queues = spread(given.kinds, given.hosts, dice)
        _tell(f"seed {seed}: {len(given.kinds)} kinds on {given.hosts} hosts")
        one = Round(given.inside / f"seed-{seed}", queues, dice, tell, pace)
        one.folder.mkdir()
        tally = one.run(tools)
        total.outcomes += tally.outcomes
        total.bystanders += tally.bystanders
        total.false_actions += tally.false_actions
        total.decoys += tally.decoys
    peer = None
    if given.peer:
        from benchmarks.healing.peer_monit import measure

        peer = measure(given.inside / "monit", given.kinds, given.hosts, tell)
    for what, found in (("bystander", total.bystanders), ("false action", total.false_actions)):
        for each in found:
            _tell(f"{what}: {each}")
    figures = _figures(total, given.kinds, peer)
    _tell(
        f"median from fault to proof {figures['median_seconds']} s (aim {AIM:g}, floor {FLOOR:g}), of slopes "
        f"{figures['median_slope_seconds']} s; {total.decoys} decoys; {_spent(begun)}"
    )
    print(json.dumps(figures), flush=True)
    good = figures["healed"] + figures["handed_over"] == figures["faults"] > 0
    in_time = given.quick or figures["median_seconds"] is None or figures["median_seconds"] <= FLOOR
    return 0 if good and in_time and not total.bystanders and not total.false_actions else 1


def _figures(total: Any, kinds: Sequence[Fault], peer: dict[str, Any] | None) -> dict[str, Any]:
    outcomes = total.outcomes
    return {
        "kinds": len(kinds),
        "faults": len(outcomes),
        "healed": sum(each.how == "healed" for each in outcomes),
        "handed_over": sum(each.how == "handed over" for each in outcomes),
        "bystanders": len(total.bystanders),
        "false_actions": len(total.false_actions),
        "median_seconds": _median([each.net for each in outcomes if each.net and each.shape is Shape.GAUGE]),
        "median_slope_seconds": _median([each.net for each in outcomes if each.net and each.shape is Shape.SLOPE]),
        "monit": peer,
    }


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 1) if values else None


def _spent(begun: float) -> str:
    return f"{time.monotonic() - begun:4.0f} s"


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
