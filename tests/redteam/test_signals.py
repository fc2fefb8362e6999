"""Red team at the door that signals: reused pids, borrowed names, changed users, and whom nobody may touch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.policy import Policy, Refusal
from remediator.policy.protected import read_standing, refusal_by_kind
from remediator.signals import Identity, hold, refusal_of, still_ambiguous
from selfheal.common.processes import Grouping, Process, boot_id, read_process
from selfheal.common.procfs import TICKS_PER_SECOND
from tests.redteam.policies import apart

PROC = Path("/proc")
REUSED = """
import json, os, subprocess, sys
from pathlib import Path
from remediator.policy import Policy
from remediator.signals import Gone, hold, identify
from selfheal.common.processes import Grouping, read_process
grouping = Path(sys.argv[1]) / "names.yml"
grouping.write_text(json.dumps({"process_names": [{"name": "a", "cmdline": ["sleep"]}]}))
policy = Policy(process_groups=("a",), grouping=Grouping.load(grouping))

def start():
    child = subprocess.Popen(["sleep", "60"])
    return child, identify(read_process(policy.procfs, child.pid), "a", policy.procfs)

first, planned = start()
with hold(planned, policy): print("held")
first.kill(); first.wait()
# the kernel gives the number before the next one: the next process gets the same pid
Path("/proc/sys/kernel/ns_last_pid").write_text(str(planned.pid - 1))
second, present = start()
print("reused" if present.pid == planned.pid else "not reused")
try:
    with hold(planned, policy) as held: held.send(15); print("sent")
except Gone: print("gone")
print("alive" if second.poll() is None else "dead")
with hold(present, policy) as held:
    second.kill(); second.wait()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(planned.pid - 1))
    third, _ = start()
    print(third.pid == present.pid, held.send(15), third.poll())
third.kill(); third.wait()
"""


def test_a_reused_pid_is_never_signalled(tmp_path: Path) -> None:
    told = apart(REUSED, str(tmp_path))

    assert told.stdout.splitlines() == ["held", "reused", "gone", "alive", "True False None"], told.stderr


@pytest.mark.parametrize(
    ("uptime", "seconds"), [(99.9, 0.02), (100.0, 0.01), (100.004, 0.006), (100.01, 0.0), (5_000.0, 0.0)]
)
def test_a_process_that_began_within_this_tick_could_still_be_another(uptime: float, seconds: float) -> None:
    assert still_ambiguous(100 * TICKS_PER_SECOND, uptime) == pytest.approx(seconds * 100 / TICKS_PER_SECOND)


def put(
    procfs: Path,
    *,
    comm: str = "worker",
    argv: tuple[str, ...] = ("/opt/worker", "x"),
    exe: str | None = None,
    cgroup: str = "/",
    uids: tuple[int, ...] = (0, 0, 0, 0),
    pid: int = 4242,
) -> Process:
    """Write one process into a made proc tree and return it as read."""
    folder = procfs / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({comm}) S 1 1 1 0 -1 0 5 0 2 0 1 1 0 0 20 0 1 0 100 8192 7 0 0\n")
    (folder / "cmdline").write_text("\0".join(argv) + "\0")
    (folder / "statm").write_text("2 7 0 0 0 0 0\n")
    (folder / "status").write_text(f"Name:\tx\nUid:\t{chr(9).join(map(str, uids))}\nNSpid:\t{pid}\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    if exe is not None:
        (folder / "exe").symlink_to(exe)
    process = read_process(procfs, pid)
    assert process is not None
    return process


UNTOUCHABLE = [
    ({"comm": "sshd"}, "belongs to sshd"),
    ({"argv": ("/usr/sbin/sshd", "-D")}, "belongs to sshd"),
    ({"argv": ("sshd: alice [priv]",)}, "belongs to sshd"),
    ({"exe": "/usr/sbin/sshd"}, "belongs to sshd"),
    ({"exe": "/usr/lib/openssh/sshd-session (deleted)"}, "belongs to sshd"),
    ({"cgroup": "/system.slice/ssh.service"}, "belongs to sshd"),
    ({"cgroup": "/system.slice/system-sshd.slice/sshd@3-10.0.0.1:22.service"}, "belongs to sshd"),
    ({"comm": "systemd", "argv": ("/usr/lib/systemd/systemd", "--user")}, "supervises other processes"),
    ({"comm": "systemd-journal"}, "supervises other processes"),
    ({"comm": "dbus-daemon"}, "supervises other processes"),
    ({"comm": "supervisord", "argv": ("/usr/bin/python3", "/usr/bin/supervisord")}, "supervises other processes"),
    ({"comm": "python3", "argv": ("python3", "-u", "/usr/bin/supervisord")}, "supervises other processes"),
    ({"comm": "runsv"}, "supervises other processes"),
    ({"exe": "/usr/bin/prometheus"}, "belongs to the monitoring itself"),
    ({"comm": "node_exporter"}, "belongs to the monitoring itself"),
    ({"cgroup": "/system.slice/prometheus-node-exporter.service"}, "belongs to the monitoring itself"),
    ({"argv": ("python3", "-m", "remediator.reading")}, "belongs to the monitoring itself"),
    ({"pid": 1}, "is the system's first process"),
    # and whom the names only resemble
    ({"comm": "sshd-helper"}, None),
    ({"argv": ("/opt/worker", "/usr/sbin/sshd")}, None),
    ({"cgroup": "/system.slice/my-ssh.service"}, None),
    ({"comm": "prometheu\N{CYRILLIC SMALL LETTER ES}"}, None),
    ({"argv": ("python3", "-c", "pass", "-m", "remediator")}, None),
    ({"comm": "systemctl"}, None),
]


@pytest.mark.parametrize(("made", "why"), UNTOUCHABLE, ids=[ascii(list(made.values())) for made, _ in UNTOUCHABLE])
def test_who_keeps_the_host_reachable_or_watched_is_known_by_any_of_its_marks(
    tmp_path: Path, made: dict[str, object], why: str | None
) -> None:
    process = put(tmp_path, **made)  # type: ignore[arg-type]
    standing = read_standing(tmp_path, process.pid)
    assert standing is not None

    refusal = refusal_by_kind(process, standing, tmp_path)

    assert (refusal is None) if why is None else (why in (refusal or ""))


@pytest.mark.parametrize(
    ("uids", "permitted"),
    [
        ((1001, 1001, 1001, 1001), True),
        ((1001, 0, 0, 0), False),
        ((0, 1001, 1001, 1001), False),
        ((1001, 1001, 0, 1001), False),
        ((1002, 1002, 1002, 1002), False),
    ],
    ids=["its own", "a setuid program", "a daemon that stepped down", "one that can step up", "another's"],
)
def test_a_process_that_is_more_than_one_user_belongs_to_none(
    tmp_path: Path, uids: tuple[int, ...], permitted: bool
) -> None:
    policy = Policy(process_groups=("*",), users=frozenset({1001}), procfs=tmp_path, source="policy.yml")

    refusal = refusal_of(put(tmp_path, uids=uids), "worker", policy)

    assert (refusal is None) is permitted, refusal
    assert permitted or "only those of users" in (refusal or "")


@pytest.mark.parametrize(
    ("patterns", "group", "permitted"),
    [
        ((), "worker", False),
        (("",), "worker", False),
        (("",), "", True),
        (("worker",), "worker", True),
        (("worker",), "w\N{CYRILLIC SMALL LETTER O}rker", False),
        (("worker",), "worker\N{ZERO WIDTH SPACE}", False),
        (("worker",), "worker\n", False),
        (("worker",), "*", False),
        (("worker-*",), "worker", False),
        (("worker-*",), "x\nworker-1", False),
        (("*-worker",), "a-worker-b", False),
    ],
)
def test_a_group_is_permitted_by_its_whole_name_to_the_letter(
    patterns: tuple[str, ...], group: str, permitted: bool
) -> None:
    assert (Policy(process_groups=patterns).may_group(group) is None) is permitted


def test_no_group_is_no_process_and_never_all(tmp_path: Path) -> None:
    policy = Policy(process_groups=("*",), procfs=tmp_path)

    assert "belongs to no process group" in (refusal_of(put(tmp_path), None, policy) or "")


@pytest.mark.parametrize("pid", [0, -1, -4242, 1 << 22, 2**31, 2**64, True, "1", None])
def test_a_stored_plan_that_names_many_or_nobody_is_refused(pid: object) -> None:
    item = {"kind": "process", "boot_id": boot_id(PROC), "pid": pid, "start_ticks": 1, "uid": 0, "group": "a"}

    with pytest.raises(Refused, match="the stored plan names no process"):
        Identity.of_item(item)


def test_every_refusal_is_heard(tmp_path: Path) -> None:
    heard: list[Refusal] = []
    policy = Policy(process_groups=("*",), grouping=Grouping(), heard=heard.append)
    own = read_process(PROC, int((PROC / "self").readlink().name))
    assert own is not None
    identity = Identity(boot_id(PROC), own.pid, own.start_ticks, own.uid, "a")

    with pytest.raises(Refused), hold(identity, policy):
        pass
    (tmp_path / "self").symlink_to("999999")
    with pytest.raises(Refused), hold(identity, replace(policy, procfs=tmp_path)):
        pass

    assert [refusal.door.value for refusal in heard] == ["signals", "signals"]
    assert json.dumps([refusal.detail for refusal in heard])
