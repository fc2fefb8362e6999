"""How work trees of git stand, how long their files are and how much of them is tested, on their own timers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.encode import Family, Metric
from exporter.refresh import Refresher
from exporter.settings import Settings
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    from exporter.workspace.model import Lines, Tree, Workspace

name = "workspace"
text = "work trees of git: changes, upstream, long files and test coverage"
enabled = False

# each reads a whole tree: more at once would only fight for the disk
_MOST_THREADS = 2


def _gauge(metric: str, text: str) -> Metric:
    return Metric(
        f"selfheal_workspace_{metric}", "gauge", f"{text} Cached: as it was at the last refresh.", ("workspace",)
    )


_CHANGED = _gauge("changed_files", "Tracked files that differ from the last commit, staged or not.")
_UNTRACKED = _gauge("untracked_files", "Files that are neither tracked nor ignored; an untracked folder counts once.")
_UNMERGED = _gauge("unmerged_files", "Files whose conflicts a merge under way has not resolved yet.")
_OLDEST = _gauge(
    "oldest_change_timestamp_seconds",
    "Earliest last modification among the changed and untracked files; absent if there are none.",
)
_UNSAVED = _gauge(
    "unsaved_files",
    "Changed and untracked files, each by itself, whose content is in no checkpoint and on no side branch of Selfheal.",
)
_UNSAVED_AGE = _gauge(
    "unsaved_age_seconds",
    "How long before the refresh the longest unsaved of these files was last modified; 0 if there are none.",
)
_STASHES = _gauge("stash_entries", "Changes put aside in the stash.")
_HAS_UPSTREAM = _gauge("has_upstream", "Whether there is a branch to compare the present commit with.")
_AHEAD = _gauge("ahead_commits", "Commits that the upstream branch, as last fetched, does not have.")
_BEHIND = _gauge("behind_commits", "Commits of the upstream branch, as last fetched, that are not here.")
_CONFLICTS = _gauge(
    "merge_conflict_files",
    "Files that a merge of the present commit with the upstream branch could not merge; tried in memory only.",
)
_FETCHED = _gauge("fetch_timestamp_seconds", "When something was last fetched; absent if that is not known.")
_MEASURED = _gauge("measured_files", "Tracked text files whose lines are counted.")
_LONG = _gauge("long_files", "Measured files with more lines than configured.")
_LONGEST = _gauge("longest_file_lines", "Lines of the longest measured file.")
_LIMIT = _gauge("long_file_limit_lines", "Lines beyond which a file is long, as configured.")
_LINES = _gauge("coverage_lines", "Lines that tests could run, of the report of coverage.")
_COVERED_LINES = _gauge("coverage_covered_lines", "Lines that tests ran, of the report of coverage.")
_BRANCHES = _gauge("coverage_branches", "Branches that tests could take; 0 if the report has none.")
_COVERED_BRANCHES = _gauge("coverage_covered_branches", "Branches that tests took; 0 if the report has none.")
_COVERAGE_TIME = _gauge("coverage_timestamp_seconds", "When the report of coverage was written.")


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the file of work trees."""
    add_flag(
        parser, "--collector.workspace.config", metavar="FILE", type=Path,
        help="YAML file that names the work trees of git to watch",
    )  # fmt: skip


def files(flags: argparse.Namespace) -> list[Path]:
    """Return the configuration files that are read."""
    path: Path | None = vars(flags)["collector.workspace.config"]
    return [path] if path is not None else []


def create(settings: Settings) -> WorkspaceCollector:
    """Return what looks at the work trees from now on. Raise ConfigError, a ValueError, if the file is wrong."""
    path: Path | None = vars(settings.flags)["collector.workspace.config"]
    if path is None:
        raise ValueError("the workspace collector has nothing to watch; name a file with --collector.workspace.config")
    # only here, for it costs memory: pydantic
    from exporter.workspace.written import read_workspaces

    return WorkspaceCollector(read_workspaces(path, settings.paths.rootfs), settings)


class WorkspaceCollector:
    """All work trees: of each git, the lengths and the coverage are sources of their own."""

    def __init__(self, workspaces: list[Workspace], settings: Settings) -> None:
        sources: dict[str, Callable[[], list[Family]]] = {}
        every: dict[str, float] = {}
        for found in workspaces:
            own = _sources(found, settings)
            sources |= own
            every |= dict.fromkeys(own, found.every)
        deadline = max(found.deadline for found in workspaces)
        self._refresher = Refresher(name, sources, every, settings, deadline=deadline, threads=_MOST_THREADS)

    def __call__(self) -> list[Family]:
        """Return what the last looks found."""
        return self._refresher.collect()

    def close(self) -> None:
        """End the timers."""
        self._refresher.close()


def _sources(found: Workspace, settings: Settings) -> dict[str, Callable[[], list[Family]]]:
    """Given a work tree, return what reads it, by the name of the source. Raise ValueError if the library is absent."""
    try:
        from exporter.workspace.lines import LineCounter
        from exporter.workspace.tree import TreeReader
    except ImportError as error:
        raise ValueError(
            f"the workspace collector needs pygit2 ({error}); run pip install 'selfheal[workspace]'"
        ) from error
    key = (found.name,)
    sources = {found.name: _tree_reader(key, TreeReader(found.path, found.upstream).read, settings.clock.now)}
    if found.long_files is not None:
        counter = LineCounter(found.path, found.long_files, found.deadline, settings.clock)
        sources[f"{found.name}/long_files"] = _line_reader(key, counter.count, found.long_files.lines)
    if found.coverage is not None:
        sources[f"{found.name}/coverage"] = _coverage_reader(key, found.coverage)
    return sources


def _tree_reader(key: tuple[str], read: Callable[[], Tree], now: Callable[[], float]) -> Callable[[], list[Family]]:
    def families() -> list[Family]:
        tree = read()
        found = [
            _CHANGED.of({key: tree.changed}),
            _UNTRACKED.of({key: tree.untracked}),
            _UNMERGED.of({key: tree.unmerged}),
            _OLDEST.of({key: tree.oldest_change} if tree.oldest_change is not None else {}),
            _UNSAVED.of({key: tree.unsaved}),
            _UNSAVED_AGE.of({key: 0.0 if tree.oldest_unsaved is None else max(0.0, now() - tree.oldest_unsaved)}),
            _STASHES.of({key: tree.stashes}),
            _HAS_UPSTREAM.of({key: int(tree.upstream is not None)}),
        ]
        if tree.upstream is not None:
            fetched = tree.upstream.fetched
            found += [
                _AHEAD.of({key: tree.upstream.ahead}),
                _BEHIND.of({key: tree.upstream.behind}),
                _CONFLICTS.of({key: tree.upstream.conflicts}),
                _FETCHED.of({key: fetched} if fetched is not None else {}),
            ]
        return found

    return families


def _line_reader(key: tuple[str], count: Callable[[], Lines], limit: int) -> Callable[[], list[Family]]:
    def families() -> list[Family]:
        lines = count()
        return [
            _MEASURED.of({key: lines.files}),
            _LONG.of({key: lines.long}),
            _LONGEST.of({key: lines.longest}),
            _LIMIT.of({key: limit}),
        ]

    return families


def _coverage_reader(key: tuple[str], path: Path) -> Callable[[], list[Family]]:
    from exporter.workspace.coverage import read_coverage

    def families() -> list[Family]:
        coverage, written = read_coverage(path)
        return [
            _LINES.of({key: coverage.lines}),
            _COVERED_LINES.of({key: coverage.covered_lines}),
            _BRANCHES.of({key: coverage.branches}),
            _COVERED_BRANCHES.of({key: coverage.covered_branches}),
            _COVERAGE_TIME.of({key: written}),
        ]

    return families
