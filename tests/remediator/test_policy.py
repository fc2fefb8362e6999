"""The policy file: read strictly, every fault at once, and denying whatever is not certain."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.policy import Command, Root, overlap
from remediator.policy_file import load_policy
from selfheal.common.problems import ConfigError
from selfheal.common.processes import Process, boot_id

PROC = Path("/proc")

WHOLE = """
process_groups: ["worker-*", db]
roots:
  /var/tmp/app: {older_than: 1d, keep: 3}
commands:
  web: {start: [/opt/web, start], stop: [/opt/web, stop], status: [/opt/web, status], timeout: 10s}
"""


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a policy that only its owner may write."""
    path.write_text(text)
    path.chmod(mode)
    return path


def process(pid: int = 4242, start_ticks: int = 77) -> Process:
    """Return a process as it might have been read."""
    return Process(pid, start_ticks, 0, 1, "worker", ("worker",), "worker", "S", 0, 0)


def identities(path: Path, *pairs: tuple[int, int], boot: str | None = None) -> Path:
    """Write a file of recorded identities."""
    entries = [{"pid": pid, "start_ticks": ticks, "group": "x"} for pid, ticks in pairs]
    return write(path, json.dumps({"boot_id": boot or boot_id(PROC), "processes": entries}))


def test_a_whole_policy_is_read(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE), (tmp_path / "store",))

    assert policy.process_groups == ("worker-*", "db")
    assert policy.root("/var/tmp/app") == Root("/var/tmp/app", 86_400.0, 3)
    command = Command("web", ("/opt/web", "start"), ("/opt/web", "stop"), ("/opt/web", "status"), 10.0)
    assert policy.command("web", "stop") == command
    assert policy.command("web").argv("status") == ("/opt/web", "status")
    assert policy.protected == (tmp_path / "policy.yml", tmp_path / "store")
    assert policy.problem is None


@pytest.mark.parametrize("text", ["", "{}", "process_groups: []"])
def test_nothing_listed_is_nothing_permitted(tmp_path: Path, text: str) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", text))

    assert "not permitted" in (policy.may_signal(process(), "worker-a") or "")
    with pytest.raises(Refused, match="root '/var/tmp/app' is not permitted; list it under roots"):
        policy.root("/var/tmp/app")
    with pytest.raises(Refused, match="service 'web' is not permitted; name it under commands"):
        policy.command("web", "start")


@pytest.mark.parametrize(
    ("group", "allowed"),
    [
        ("worker-a", True),
        ("worker-", True),
        ("db", True),
        ("worker", False),
        ("a-worker-a", False),
        ("Worker-a", False),
        ("dbx", False),
        ("", False),
        (None, False),
    ],
)
def test_a_group_is_permitted_by_its_whole_name(tmp_path: Path, group: str | None, allowed: bool) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE))

    assert (policy.may_signal(process(), group) is None) is allowed


@pytest.mark.parametrize(
    "path", ["/var/tmp/app/", "/var/tmp/app/x", "/var/tmp", "/var/tmp/../tmp/app", "", "var/tmp/app"]
)
def test_a_root_is_permitted_only_as_it_is_written(tmp_path: Path, path: str) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE))

    with pytest.raises(Refused, match="is not permitted"):
        policy.root(path)


def test_a_verb_that_no_service_has_is_refused(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE))

    with pytest.raises(Refused, match="web has no command 'timeout'; there are start, stop, status"):
        policy.command("web", "timeout")


def test_every_fault_is_told_at_once_with_file_path_and_remedy(tmp_path: Path) -> None:
    path = write(
        tmp_path / "policy.yml",
        """
process_group: [a]
process_groups: worker
roots:
  relative: {older_than: 1d}
  /etc: {older_than: 1d}
  /proc/sys/x: {older_than: 1d}
  /var/tmp/../x: {older_than: 1d}
  /var/tmp/app: {older_than: 5, keep: -1}
  /var/tmp/bare: {}
commands:
  web: {start: [web], stop: [], status: "/opt/web status"}
""",
    )

    with pytest.raises(ConfigError) as raised:
        load_policy(path)

    found = {problem.path: str(problem).removeprefix(f"{path}: {problem.path}: ") for problem in raised.value.problems}
    by_part = {part: text for place, text in found.items() for part in [place.replace(".[key]", "")]}
    assert by_part["process_group"] == "unknown key; did you mean process_groups?"
    assert by_part["process_groups"].startswith("must be a list of group names")
    assert by_part["commands.web.start"] == "starts the program 'web'; write its absolute path"
    assert by_part["commands.web.stop"].startswith("is empty; write the program and its arguments")
    assert by_part["commands.web.status"].startswith("must be a list of a program and its arguments")
    assert by_part["roots./var/tmp/app.older_than"].startswith("must be a duration")
    assert by_part["roots./var/tmp/app.keep"] == "must be at least 0; raise it"
    assert by_part["roots./var/tmp/bare.older_than"] == "is missing; add it"
    assert "plain absolute path" in by_part["roots.relative"]
    assert "plain absolute path" in by_part["roots./var/tmp/../x"]
    assert "folder of the system" in by_part["roots./etc"]
    assert "folder of the system" in by_part["roots./proc/sys/x"]
    assert all(problem.remedy for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"process_groups: [", "policy.yml"),
        (b"[]", "must be a mapping"),
        (b"process_groups: [a]\nprocess_groups: [b]", "stands here twice"),
        (b"#" * (1 << 20) + b"#", "is larger than"),
    ],
    ids=["not text", "not YAML", "a list", "a key twice", "huge"],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "policy.yml"
    path.write_bytes(data)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match=what):
        load_policy(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(tmp_path / "policy.yml")


@pytest.mark.parametrize(("mode", "denies"), [(0o600, False), (0o644, False), (0o620, True), (0o602, True)])
def test_a_file_that_others_may_write_denies_everything(tmp_path: Path, mode: int, denies: bool) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE, mode))

    assert (policy.may_signal(process(), "worker-a") is not None) is denies
    if denies:
        assert policy.problem is not None
        assert policy.problem.remedy == f"run chmod 600 {tmp_path / 'policy.yml'}"
        with pytest.raises(Refused, match="can be written by others"):
            policy.root("/var/tmp/app")
        with pytest.raises(Refused, match="can be written by others"):
            policy.command("web", "start")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_another_user_owns_denies_everything(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.yml", WHOLE)
    os.chown(path, 65_534, 65_534)

    assert "is owned by uid 65534" in (load_policy(path).may_signal(process(), "worker-a") or "")


def test_identities_narrow_the_groups_and_are_read_anew_each_time(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE + "identities: ids.json\n"))
    recorded = identities(tmp_path / "ids.json", (1, 1), (4242, 77))

    assert policy.may_signal(process(), "worker-a") is None
    assert "start time 78 is not recorded" in (policy.may_signal(process(4242, 78), "worker-a") or "")
    assert "pid 4243" in (policy.may_signal(process(4243, 77), "worker-a") or "")
    assert "not permitted" in (policy.may_signal(process(), "other") or "")

    identities(recorded, (1, 1))

    assert "is not recorded" in (policy.may_signal(process(), "worker-a") or "")
    assert recorded in policy.protected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is broken"),
        ("[]", "is broken"),
        ('{"boot_id": "BOOT"}', "is broken"),
        ('{"boot_id": "BOOT", "processes": [[4242, 77]]}', "is broken"),
        ('{"boot_id": "BOOT", "processes": [{"pid": "4242", "start_ticks": "77"}]}', "is broken"),
        ('{"boot_id": "BOOT", "processes": [{"pid": true, "start_ticks": 77}]}', "is broken"),
        ('{"boot_id": "BOOT", "processes": [{"pid": [], "start_ticks": 77}]}', "is broken"),
        ("[" * 100_000, "is broken"),
        ('{"boot_id": "another", "processes": [{"pid": 4242, "start_ticks": 77}]}', "written in another boot"),
    ],
    ids=["no JSON", "a list", "no processes", "pairs", "texts", "a bool", "a list in it", "deep", "another boot"],
)
def test_broken_identities_deny(tmp_path: Path, text: str, why: str) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE + "identities: ids.json\n"))
    write(tmp_path / "ids.json", text.replace("BOOT", boot_id(PROC)))

    assert why in (policy.may_signal(process(), "worker-a") or "")


def test_missing_identities_deny(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE + "identities: ids.json\n"))

    assert "cannot be read" in (policy.may_signal(process(), "worker-a") or "")


def test_identities_that_others_may_write_deny(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", WHOLE + "identities: ids.json\n"))
    identities(tmp_path / "ids.json", (4242, 77)).chmod(0o666)

    assert "can be written by others" in (policy.may_signal(process(), "worker-a") or "")


@pytest.mark.parametrize(
    ("protected", "meets"),
    [("a", True), ("a/b", True), ("a/b/c", True), (".", True), ("a/bc", False), ("b", False), ("link/c", True)],
)
def test_overlap_looks_inside_above_and_through_links(tmp_path: Path, protected: str, meets: bool) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a/b")

    found = overlap(tmp_path / "a/b", [tmp_path / protected])

    assert (found is not None) is meets
