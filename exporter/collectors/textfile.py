"""Metrics that other programs leave in files: node_exporter's textfile collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.deadline import BoundedCaller, LateError
from exporter.encode import Family, Metric, as_text
from exporter.settings import IncompleteError, Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.textfile_folder import Found

name = "textfile"
text = "metrics from files"
enabled = True

_MTIME = Metric("node_textfile_mtime_seconds", "gauge", "When the file, which was taken, was last changed.", ("file",))
_ERROR = Metric(
    "node_textfile_scrape_error", "gauge", "Whether a folder, a file or a part of one was not taken; the log says why."
)

# a folder may be on a file system that hangs
_DEADLINE = 2.0


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the folders, spelled as in node_exporter."""
    add_flag(
        parser, "--collector.textfile.directory", metavar="PATH", action="append",
        help="folder with *.prom files, or a pattern of folders; repeatable",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the files; without a folder it has nothing to read."""
    patterns = [pattern for pattern in vars(settings.flags)["collector.textfile.directory"] or () if pattern]
    if not patterns:
        return lambda: [_ERROR.only(0)]
    # only who has such files pays for their parser
    from exporter.textfile_folder import Folders

    folders = Folders(patterns, settings.clock)
    caller: BoundedCaller[Found] = BoundedCaller(name)

    def collect() -> list[Family]:
        try:
            found = caller.call(folders.read, _DEADLINE)
        except LateError as error:
            raise IncompleteError(str(error), [_ERROR.only(1)]) from error
        return [
            *found.families,
            # the name of a file may be any bytes
            _MTIME.of({(as_text(path),): seconds for path, seconds in found.changed_at.items()}),
            _ERROR.only(int(bool(found.problems))),
        ]

    return collect
