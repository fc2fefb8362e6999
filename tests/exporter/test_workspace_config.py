"""The file of work trees: everything wrong in it is told at once, each with its place and remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exporter.collectors import workspace
from exporter.config import make_parser
from exporter.paths import Paths
from exporter.settings import Settings
from exporter.workspace.model import LongFiles, Workspace
from exporter.workspace.written import read_workspaces
from selfheal.common.clock import ManualClock
from selfheal.common.problems import ConfigError

EXAMPLE = Path(__file__).parents[2] / "examples/exporter-workspace.yml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "w.yml"
    path.write_text(text)
    return path


def test_every_key_reaches_its_value(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
workspaces:
  shop:
    path: /srv/shop
    every: 1m
    deadline: 5s
    upstream: origin/main
    long_files: {lines: 300, include: ["*.py"], exclude: ["vendor/*"]}
    coverage: reports/lcov.info
  docs: {path: /srv/docs, coverage: /var/reports/c.json}
""",
    )

    assert read_workspaces(path, Path("/host")) == [
        Workspace(
            "shop",
            Path("/host/srv/shop"),
            60.0,
            5.0,
            "origin/main",
            LongFiles(300, ("*.py",), ("vendor/*",)),
            Path("/host/srv/shop/reports/lcov.info"),
        ),
        Workspace("docs", Path("/host/srv/docs"), 300.0, 60.0, None, None, Path("/host/var/reports/c.json")),
    ]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
workspaces:
  a: {path: srv/shop, every: 0s, deadline: 10, upstream: "../x"}
  b: {pathe: /srv/b, long_files: {include: []}}
  c: {path: /c, long_files: {lines: 0, exclude: "*.py"}, coverage: 3}
  d: {path: /d, upstream: "--all"}
workspace: {}
""",
    )

    with pytest.raises(ConfigError) as caught:
        read_workspaces(path, Path("/"))

    assert str(caught.value).replace(f"{path}: workspaces.", "").splitlines() == [
        "a.path: 'srv/shop' is no absolute path; write it from / on",
        "a.every: must be at least 1s; raise it",
        "a.deadline: must be a duration, not a number; write for example 30s, 5m or 1h30m",
        "a.upstream: '../x' is no branch; write for example origin/main",
        "b.path: is missing; add it",
        "b.long_files.lines: is missing; add it",
        "b.long_files.include: must hold at least 1; add one",
        "b.pathe: unknown key; did you mean path?",
        "c.long_files.lines: must be at least 1; raise it",
        "c.long_files.exclude: must be a list, not text; write [...] around it",
        "c.coverage: must be text, not a number; put it in quotes",
        "d.upstream: '--all' is no branch; write for example origin/main",
        f"{path}: workspace: unknown key; did you mean workspaces?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "workspaces: is missing; add it"),
        ("workspaces: {}", "workspaces: must hold at least 1; add one"),
        (
            "workspaces: {a/b: {path: /a}}",
            "workspaces: 'a/b' is no name; use letters, digits, _, . and -, at most 64",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        read_workspaces(path, Path("/"))

    assert str(caught.value) == f"{path}: {expected}"


def test_without_a_file_there_is_nothing_to_watch() -> None:
    settings = Settings(Paths(), ManualClock(), make_parser().parse_args([]))

    with pytest.raises(ValueError) as caught:
        workspace.create(settings)

    assert str(caught.value) == (
        "the workspace collector has nothing to watch; name a file with --collector.workspace.config"
    )
    assert workspace.files(settings.flags) == []


def test_without_the_library_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("exporter.workspace.")]:
        monkeypatch.delitem(sys.modules, name)
    # what an import of an absent library does
    monkeypatch.setitem(sys.modules, "pygit2", None)
    flags = make_parser().parse_args(
        ["--collector.workspace.config", str(write(tmp_path, "workspaces: {a: {path: /a}}"))]
    )

    with pytest.raises(ValueError) as caught:
        workspace.create(Settings(Paths(), ManualClock(), flags))

    assert str(caught.value) == (
        "the workspace collector needs pygit2 (import of pygit2 halted; None in sys.modules); "
        "run pip install 'selfheal[workspace]'"
    )


def test_the_shipped_example_is_right() -> None:
    flags = make_parser().parse_args(["--collector.workspace.config", str(EXAMPLE)])

    assert workspace.files(flags) == [EXAMPLE]
    (found,) = read_workspaces(EXAMPLE, Path("/"))
    assert (found.name, found.every, found.deadline) == ("shop", 300.0, 60.0)
