"""Counters of the virtual memory: fields of `/proc/vmstat`, without a type as in node_exporter."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.fields import field_reader
from exporter.procfs.host import vmstat_finder
from exporter.procfs.kept import KeptFile
from exporter.procfs.layout import Layout
from exporter.settings import Settings, flag_type
from selfheal.common.flags import add_flag
from selfheal.common.re2 import compile_own, compile_re2

name = "vmstat"
text = "counters of the virtual memory"
enabled = True

FIELDS = "^(oom_kill|pgpg|pswp|pg.*fault).*"


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the flag that chooses the fields."""
    add_flag(
        parser, "--collector.vmstat.fields", metavar="REGEX", type=flag_type(compile_re2),
        default=compile_own(FIELDS),
        help="export the fields whose names match (default: %(default)s)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/vmstat`."""
    wanted = vars(settings.flags)["collector.vmstat.fields"]
    return field_reader(KeptFile(settings.paths.procfs / "vmstat"), Layout(vmstat_finder(wanted.matches)), _metric)


def _metric(field: str) -> Metric:
    return Metric(f"node_vmstat_{field}", "untyped", f"What the kernel's vmstat says of {field}.")
