"""Finding Prometheus and Alertmanager: on PATH, else from Debian's packages without root and without system lists."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.rig import free_port
from selfheal.stack.tools import COMPILED_IN, NAMES, RELATIVE, Tool, ToolsMissing, find, patch, provide
from tests.stack.support import http_status, wait_until
from tests.tools import tool

NOBODY = 65534


def test_the_relative_path_has_the_length_of_the_compiled_in_one() -> None:
    assert len(RELATIVE) == len(COMPILED_IN)
    assert not RELATIVE.startswith(b"/")


def test_a_patched_copy_has_every_place_replaced_and_stays_executable(tmp_path: Path) -> None:
    binary = tmp_path / "alertmanager"
    binary.write_bytes(b"\x7fELF" + COMPILED_IN + b"/alertmanager" + b"\x00\xff" + COMPILED_IN + b"/x" + b"end")

    changed = patch(binary)

    assert changed == 2
    assert binary.read_bytes() == b"\x7fELF" + RELATIVE + b"/alertmanager" + b"\x00\xff" + RELATIVE + b"/x" + b"end"
    assert os.access(binary, os.X_OK)
    assert list(tmp_path.iterdir()) == [binary]


def test_binaries_on_path_are_preferred_and_never_touched(tmp_path: Path) -> None:
    on_path = _fake_binaries(tmp_path / "bin", ["prometheus", "promtool", "alertmanager", "amtool"])
    _fake_binaries(tmp_path / "tools/debian/usr/bin", ["prometheus", "promtool", "prometheus-alertmanager", "amtool"])
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in on_path}

    found = provide(tmp_path / "tools", _never_said, search_path=str(tmp_path / "bin"))

    assert found == {name: Tool(name, tmp_path / "bin" / name, None) for name in NAMES}
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in on_path} == before


def test_debians_name_of_alertmanager_on_path_is_found(tmp_path: Path) -> None:
    _fake_binaries(tmp_path / "bin", ["prometheus-alertmanager"])

    found = find("alertmanager", tmp_path / "tools", search_path=str(tmp_path / "bin"))

    assert found == Tool("alertmanager", tmp_path / "bin/prometheus-alertmanager", None)


def test_what_path_lacks_is_taken_from_the_unpacked_packages_with_their_root_as_folder(tmp_path: Path) -> None:
    _fake_binaries(tmp_path / "bin", ["prometheus"])
    _fake_binaries(tmp_path / "tools/debian/usr/bin", ["prometheus", "promtool", "prometheus-alertmanager", "amtool"])

    found = provide(tmp_path / "tools", _never_said, search_path=str(tmp_path / "bin"))

    root = tmp_path / "tools/debian"
    assert found["prometheus"] == Tool("prometheus", tmp_path / "bin/prometheus", None)
    assert found["alertmanager"] == Tool("alertmanager", root / "usr/bin/prometheus-alertmanager", root)


def test_without_apt_it_says_what_to_put_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_binaries(tmp_path / "bin", ["prometheus", "promtool"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(ToolsMissing) as raised:
        provide(tmp_path / "tools", _never_said)

    assert str(raised.value) == (
        "alertmanager, amtool not found: this system has no apt-get to fetch Debian's packages with; "
        "put prometheus, promtool, alertmanager and amtool on PATH (https://prometheus.io/download/ has them)"
    )
    assert not (tmp_path / "tools").exists()


def test_packages_are_unpacked_without_root_and_without_system_lists() -> None:
    _need("apt-get", "dpkg-deb")
    with _folder_for_nobody() as folder:
        environment = _repository(folder, ("prometheus", "prometheus-alertmanager"))
        lists_before = _system_state()

        done = _provide_as_nobody(folder, environment)

        assert done.returncode == 0, done.stderr
        root = folder / "tools/debian"
        assert (root / "usr/bin/prometheus-alertmanager").read_bytes().count(RELATIVE) == 1
        assert (root / "usr/bin/prometheus").read_bytes().count(COMPILED_IN) == 0
        assert (root / "usr/share/prometheus/web/inside").readlink() == Path("../../doc/prometheus/copyright")
        assert (root / "usr/share/prometheus/web/outside").readlink() == Path("/usr/share/not-there")
        # what apt needed is gone, and nothing of the system was written
        assert sorted(path.name for path in (folder / "tools").iterdir()) == ["debian", "lock"]
        assert _system_state() == lists_before
        assert done.stdout.split() == [str(root), "alertmanager", "amtool", "prometheus", "promtool"]


def test_a_package_that_apt_cannot_find_is_told_in_apts_words_and_leaves_nothing_half_done() -> None:
    _need("apt-get", "dpkg-deb")
    with _folder_for_nobody() as folder:
        environment = _repository(folder, ("prometheus",))

        done = _provide_as_nobody(folder, environment)

        assert done.returncode == 1
        assert "Unable to locate package prometheus-alertmanager" in done.stderr
        assert "put prometheus, promtool, alertmanager and amtool on PATH" in done.stderr
        assert [path.name for path in (folder / "tools").iterdir()] == ["lock"]


def test_a_source_that_cannot_be_reached_is_told_as_the_reason() -> None:
    _need("apt-get", "dpkg-deb")
    with _folder_for_nobody() as folder:
        environment = _repository(folder, ())
        (folder / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{free_port()}/ ./\n")
        with (folder / "apt.conf").open("a") as settings:
            # a proxy would answer for it
            settings.write('Acquire::http::Proxy "DIRECT";\n')

        done = _provide_as_nobody(folder, environment)

        assert done.returncode == 1
        assert "Unable to locate package prometheus" in done.stderr
        assert "(W: Failed to fetch http://127.0.0.1:" in done.stderr
        assert "Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("name", "page"), [("alertmanager", "/"), ("prometheus", "/graph"), ("prometheus", "/classic/graph")]
)
def test_the_real_binaries_answer_and_show_their_pages(name: str, page: str, tmp_path: Path) -> None:
    found = tool(name)
    port = free_port()
    config = tmp_path / "config.yml"
    if name == "prometheus":
        config.write_text("global: {}\n")
        store = "--storage.tsdb.path"
    else:
        config.write_text("{route: {receiver: people}, receivers: [{name: people}]}\n")
        store = "--storage.path"
    argv = [str(found.path), f"--config.file={config}", f"{store}={tmp_path / 'data'}"]
    argv.append(f"--web.listen-address=127.0.0.1:{port}")
    if name == "alertmanager":
        argv.append("--cluster.listen-address=")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=found.folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: http_status(f"http://127.0.0.1:{port}/-/ready") == 200, 30)

        assert http_status(f"http://127.0.0.1:{port}{page}") == 200
    finally:
        process.kill()
        process.wait()


def _never_said(folder: str) -> None:
    raise AssertionError(f"nothing is to be unpacked, but {folder} was")


def _fake_binaries(folder: Path, names: list[str]) -> list[Path]:
    folder.mkdir(parents=True)
    files = [folder / name for name in names]
    for file in files:
        file.write_bytes(b"#!/bin/sh\n# " + COMPILED_IN + b"\n")
        file.chmod(0o755)
    return files


def _need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} not found")
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: not a Debian system")


@contextmanager
def _folder_for_nobody() -> Iterator[Path]:
    """A folder that an unprivileged user can reach, which pytest's own is not when root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="selfheal-tools-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tools").mkdir()
        if os.geteuid() == 0:
            os.chown(folder / "tools", NOBODY, NOBODY)
        yield folder


def _repository(folder: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Make a package repository with small packages of those names; return the environment that apt uses it in."""
    binaries = {
        "prometheus": ("prometheus", "promtool"),
        "prometheus-alertmanager": ("prometheus-alertmanager", "amtool"),
    }
    repository = folder / "repository"
    repository.mkdir()
    index = ""
    for package in packages:
        root = folder / "build" / package
        _fake_binaries(root / "usr/bin", list(binaries[package]))
        share = root / "usr/share/prometheus/web"
        if package == "prometheus":
            share.mkdir(parents=True)
            (root / "usr/share/doc/prometheus").mkdir(parents=True)
            (root / "usr/share/doc/prometheus/copyright").write_text("free\n")
            (share / "inside").symlink_to("/usr/share/doc/prometheus/copyright")
            (share / "outside").symlink_to("/usr/share/not-there")
        (root / "DEBIAN").mkdir()
        control = (
            f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: x\n"
        )
        (root / "DEBIAN/control").write_text(control)
        file = repository / f"{package}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", root, file], check=True, capture_output=True, timeout=30
        )
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        index += f"{control}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n\n"
    (repository / "Packages").write_text(index)
    sources = folder / "sources.list"
    sources.write_text(f"deb [trusted=yes] file:{repository} ./\n")
    settings = folder / "apt.conf"
    settings.write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n')
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "APT_CONFIG": str(settings), "HOME": "/nonexistent"}


def _provide_as_nobody(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # everything is imported before the user changes: the interpreter may lie where nobody cannot look
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from selfheal.stack.tools import ToolsMissing, provide\n"
        "if os.geteuid() == 0:\n"
        f"    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try:\n"
        "    print(*sorted(provide(Path(sys.argv[1]), print, search_path='/nowhere')))\n"
        "except ToolsMissing as error:\n"
        "    sys.exit(str(error))\n"
    )
    return subprocess.run(
        [sys.executable, "-B", "-c", code, str(folder / "tools")],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def _system_state() -> dict[str, int]:
    folders = [Path("/var/lib/apt/lists"), Path("/var/cache/apt/archives"), Path("/var/lib/dpkg")]
    files = [file for folder in folders if folder.is_dir() for file in [folder, *folder.iterdir()]]
    return {str(file): file.lstat().st_mtime_ns for file in files}
