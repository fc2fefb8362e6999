"""The door that removes files: real folders, links put in the way, borders between devices, and what is protected."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator import files
from remediator.errors import Refused
from remediator.files import File, open_root
from remediator.policy import Policy, Root
from tests.tools import do_without


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty root, by a path without links."""
    path = tmp_path.resolve() / "root"
    path.mkdir()
    return path


def permitting(*roots: Path, protected: tuple[Path, ...] = ()) -> Policy:
    """Return a policy that lists these roots."""
    return Policy(roots=tuple(Root(str(path), 0.0) for path in roots), protected=protected, source="policy.yml")


def put(path: Path, size: int = 3, age: float = 100.0) -> Path:
    """Write a file of some size that was last written `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    written = time.time() - age
    os.utime(path, (written, written))
    return path


def listed(root: Path, **options: tuple[Path, ...]) -> dict[str, File]:
    """List a root and return its files by path."""
    with open_root(str(root), permitting(root, **options)) as opened:
        return {file.path: file for file in opened.list().files}


def remove(root: Path, file: File, older_than: float = 0.0, **options: tuple[Path, ...]) -> str | None:
    """Remove one file through the door."""
    with open_root(str(root), permitting(root, **options)) as opened:
        return opened.remove(file, older_than)


def test_regular_files_are_listed_at_every_depth_with_size_age_and_inode(root: Path) -> None:
    one, two = put(root / "a", 5), put(root / "deep/er/b\n'c", 7)

    found = listed(root)

    assert set(found) == {"a", "deep/er/b\n'c"}
    assert (found["a"].size, found["a"].inode, found["a"].modified_ns) == (
        5,
        one.stat().st_ino,
        one.stat().st_mtime_ns,
    )
    assert found["deep/er/b\n'c"].inode == two.stat().st_ino


def test_a_listed_file_is_removed(root: Path) -> None:
    put(root / "deep/a")
    put(root / "deep/b")

    assert remove(root, listed(root)["deep/a"]) is None

    assert [path.name for path in root.rglob("*")] == ["deep", "b"]


def test_what_is_no_regular_file_is_not_listed_and_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = put(tmp_path / "outside/file")
    put(root / "kept")
    (root / "link").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as door, open_root(str(root), permitting(root)) as opened:
        # a socket's own path may have at most 107 bytes
        monkeypatch.chdir(root)
        door.bind("socket")
        found = opened.list()

    assert [file.path for file in found.files] == ["kept"]
    assert found.left_out == {"not a regular file": 4}


def test_a_root_that_the_policy_does_not_list_is_refused(root: Path) -> None:
    (root / "below").mkdir()

    for path in (str(root / "below"), f"{root}/", f"{root}/../root", str(root.parent), "/", ""):
        with pytest.raises(Refused, match="is not permitted"), open_root(path, permitting(root)):
            pass


def test_a_root_that_is_not_there_is_told_so(root: Path) -> None:
    root.rmdir()

    with pytest.raises(FileNotFoundError), open_root(str(root), permitting(root)):
        pass


def test_a_root_that_is_a_file_is_refused(root: Path) -> None:
    root.rmdir()
    put(root)

    with (
        pytest.raises(Refused, match="'root' on the way is a link or no folder"),
        open_root(str(root), permitting(root)),
    ):
        pass


@pytest.mark.parametrize("place", ["the root itself", "above the root"])
def test_a_link_on_the_way_to_the_root_is_refused(root: Path, tmp_path: Path, place: str) -> None:
    real = tmp_path.resolve() / "real"
    put(real / "below/file")
    (tmp_path / "way").symlink_to(real if place == "above the root" else real / "below")
    path = tmp_path.resolve() / ("way/below" if place == "above the root" else "way")

    with pytest.raises(Refused, match="'way' on the way is a link"), open_root(str(path), permitting(path)):
        pass


def test_a_folder_swapped_for_a_link_since_the_listing_is_refused(root: Path, tmp_path: Path) -> None:
    put(root / "folder/file")
    file = listed(root)["folder/file"]
    (root / "folder").rename(tmp_path / "moved")
    (root / "folder").symlink_to(tmp_path / "moved")

    with pytest.raises(Refused, match="'folder' on the way is a link"):
        remove(root, file)

    # the very same inode, but reached through a link
    assert (tmp_path / "moved/file").exists()


def test_a_file_swapped_for_a_link_since_the_listing_is_left_alone(root: Path, tmp_path: Path) -> None:
    put(root / "file")
    file = listed(root)["file"]
    (root / "file").rename(tmp_path / "moved")
    (root / "file").symlink_to(tmp_path / "moved")

    assert remove(root, file) == "is another file now"

    assert (root / "file").is_symlink()
    assert (tmp_path / "moved").exists()


def test_a_file_replaced_or_written_or_younger_than_wanted_is_left_alone(root: Path) -> None:
    for name in ("replaced", "written", "young"):
        put(root / name)
    found = listed(root)
    put(root / "new").rename(root / "replaced")
    put(root / "written", size=4)

    assert remove(root, found["replaced"]) == "is another file now"
    assert remove(root, found["written"]) == "was written since"
    assert remove(root, found["young"], older_than=200.0) == "is too young"
    assert remove(root, found["young"], older_than=50.0) is None
    assert {path.name for path in root.iterdir()} == {"replaced", "written"}


def test_a_file_that_is_gone_is_told_so(root: Path) -> None:
    put(root / "folder/file")
    file = listed(root)["folder/file"]
    (root / "folder/file").unlink()

    with pytest.raises(FileNotFoundError):
        remove(root, file)

    (root / "folder").rmdir()

    with pytest.raises(FileNotFoundError):
        remove(root, file)


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd", "", ".", "a//b", "./a", "a/", "a\0b"])
def test_a_path_that_leaves_the_root_is_refused(root: Path, tmp_path: Path, path: str) -> None:
    outside = put(tmp_path.resolve() / "outside")
    put(root / "a/b")
    found = outside.stat()

    with pytest.raises(Refused, match="is not a plain path below its root"):
        remove(root, File(path, found.st_size, found.st_mtime_ns, found.st_ino))

    assert outside.exists()


@pytest.mark.parametrize("protected", ["root", "root/inside", "root/inside/not/there/yet", ".", "root/file"])
def test_a_root_in_above_or_at_something_protected_is_refused(root: Path, tmp_path: Path, protected: str) -> None:
    put(root / "file")
    (root / "inside").mkdir()

    with pytest.raises(Refused, match="protected"):
        listed(root, protected=(tmp_path.resolve() / protected,))


def test_a_root_beside_something_protected_is_not_refused(root: Path, tmp_path: Path) -> None:
    put(root / "file")

    assert set(listed(root, protected=(tmp_path / "root2", tmp_path / "roo", tmp_path / "not/there"))) == {"file"}


def test_something_protected_is_recognised_through_a_link(root: Path, tmp_path: Path) -> None:
    (root / "store").mkdir()
    (tmp_path / "store").symlink_to(root / "store")

    with pytest.raises(Refused, match="protected"):
        listed(root, protected=(tmp_path / "store",))


def test_a_protected_file_with_a_second_name_below_the_root_is_left_alone(root: Path, tmp_path: Path) -> None:
    store = put(tmp_path / "store.db")
    (root / "also").hardlink_to(store)

    file = listed(root)["also"]

    assert remove(root, file, protected=(store,)) == "is protected"
    assert (root / "also").exists()


def test_a_folder_on_another_mount_is_not_entered() -> None:
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    below = [Path(mount) for mount in sorted(mounts, reverse=True) if mount.count("/") > 1]
    inner = next(mount for mount in below if str(mount.parent) not in mounts)
    folder, name = inner.parent, inner.name

    # only read: nothing is removed
    with open_root(str(folder), permitting(folder)) as opened:
        with pytest.raises(Refused, match=f"'{name}' lies on another mount than its root"):
            opened.remove(File(f"{name}/x", 1, 1, 1), 0.0)
        found = opened.list()

    assert not [one for one in found.files if one.path.startswith(f"{name}/")]
    assert found.left_out["on another device"] >= 1


def test_a_file_mounted_from_another_device_is_left_alone(root: Path, tmp_path: Path) -> None:
    wrapped = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*wrapped, "true"], capture_output=True).returncode:
        do_without("this user may make no mount namespace here")
    put(root / "plain")
    put(root / "mounted")
    (root / "folder").mkdir()
    code = (
        "import sys\nfrom remediator.files import open_root\nfrom remediator.policy import Policy, Root\n"
        "with open_root(sys.argv[1], Policy(roots=(Root(sys.argv[1], 0.0),))) as opened:\n"
        "    found = opened.list(); print([file.path for file in found.files], found.left_out)\n"
    )
    mounts = 'mount -t tmpfs none "$1/folder" && touch "$1/folder/x" && mount --bind /dev/null "$1/plain"'
    script = f'{mounts} && exec "$2" -c "$3" "$1"'

    told = subprocess.run(
        [*wrapped, "sh", "-c", script, "sh", root, sys.executable, code], capture_output=True, text=True, timeout=30
    )

    assert told.stdout.strip() == "['mounted'] {'on another device': 1, 'not a regular file': 1}", told.stderr


def test_a_name_that_is_no_text_is_left_out_and_counted(root: Path) -> None:
    put(root / "fine")
    (root / os.fsdecode(b"\xff\xfe")).touch()

    with open_root(str(root), permitting(root)) as opened:
        found = opened.list()

    assert [file.path for file in found.files] == ["fine"]
    assert found.left_out == {"name is not UTF-8": 1}


def test_a_chain_of_folders_that_is_too_deep_is_left_out_and_counted(root: Path) -> None:
    folder = root
    for _ in range(files.DEEPEST + 5):
        folder = folder / "d"
    put(folder / "deep")
    put(root / "flat")

    with open_root(str(root), permitting(root)) as opened:
        found = opened.list()

    assert [file.path for file in found.files] == ["flat"]
    assert found.left_out == {f"deeper than {files.DEEPEST} folders": 1}


def test_only_so_many_entries_are_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 10)
    for number in range(30):
        put(root / f"{number}")

    with open_root(str(root), permitting(root)) as opened:
        found = opened.list()

    assert len(found.files) == 10
    assert found.left_out == {"after the first 10 entries": 1}


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Check that a test leaves no file open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.usefixtures("descriptors")
def test_nothing_stays_open_whatever_happens(root: Path, tmp_path: Path) -> None:
    put(root / "a/b/file")
    (root / "link").symlink_to(tmp_path)
    found = listed(root)["a/b/file"]

    for path in ("link/file", "a/none/file", "a/b/file/c"):
        with pytest.raises((Refused, FileNotFoundError)):
            remove(root, File(path, 1, 1, 1))
    with pytest.raises(Refused):
        listed(root, protected=(root,))
    assert remove(root, found) is None
