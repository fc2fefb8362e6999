"""How many processes and threads there are, and in which states: from the look that the groups are counted by too."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.settings import IncompleteError, Settings
from exporter.watch import watch_of

name = "processes"
text = "numbers and states of processes and threads"
# off in node_exporter, where it reads every process once more; here that has been done
enabled = True

_THREADS = Metric("node_processes_threads", "gauge", "Threads that there are now.")
_MOST_THREADS = Metric("node_processes_max_threads", "gauge", "Threads that there may be at most.")
_THREAD_STATES = Metric("node_processes_threads_state", "gauge", "Threads in each state.", ("thread_state",))
_STATES = Metric("node_processes_state", "gauge", "Processes in each state.", ("state",))
_PIDS = Metric("node_processes_pids", "gauge", "Processes that there are now.")
_MOST_PIDS = Metric("node_processes_max_processes", "gauge", "The largest pid that there may be.")


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add no flags: there is nothing to choose."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that counts processes and threads."""
    watch = watch_of(settings)
    watch.want(thread_states=True)
    folder = settings.paths.procfs / "sys/kernel"
    most_threads, most_pids = KeptFile(folder / "threads-max"), KeptFile(folder / "pid_max")

    def collect() -> list[Family]:
        look = watch.refresh(name)
        readable = [record for record in watch.table.records.values() if not record.unreadable]
        families = [_THREADS.only(sum([record.stat.threads for record in readable]))]
        try:
            families.append(_MOST_THREADS.only(int(most_threads.read())))
            families.append(_by_state(_STATES, [record.stat.state for record in readable]))
            families.append(_by_state(_THREAD_STATES, "".join([record.thread_states for record in readable])))
            families.append(_MOST_PIDS.only(int(most_pids.read())))
        except (OSError, ValueError) as error:
            raise IncompleteError(f"cannot read the kernel's limits: {error}", families) from error
        families.append(_PIDS.only(len(readable)))
        if look.unreadable:
            raise IncompleteError(f"{look.unreadable} processes could not be read", families)
        return families

    return collect


def _by_state(metric: Metric, states: Iterable[str]) -> Family:
    return metric.of({(state,): count for state, count in Counter(states).items()})
