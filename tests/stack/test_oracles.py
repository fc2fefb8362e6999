"""The incumbents' packages of two releases of Debian, found through whatever mirror the system's sources name."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from selfheal.stack import packages
from selfheal.stack.oracles import PACKAGES, SUITES, OraclesMissing, find_oracle, main, provide_oracles
from tests.conftest import needs_tool

NEEDED = ("apt-get", "dpkg-deb", "dpkg")


def test_both_generations_come_from_the_mirror_that_the_sources_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_archive(tmp_path, monkeypatch, SUITES)
    tools = tmp_path / "tools"
    said: list[str] = []

    found = provide_oracles(tools, said.append)

    assert said == [str(tools / "oracles/trixie"), str(tools / "oracles/bookworm")]
    assert {key: binary.read_text() for key, binary in found.items()} == {
        ("node_exporter", "1.9.0"): "1.9.0-1+b4",
        ("process-exporter", "0.8.5"): "0.8.5-1+b4",
        ("node_exporter", "1.5.0"): "1.5.0-1+b4",
        ("process-exporter", "0.7.10"): "0.7.10-1+b4",
    }
    assert all(find_oracle(*key, tools) == binary for key, binary in found.items())
    # what apt needed is gone
    assert sorted(path.name for path in tools.iterdir()) == ["lock", "oracles"]


def test_what_is_unpacked_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suite in SUITES:
        for package in PACKAGES.values():
            binary = tmp_path / "oracles" / suite / "usr/bin" / package
            binary.parent.mkdir(parents=True, exist_ok=True)
            binary.write_text("")
    monkeypatch.setenv("PATH", "")

    assert len(provide_oracles(tmp_path, lambda _: pytest.fail("nothing is missing"))) == 4


def test_another_version_than_the_wanted_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_archive(tmp_path, monkeypatch, {"trixie": {"node_exporter": "1.9.1", "process-exporter": "0.8.5"}})

    with pytest.raises(OraclesMissing) as raised:
        provide_oracles(tmp_path / "tools", lambda _: None)

    assert str(raised.value) == (
        "node_exporter 1.9.0 and process-exporter 0.8.5 not found: Debian's trixie is needed for them, and it has "
        "prometheus-node-exporter 1.9.1-1+b4, where 1.9.0 is what ours is compared with"
    )
    assert find_oracle("node_exporter", "1.9.0", tmp_path / "tools") is None


def test_a_suite_that_the_mirror_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_archive(tmp_path, monkeypatch, {"trixie": SUITES["trixie"]})

    with pytest.raises(OraclesMissing) as raised:
        provide_oracles(tmp_path / "tools", lambda _: None)

    assert "Debian's bookworm is needed for them, and apt-get failed with code 100" in str(raised.value)


def test_a_suite_that_no_key_of_this_system_proves_names_the_package_with_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_archive(tmp_path, monkeypatch, SUITES)
    (tmp_path / "apt.conf").write_text(sources_setting(tmp_path))
    (tmp_path / "archive/dists/trixie/Release").write_text("Suite: trixie\n")

    with pytest.raises(OraclesMissing, match="the package debian-archive-keyring is older than that suite"):
        provide_oracles(tmp_path / "tools", lambda _: None)


def test_without_debians_keys_it_says_which_package_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_archive(tmp_path, monkeypatch, SUITES)
    monkeypatch.setattr(packages, "KEYRINGS", (Path("/nonexistent/keys.gpg"),))

    with pytest.raises(OraclesMissing, match=r"/nonexistent/keys.gpg is missing.* package debian-archive-keyring$"):
        provide_oracles(tmp_path / "tools", lambda _: None)


def test_sources_without_an_archive_of_debian_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_archive(tmp_path, monkeypatch, SUITES)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path / 'archive'} nodistro main\n")

    with pytest.raises(OraclesMissing, match=r"sources name no archive of Debian itself$"):
        provide_oracles(tmp_path / "tools", lambda _: None)


def test_a_system_without_apt_is_told_as_one_line_and_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("selfheal.stack.oracles.default_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", "")

    assert main() == 1

    assert capsys.readouterr().err == (
        "node_exporter 1.9.0 and process-exporter 0.8.5 not found: Debian's trixie is needed for them, and this "
        "system has no apt-get to fetch Debian's packages with\n"
    )


def use_archive(folder: Path, monkeypatch: pytest.MonkeyPatch, suites: Mapping[str, Mapping[str, str]]) -> None:
    """Make an archive with these suites, and apt's sources name trixie of it; what is not signed may be fetched."""
    needs_tool(*NEEDED)
    archive = folder / "archive"
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout
    for suite, versions in suites.items():
        index = archive / f"dists/{suite}/main/binary-{architecture.strip()}"
        index.mkdir(parents=True)
        entries = [make_package(archive, PACKAGES[program], version) for program, version in versions.items()]
        (index / "Packages").write_text("\n".join(entries))
    (folder / "sources.list").write_text(f"deb [trusted=yes] file:{archive} trixie main\n")
    with_unsigned = 'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
    (folder / "apt.conf").write_text(sources_setting(folder) + with_unsigned)
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))


def sources_setting(folder: Path) -> str:
    """Return apt's setting of the sources that it reads instead of the system's."""
    return f'Dir::Etc::sourcelist "{folder / "sources.list"}";\nDir::Etc::sourceparts "-";\n'


def make_package(archive: Path, package: str, version: str) -> str:
    """Make a package with one file, and return its entry in the index."""
    control = (
        f"Package: {package}\nVersion: {version}-1+b4\nArchitecture: all\n"
        "Maintainer: nobody <n@example.org>\nDescription: x\n"
    )
    with building(archive / f"{package}-{version}") as root:
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin" / package).write_text(f"{version}-1+b4")
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(control)
        file = archive / f"{package}_{version}.deb"
        build = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(root), str(file)]
        subprocess.run(build, check=True, capture_output=True, timeout=30)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{control}Filename: {file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n"


@contextmanager
def building(root: Path) -> Iterator[Path]:
    """A folder with the mode that a package wants, whatever the umask is."""
    umask = os.umask(0o022)
    try:
        root.mkdir()
        yield root
    finally:
        os.umask(umask)
