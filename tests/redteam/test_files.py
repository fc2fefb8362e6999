"""Red team at the door that removes files: swaps while it works, second mounts, second names, and no files at all."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.files import File, open_root
from remediator.policy import Policy, Refusal, Root
from remediator.policy.protected import monitoring_folders
from tests.redteam.policies import apart

SWAPS = 60
"""Removals tried against a thread that swaps all the while."""


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a folder, by a path without links, with a root to clean and a treasure beside it."""
    path = tmp_path.resolve()
    (path / "root/sub").mkdir(parents=True)
    (path / "treasure").mkdir()
    (path / "treasure/file").write_text("gold")
    return path


def permitting(root: Path, **more: object) -> Policy:
    return Policy(roots=(Root(str(root), 0.0),), source="policy.yml", **more)  # type: ignore[arg-type]


@contextmanager
def swapping(swap: Callable[[], None]) -> Iterator[None]:
    """Do `swap` again and again while the block runs."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            swap()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def clean(root: Path) -> None:
    """Remove everything the door lists, as an action does; what is refused or gone is left."""
    with open_root(str(root), permitting(root)) as opened:
        for file in opened.list().files:
            try:
                opened.remove(file, 0.0)
            except (Refused, FileNotFoundError):
                continue


def test_a_folder_swapped_for_a_link_while_the_door_works_leads_nowhere(top: Path) -> None:
    sub, away = top / "root/sub", top / "away"
    link = top / "link"
    link.symlink_to(top / "treasure")
    turns = 0

    def swap() -> None:
        nonlocal turns
        sub.rename(away)
        link.rename(sub)
        turns += 1
        sub.rename(link)
        away.rename(sub)

    with swapping(swap):
        while turns < 1:
            os.sched_yield()
        for _ in range(SWAPS):
            try:
                (sub / "file").write_text("dross")
            except OSError:
                # it is away, or a link into the treasure, right now
                (top / "treasure/file").write_text("gold")
            try:
                clean(top / "root")
            except (Refused, FileNotFoundError):
                continue

    assert turns > 1
    assert (top / "treasure/file").exists()


def test_a_root_swapped_for_a_link_while_the_door_works_leads_nowhere(top: Path) -> None:
    root, away, link = top / "root", top / "away", top / "link"
    link.symlink_to(top / "treasure")
    refused = 0

    def swap() -> None:
        root.rename(away)
        link.rename(root)
        root.rename(link)
        away.rename(root)

    with swapping(swap):
        for _ in range(SWAPS):
            try:
                clean(root)
            except (Refused, FileNotFoundError):
                refused += 1

    assert (top / "treasure/file").read_text() == "gold"


def test_a_file_swapped_for_another_after_it_was_listed_is_left_alone(top: Path) -> None:
    target = top / "root/file"
    target.write_text("old")
    with open_root(str(top / "root"), permitting(top / "root")) as opened:
        (file,) = opened.list().files
        (top / "new").write_text("new")
        (top / "new").rename(target)

        assert opened.remove(file, 0.0) == "is another file now"

    assert target.read_text() == "new"


def test_a_hard_link_to_something_precious_costs_only_the_link(top: Path) -> None:
    (top / "root/also").hardlink_to(top / "treasure/file")

    clean(top / "root")

    assert not (top / "root/also").exists()
    assert (top / "treasure/file").read_text() == "gold"


def test_a_hard_link_to_something_protected_is_left_alone(top: Path) -> None:
    (top / "root/also").hardlink_to(top / "treasure/file")
    policy = permitting(top / "root", protected=(top / "treasure/file",))
    with open_root(str(top / "root"), policy) as opened:
        (file,) = opened.list().files

        assert opened.remove(file, 0.0) == "is protected"


def test_what_is_no_regular_file_is_neither_opened_nor_removed(top: Path) -> None:
    root = top / "root"
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to(top / "treasure/file")
    (root / "dangling").symlink_to(top / "nowhere")
    made = 3
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.open(root, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        made += 1
        if os.geteuid() == 0:
            try:
                os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 3))
                made += 1
            except PermissionError:
                # root of a container that may make none
                pass

        with open_root(str(root), permitting(root)) as opened:
            listing = opened.list()
            for name in ("pipe", "link", "dangling", "socket"):
                seen = (root / name).lstat()
                fake = File(name, seen.st_size, seen.st_mtime_ns, seen.st_ino)
                assert opened.remove(fake, 0.0) == "is another file now"

    assert listing.files == []
    assert listing.left_out == {"not a regular file": made}
    assert len(list(root.iterdir())) == made + 1


@pytest.mark.parametrize("place", ["/", "/proc", "/dev", "/dev/shm"])
def test_the_top_of_a_file_system_is_no_root(place: str) -> None:
    heard: list[Refusal] = []
    policy = permitting(Path(place), heard=heard.append)

    # listed in code: the policy's file refuses most of these already
    with pytest.raises(Refused, match=f"root {place} is the top of a file system"), open_root(place, policy):
        pass
    assert [refusal.door.value for refusal in heard] == ["files"]


MOUNTED = """
import sys
from pathlib import Path
from remediator.errors import Refused
from remediator.files import File, open_root
from remediator.policy import Policy, Root
import subprocess
top = Path(sys.argv[1])
# the same device a second time: only the mount tells them apart
subprocess.run(["mount", "--bind", top / "treasure", top / "root/sub"], check=True)
policy = Policy(roots=(Root(str(top / "root"), 0.0), Root(str(top / "root/sub"), 0.0)))
seen = (top / "treasure/file").stat()
with open_root(str(top / "root"), policy) as opened:
    listing = opened.list()
    print([file.path for file in listing.files], listing.left_out)
    try: print(opened.remove(File("sub/file", seen.st_size, seen.st_mtime_ns, seen.st_ino), 0.0))
    except Refused as error: print(error.detail)
try:
    with open_root(str(top / "root/sub"), policy): print("opened")
except Refused as error: print(error.detail)
"""


def test_a_folder_mounted_a_second_time_below_a_root_is_not_entered(top: Path) -> None:
    (top / "root/file").write_text("dross")

    told = apart(MOUNTED, str(top)).stdout.splitlines()

    assert told == [
        "['file'] {'on another device': 1}",
        "folder 'sub' lies on another mount than its root",
        f"root {top}/root/sub is the top of a file system; choose a folder below it",
    ]
    assert (top / "treasure/file").exists()


def put(procfs: Path, pid: int, argv: list[str], folder: Path) -> None:
    """Write one process into a made proc tree."""
    (procfs / str(pid)).mkdir(parents=True)
    (procfs / str(pid) / "cmdline").write_text("\0".join(argv) + "\0")
    (procfs / str(pid) / "cwd").symlink_to(folder)


@pytest.mark.parametrize(
    ("argv", "protected"),
    [
        (["/usr/bin/prometheus", "--storage.tsdb.path=TOP/root/sub"], ["TOP/root/sub"]),
        (["prometheus", "--storage.tsdb.path", "TOP/root"], ["TOP/root"]),
        (["prometheus", "--storage.tsdb.path=root/sub", "--config.file=p.yml"], ["TOP/root/sub", "TOP/p.yml"]),
        (["alertmanager"], ["TOP/data"]),
        (["/x/alertmanager", "--storage.path=/elsewhere"], ["/elsewhere"]),
        (["worker", "--storage.path=TOP/root"], []),
    ],
)
def test_the_data_of_a_prometheus_that_runs_is_protected_wherever_it_lies(
    top: Path, argv: list[str], protected: list[str]
) -> None:
    procfs = top / "proc"
    put(procfs, 7, [part.replace("TOP", str(top)) for part in argv], top)

    found = [Path(path.replace("TOP", str(top))) for path in protected]

    assert list(monitoring_folders(procfs)) == found
    policy = permitting(top / "root", procfs=procfs)
    if any(path.is_relative_to(top / "root") for path in found):
        with pytest.raises(Refused, match=r"is protected|which is protected"), open_root(str(top / "root"), policy):
            pass
    else:
        with open_root(str(top / "root"), policy) as opened:
            assert opened.inode


@pytest.mark.parametrize(
    "path", ["../treasure/file", "sub/../../treasure/file", "/etc/passwd", "", "sub//x", "./x", "a\0b"]
)
def test_a_path_that_leaves_its_root_is_refused_and_heard(top: Path, path: str) -> None:
    heard: list[Refusal] = []
    policy = permitting(top / "root", heard=heard.append)
    with (
        open_root(str(top / "root"), policy) as opened,
        pytest.raises(Refused, match="is not a plain path below its root"),
    ):
        opened.remove(File(path, 4, 0, 0), 0.0)

    assert (top / "treasure/file").exists()
    assert [refusal.door.value for refusal in heard] == ["files"]


def test_an_empty_root_or_none_is_nothing_and_never_all(top: Path) -> None:
    shutil.rmtree(top / "root/sub")
    with open_root(str(top / "root"), permitting(top / "root")) as opened:
        assert opened.list().files == []
    for path in ("", "/", ".", str(top), f"{top}/root/", f"{top}/root\N{ZERO WIDTH SPACE}"):
        with pytest.raises(Refused, match="is not permitted"), open_root(path, permitting(top / "root")):
            pass
