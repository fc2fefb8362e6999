"""The sections `memory` and `journal` of a policy, and the floor of a root: read strictly, asked narrowly."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.policy import Door, Policy, Refusal
from remediator.policy.journal import DIRECTORY, Journal, folder_of
from remediator.policy.memory import Memory, permitted
from remediator.policy_file import load_policy
from selfheal.common.problems import ConfigError

MACHINE = "3d1219c7c4c5404aaa1f6d2a48adfda4"


def read(folder: Path, text: str) -> Policy:
    path = folder / "policy.yml"
    path.write_text(text)
    path.chmod(0o600)
    return load_policy(path)


def test_a_whole_policy_is_read_and_goes_to_another_process(tmp_path: Path) -> None:
    policy = read(
        tmp_path,
        """
roots: {/var/tmp/x: {older_than: 1d, floor: 1.5GiB}, /dev/shm/x: {older_than: 1m}}
memory: {drop_caches: true}
journal: {floor: 100MiB, keep: 1d}
programs: {journalctl: /opt/journalctl}
""",
    )

    assert [root.floor for root in policy.roots] == [1_610_612_736, 0]
    assert policy.memory == Memory(drop_caches=True)
    assert policy.journal == Journal(104_857_600, 86_400.0, DIRECTORY)
    assert policy.programs.journalctl == "/opt/journalctl"
    assert pickle.loads(pickle.dumps(policy)).journal == policy.journal


def test_nothing_written_is_nothing_permitted(tmp_path: Path) -> None:
    policy = read(tmp_path, "{}")

    assert (policy.memory, policy.journal) == (Memory(), None)
    with pytest.raises(Refused, match="dropping caches is not permitted"):
        permitted(policy)
    with pytest.raises(Refused, match="the journal is not permitted"):
        folder_of(policy, DIRECTORY)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("journal: {floor: 100MiB}", "journal.keep"),
        ("journal: {keep: 1d}", "journal.floor"),
        ("journal: {floor: lots, keep: 1d}", "journal.floor"),
        ("journal: {floor: -1, keep: 1d}", "journal.floor"),
        ("journal: {floor: 1, keep: 1d, directory: /}", "journal.directory"),
        ("journal: {floor: 1, keep: 1d, directory: var/log}", "journal.directory"),
        ("journal: {floor: 1, keep: 1d, directory: /var/../etc}", "journal.directory"),
        ("memory: {drop_caches: 1}", "memory.drop_caches"),
        ("memory: {drop: true}", "memory.drop"),
        ("roots: {/var/tmp/x: {older_than: 1d, floor: true}}", "roots./var/tmp/x.floor"),
        ("roots: {/dev/shm: {older_than: 1d}}", "roots./dev/shm"),
        ("roots: {/dev/shmx/y: {older_than: 1d}}", "roots./dev/shmx/y"),
        ("units: {web.service: {verbs: [drop]}}", "units.web.service.verbs"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(tmp_path, text)

    assert [problem.path for problem in told.value.problems] == [path]
    assert all(problem.what for problem in told.value.problems)


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("/var/log/journal", True),
        (f"/var/log/journal/{MACHINE}", True),
        (f"/var/log/journal/{MACHINE}.web", True),
        ("/var/log/journal/backup", False),
        (f"/var/log/journal/{MACHINE}/x", False),
        (f"/var/log/journal/../{MACHINE}", False),
        ("/var/log", False),
        ("/", False),
        ("", False),
    ],
)
def test_only_the_journals_own_folders_are_its(folder: str, allowed: bool) -> None:
    heard: list[Refusal] = []
    policy = Policy(journal=Journal(0, 0.0), heard=heard.append)

    if allowed:
        assert folder_of(policy, folder) == policy.journal
    else:
        with pytest.raises(Refused, match="is no folder of the journal"):
            folder_of(policy, folder)
    assert [refusal.door for refusal in heard] == [Door.SHELL] * (not allowed)
