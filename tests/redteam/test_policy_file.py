"""Red team at the policy's own file: replaced, linked, piped, opened to others."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.policy import Policy
from remediator.policy_file import load_policy
from selfheal.common.processes import Process
from tests.redteam.policies import give_away

WIDE = 'process_groups: ["*"]\n'
PROCESS = Process(4242, 77, 0, 1, "worker", ("worker",), "worker", "S", 0, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a policy that is as it should be and permits every group."""
    made = tmp_path / "etc/policy.yml"
    made.parent.mkdir(mode=0o755)
    made.write_text(WIDE)
    made.chmod(0o600)
    return made


def denial(path: Path) -> str:
    """Load a policy; return why it denies everything, or nothing."""
    policy = load_policy(path)
    refusal = policy.may_signal(PROCESS, "worker")
    assert (refusal is None) == (policy.problem is None)
    return refusal or ""


def test_a_policy_as_it_should_be_permits(path: Path) -> None:
    assert denial(path) == ""


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_may_write_denies(path: Path, mode: int) -> None:
    path.chmod(mode)

    assert "can be written by others" in denial(path)


@pytest.mark.parametrize(("mode", "denies"), [(0o755, False), (0o777, True), (0o1777, False)])
def test_a_folder_in_which_others_may_replace_the_file_denies(path: Path, mode: int, denies: bool) -> None:
    path.parent.chmod(mode)

    assert ("could be replaced: everybody may write in" in denial(path)) is denies


def test_a_file_of_another_user_denies(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(path, monkeypatch)

    assert "is owned by uid" in denial(path)


def test_a_link_to_a_good_file_permits_and_to_a_place_open_to_others_denies(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "policy.yml"
    link.symlink_to(path)

    assert denial(link) == ""
    path.parent.chmod(0o777)
    assert "could be replaced" in denial(link)


def test_a_link_that_another_user_owns_denies(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "policy.yml"
    link.symlink_to(path)
    give_away(link, monkeypatch)

    # who is not root becomes another user, to whom the file itself is another's too
    assert "is a link owned by uid" in denial(link) or "is owned by uid" in denial(link)


def test_a_pipe_or_a_device_for_a_policy_denies_and_keeps_nobody_waiting(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)

    assert "is no regular file" in denial(path)
    assert "is no regular file" in denial(Path("/dev/zero"))
    assert "is no regular file" in denial(Path("/dev/null"))


def test_a_policy_that_was_swapped_after_it_was_read_changes_nothing_until_it_is_read_again(path: Path) -> None:
    path.write_text("process_groups: [other]\n")
    policy = load_policy(path)
    path.write_text(WIDE)

    assert policy.may_signal(PROCESS, "worker") is not None
    assert load_policy(path).may_signal(PROCESS, "worker") is None


@pytest.mark.parametrize("how", ["pipe", "open", "replaceable", "link", "gone"])
def test_recorded_identities_obey_the_same_rules(path: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    identities = folder / "identities.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    identities.write_text(json.dumps({"boot_id": boot, "processes": [{"pid": 4242, "start_ticks": 77}]}))
    identities.chmod(0o600)
    policy: Policy = replace(load_policy(path), identities=identities)
    assert policy.may_signal(PROCESS, "worker") is None

    match how:
        case "pipe":
            identities.unlink()
            os.mkfifo(identities, 0o600)
        case "open":
            identities.chmod(0o606)
        case "replaceable":
            folder.chmod(0o777)
        case "link":
            identities.rename(tmp_path / "moved")
            identities.symlink_to("/dev/zero")
        case "gone":
            identities.unlink()

    assert "the identities cannot be asked" in (policy.may_signal(PROCESS, "worker") or "")
