"""A procfs and a sysfs of garbage: whatever stands there, the whole page comes and can be read."""

from __future__ import annotations

import argparse
import io
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_fd_to_metric_families as read_plain

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import encode, encode_open
from exporter.paths import Paths
from exporter.registry import Collect, Registry
from exporter.settings import Settings
from selfheal.common.clock import SystemClock
from tests.exporter.trees import FIXTURES, GROUPS, PROCFS, ROOTFS

ORACLE = FIXTURES / "oracle"
# what it asks is a bus, not a tree
ELSEWHERE = {"systemd"}


class Tree:
    """A copy of a captured tree that may be broken, and every file in it as it was."""

    def __init__(self, paths: Paths, files: Sequence[Path]) -> None:
        self.paths = paths
        self.files = tuple((path, path.read_bytes()) for path in files)

    def __repr__(self) -> str:
        return f"<tree {self.paths.procfs.parent.name}>"

    def restore(self) -> None:
        """Put everything back."""
        for path, content in self.files:
            if path.is_dir():
                path.rmdir()
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)


def copy(folder: Path, procfs: Path, sysfs: Path, rootfs: Path) -> Tree:
    """Copy the three parts of a tree, those of them that there are."""
    parts = []
    for name, source in (("proc", procfs), ("sys", sysfs), ("root", rootfs)):
        parts.append(folder / name)
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        else:
            (folder / name).mkdir(parents=True)
    # no link is followed: nothing but the copy may ever be broken
    walked = (Path(folder, name) for part in parts for folder, _, names in os.walk(part) for name in names)
    found = sorted(path for path in walked if path.is_file() and not path.is_symlink())
    for path in found:
        path.chmod(0o644)
    return Tree(Paths(*parts), found)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Tree]:
    """Every captured tree."""
    folder = tmp_path_factory.mktemp("trees")
    made = [copy(folder / "own", PROCFS, Path("none"), ROOTFS)]
    for source in sorted(path for path in ORACLE.iterdir() if path.is_dir()):
        made.append(copy(folder / source.name, source / "proc", source / "sys", source / "root"))
    return made


def built(paths: Paths, flags: argparse.Namespace) -> dict[str, Collect]:
    """Build every collector that needs no file of its own."""
    found: dict[str, Collect] = {}
    for name in sorted(set(COLLECTORS) - ELSEWHERE):
        try:
            found[name] = COLLECTORS[name].create(Settings(paths, SystemClock(), flags))
        except ValueError:
            assert getattr(COLLECTORS[name], "files", None) is not None, f"{name} refuses a tree"
    return found


def parse(registry: Registry) -> int:
    """Read the page in both forms with the reference parsers; return how many series it has."""
    plain, form = registry.page(None, encode).decode(), registry.page(None, encode_open).decode()
    for _ in read_open(form):
        pass
    return sum(len(family.samples) for family in read_plain(io.StringIO(plain, newline="\n")))


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keep no lines about failures, of which there are many."""
    with caplog.at_level(logging.CRITICAL):
        yield


GARBAGE = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet="0123456789-+.eEx \n\t:|,()[]%kKB\0\udcff", max_size=200).map(
        lambda text: text.encode("utf-8", "surrogateescape")
    ),
    st.sampled_from([b"", b"\n", b" ", b"-1", b"nan", b"inf", b"9" * 400, b"a b c\n" * 50, b"\xff" * 64]),
)
CHANGES = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=9_999),
        st.sampled_from(["replace", "cut", "insert", "remove", "folder"]),
        GARBAGE,
        st.floats(min_value=0, max_value=1),
    ),
    min_size=1,
    max_size=12,
)


def change(path: Path, how: str, garbage: bytes, place: float) -> None:
    """Break one file."""
    if not path.is_file():
        return
    content = path.read_bytes()
    at = int(len(content) * place)
    match how:
        case "replace":
            path.write_bytes(garbage)
        case "cut":
            path.write_bytes(content[:at])
        case "insert":
            path.write_bytes(content[:at] + garbage + content[at:])
        case "remove":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()


# the files that hold much of a page, and are broken more often than those of one value
LARGE = 80


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(which=st.integers(min_value=0, max_value=9_999), changes=CHANGES, between=st.booleans())
@pytest.mark.usefixtures("quiet")
def test_the_page_always_comes_and_parses(
    trees: list[Tree], which: int, changes: list[tuple[int, str, bytes, float]], between: bool
) -> None:
    tree = trees[which % len(trees)]
    flags = make_parser().parse_args([f"--config.path={GROUPS}"])
    large = [path for path, content in tree.files if len(content) >= LARGE] or [path for path, _ in tree.files]
    try:
        registry = Registry(built(tree.paths, flags), SystemClock())
        if between:
            # what was read before must not be in the way of what is read now
            parse(registry)
        for number, (index, how, garbage, place) in enumerate(changes):
            files = large if number % 2 == 0 else [path for path, _ in tree.files]
            change(files[index % len(files)], how, garbage, place)
        if not between:
            registry = Registry(built(tree.paths, flags), SystemClock())
        assert parse(registry) > 50
    finally:
        tree.restore()
        registry.close()


def test_the_trees_are_sound_before_they_are_broken(trees: list[Tree]) -> None:
    flags = make_parser().parse_args([f"--config.path={GROUPS}"])
    counts = []
    for tree in trees:
        registry = Registry(built(tree.paths, flags), SystemClock())
        counts.append(parse(registry))
        registry.close()

    assert len(counts) >= 5
    assert min(counts) > 100
    assert max(counts) > 400
