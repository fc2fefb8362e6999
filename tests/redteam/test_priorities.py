"""Red team at the doors of priorities and of the kernel's files: reused numbers, foreign threads, forged paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Refused
from remediator.kernel import Cgroup, reclaim
from remediator.policy import Policy, Refusal
from remediator.policy.values import Unit
from selfheal.common.clock import SystemClock
from tests.redteam.policies import apart

REUSED = """
import json, os, subprocess, sys
from dataclasses import replace
from pathlib import Path
from remediator.policy import Policy
from remediator.priorities import NICE, Thread, change, threads_of
from remediator.signals import Gone, hold, identify
from selfheal.common.processes import Grouping, read_process
names = Path(sys.argv[1]) / "names.yml"
names.write_text(json.dumps({"process_names": [{"name": "a", "cmdline": ["sleep"]}]}))
policy = Policy(process_groups=("a",), grouping=Grouping.load(names))

def start(last=None):
    if last is not None: Path("/proc/sys/kernel/ns_last_pid").write_text(str(last - 1))
    child = subprocess.Popen(["sleep", "60"])
    return child, identify(read_process(policy.procfs, child.pid), "a", policy.procfs)

first, planned = start()
(thread,) = threads_of(policy.procfs, first.pid, NICE)
# as a plan does: until the tick of its start is over, another one could look the same
with hold(planned, policy): pass
first.kill(); first.wait()
second, present = start(planned.pid)
print("reused" if present.pid == planned.pid else "not reused")
try:
    with hold(planned, policy) as held: print(change(held, thread, NICE, 19, policy))
except Gone: print("gone")
(now,) = threads_of(policy.procfs, second.pid, NICE)
with hold(present, policy) as held:
    second.kill(); second.wait()
    third, other = start(planned.pid)
    print(other.pid == present.pid, change(held, now, NICE, 19, policy), os.getpriority(os.PRIO_PROCESS, third.pid))
third.kill(); third.wait()
"""


def test_a_process_that_got_the_planned_number_is_never_set(tmp_path: Path) -> None:
    told = apart(REUSED, str(tmp_path))

    assert told.stdout.splitlines() == ["reused", "gone", "True has ended 0"], told.stderr


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("web.service", "/system.slice/../../../etc/web.service"),
        ("web.service", "/system.slice/db.service"),
        ("web.service", "/"),
        ("web.service", "web.service"),
        ("web.service", "/system.slice//web.service"),
        ("db.service", "/system.slice/db.service"),
        ("../web.service", "/system.slice/../web.service"),
    ],
)
def test_a_forged_control_group_is_never_written_to(tmp_path: Path, unit: str, path: str) -> None:
    heard: list[Refusal] = []
    top = tmp_path / "fs/cgroup"
    for name in ("system.slice/web.service", "system.slice/db.service", "web.service"):
        (top / name).mkdir(parents=True)
        (top / name / "memory.reclaim").write_text("untouched")
        (top / name / "memory.current").write_text("1000")
    (top / "memory.reclaim").write_text("untouched")
    (top / "cgroup.controllers").write_text("memory")
    policy = Policy(units=(Unit("web.service", ("reclaim",)),), sysfs=tmp_path, heard=heard.append)
    clock = SystemClock()

    with pytest.raises(Refused):
        reclaim(Cgroup(unit, path, 1, 0), 1000, policy, clock.monotonic() + 30, clock.monotonic)

    assert heard
    assert {file.read_text() for file in top.rglob("memory.reclaim")} == {"untouched"}


def test_a_remediator_that_runs_in_the_unit_itself_is_not_reclaimed_from(tmp_path: Path) -> None:
    written: Any = tmp_path / "self"
    written.mkdir()
    (written / "cgroup").write_text("0::/system.slice/web.service\n")
    (tmp_path / "fs/cgroup/system.slice/web.service").mkdir(parents=True)
    (tmp_path / "fs/cgroup/cgroup.controllers").write_text("memory")
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho Id=web.service; echo Names=web.service; echo MainPID=0\n")
    systemctl.chmod(0o755)
    from remediator.kernel import find_cgroup
    from remediator.policy.values import Programs

    policy = Policy(
        units=(Unit("web.service", ("reclaim",)),),
        sysfs=tmp_path,
        procfs=tmp_path,
        programs=Programs(systemctl=str(systemctl)),
    )
    clock = SystemClock()

    with pytest.raises(Refused, match="the remediator itself runs in unit"):
        find_cgroup("web.service", policy, clock.monotonic() + 30, clock.monotonic)
