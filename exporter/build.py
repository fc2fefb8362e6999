"""Chooses the engine, builds collectors from the flags, and tells everything that is wrong with them at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping

from exporter.collectors import COLLECTORS
from exporter.paths import Paths
from exporter.registry import Collect, close_all
from exporter.settings import Settings
from selfheal.common.flags import add_flag

ENGINES = ("auto", "procfs", "portable")

_LINUX = "linux"
_OTHERS = ("darwin", "win32")


class CannotBuildError(Exception):
    """Collectors cannot be built as asked; `problems` says why, file by file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def add_engine_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag by which the engine is chosen."""
    add_flag(
        parser, "--engine", choices=ENGINES, default=ENGINES[0],
        help="procfs on Linux; portable, through psutil, elsewhere; auto chooses (default: %(default)s)",
    )  # fmt: skip


def creators(flags: argparse.Namespace) -> Mapping[str, Callable[[Settings], Collect]]:
    """Given the flags, return how the chosen engine builds each collector that it has.

    Raise CannotBuildError if this system has not that engine.
    """
    engine: str = vars(flags)["engine"]
    if engine == "auto":
        engine = "procfs" if sys.platform == _LINUX else "portable"
    if engine == "procfs":
        if sys.platform != _LINUX:
            raise CannotBuildError(["--engine=procfs is only for Linux; leave the flag out"])
        return {name: collector.create for name, collector in COLLECTORS.items()}
    return _portable(Paths(*(vars(flags)[f"path.{name}"] for name in ("procfs", "sysfs", "rootfs"))))


def _portable(paths: Paths) -> Mapping[str, Callable[[Settings], Collect]]:
    if sys.platform not in (_LINUX, *_OTHERS):
        raise CannotBuildError([f"this system, {sys.platform}, is none of Linux, macOS and Windows"])
    if paths != Paths():
        raise CannotBuildError(
            ["--path.procfs, --path.sysfs and --path.rootfs are only for --engine=procfs, on Linux; remove them"]
        )
    try:
        # not above: it loads psutil
        from exporter.portable import PORTABLE
    except ModuleNotFoundError as error:
        raise CannotBuildError([f"--engine=portable needs {error.name}; install it: pip install psutil"]) from error
    return PORTABLE


def build_collectors(names: Iterable[str], settings: Settings) -> dict[str, Collect]:
    """Given names and settings, return what to ask by name. Raise CannotBuildError if one cannot be built."""
    collectors: dict[str, Collect] = {}
    problems: list[str] = []
    known = creators(settings.flags)
    for name in names:
        if name not in known:
            problems.append(f"--collector.{name} is only for --engine=procfs, on Linux; remove it")
            continue
        try:
            collectors[name] = known[name](settings)
        except (ValueError, OSError) as error:
            problems.append(str(error))
        except BaseException:
            # nobody else knows of them, and some have begun to work by themselves
            close_all(collectors.values())
            raise
    if problems:
        close_all(collectors.values())
        raise CannotBuildError(problems)
    return collectors
