"""process.limit with units of a really booted systemd: what systemd keeps, and what the kernel was told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.actions import ACTIONS, problems, process_limit
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Outcome, Plan
from remediator.policy import Policy
from remediator.policy.control_groups import Version, mounted_version, version_of
from remediator.policy.values import Unit
from tests.actions.systemd_world import UnitHost, unit_host
from tests.stack.support import wait_until
from tests.tools import do_without

MEBIBYTE = 1 << 20
NO_LIMIT = 1 << 62
SYSFS = Path("/sys")
GROUPS = "/sys/fs/cgroup/{controller}/system.slice/hog.service/{file}"


@pytest.fixture(scope="module")
def booted_host() -> Iterator[UnitHost]:
    with unit_host() as host:
        for controller in ("cpu", "memory"):
            if version_of(controller, Path(f"/proc/{host.world.pid}/root/proc"), SYSFS) is not Version.ONE:
                do_without(f"no control groups of version 1 with {controller} can be mounted")
        yield host


@pytest.fixture
def host(booted_host: UnitHost) -> Iterator[UnitHost]:
    before: Policy = booted_host.policy
    booted_host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=", "MemoryLimit=infinity")
    booted_host.world.systemctl("--runtime", "set-property", "hog.service", "MemoryMax=infinity")
    booted_host.start("hog.service")
    yield booted_host
    booted_host.policy = before


def kernel(host: UnitHost, controller: str, file: str) -> int:
    """Return a limit as the kernel keeps it; -1 for none, also where no group was made for want of one."""
    found = int(host.sh(f"cat {GROUPS.format(controller=controller, file=file)} 2>/dev/null || echo -1"))
    return -1 if found >= NO_LIMIT else found


def start_large(host: UnitHost) -> None:
    """Start the unit that keeps 16 MiB, and wait until it does."""
    host.rest("large.service")
    host.sh("rm -f /run/large")
    host.start("large.service")
    wait_until(lambda: host.sh("ls /run").count("large") > 0)


def test_the_plan_lists_each_limit_from_what_to_what(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5, memory="64MiB")

    assert plan.items == (
        {"kind": "limit", "unit": "hog.service", "property": "CPUQuota", "from": "infinity", "to": "500000"},
        {"kind": "limit", "unit": "hog.service", "property": "MemoryLimit", "from": "infinity", "to": "67108864"},
    )
    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "infinity"


def test_limits_reach_the_kernel_and_are_put_back(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=1.5, memory="64MiB")

    outcome = host.run("process.limit", plan)
    limited = kernel(host, "cpu", "cpu.cfs_quota_us"), kernel(host, "memory", "memory.limit_in_bytes")
    undone = host.undo("process.limit", plan, outcome)

    assert outcome.ok
    assert outcome.detail["limits"] == {"CPUQuota": "1500000", "MemoryLimit": str(64 * MEBIBYTE)}
    # of a period of a tenth of a second
    assert limited == (150_000, 64 * MEBIBYTE)
    assert undone.ok
    assert (kernel(host, "cpu", "cpu.cfs_quota_us"), kernel(host, "memory", "memory.limit_in_bytes")) == (-1, -1)


def test_what_applied_before_is_put_back_to_the_hundredth_of_a_percent(host: UnitHost) -> None:
    host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=12.34%", "MemoryLimit=128M")
    plan = host.plan("process.limit", unit="hog.service", cpu=0.1, memory="64MiB")

    outcome = host.run("process.limit", plan)
    between = host.show("hog.service", "CPUQuotaPerSecUSec")
    host.undo("process.limit", plan, outcome)

    assert between == "100ms"
    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "123.400ms"
    assert host.show("hog.service", "MemoryLimit") == str(128 * MEBIBYTE)


def test_a_limit_lasts_until_the_next_boot_and_no_longer(host: UnitHost) -> None:
    host.do("process.limit", unit="hog.service", cpu=0.5)

    assert "CPUQuota" in host.sh("cat /run/systemd/system.control/hog.service.d/*")
    assert host.sh("ls /etc/systemd/system.control 2>/dev/null || echo none") == "none"


def test_where_a_setting_of_version_2_is_heeded_that_one_is_used(host: UnitHost) -> None:
    host.world.systemctl("--runtime", "set-property", "hog.service", "MemoryMax=256M")

    outcome = host.do("process.limit", unit="hog.service", memory="64MiB")

    assert outcome.detail["limits"] == {"MemoryMax": str(64 * MEBIBYTE)}
    assert kernel(host, "memory", "memory.limit_in_bytes") == 64 * MEBIBYTE


def test_a_unit_that_has_the_limit_already_leaves_nothing_to_do(host: UnitHost) -> None:
    host.do("process.limit", unit="hog.service", cpu=0.5)

    plan = host.plan("process.limit", unit="hog.service", cpu=0.5)

    assert plan.items == ()
    assert plan.detail["why"] == "unit 'hog.service' has these limits already, or tighter ones"


def test_a_limit_that_is_tighter_already_is_left_alone(host: UnitHost) -> None:
    host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=20%", "MemoryMax=256M")

    both = host.plan("process.limit", unit="hog.service", cpu=0.5, memory="512MiB")
    same = host.plan("process.limit", unit="hog.service", cpu=0.2, memory="256MiB")
    one = host.plan("process.limit", unit="hog.service", cpu=0.5, memory="128MiB")
    outcome = host.run("process.limit", one)
    between = host.show("hog.service", "CPUQuotaPerSecUSec"), host.show("hog.service", "MemoryMax")
    host.undo("process.limit", one, outcome)

    assert both.items == same.items == ()
    assert both.detail["why"] == "unit 'hog.service' has these limits already, or tighter ones"
    assert [item["property"] for item in one.items] == ["MemoryMax"]
    assert between == ("200ms", str(128 * MEBIBYTE))
    assert host.show("hog.service", "MemoryMax") == str(256 * MEBIBYTE)


def test_a_stored_plan_that_loosens_a_limit_is_refused(host: UnitHost) -> None:
    host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=20%")
    item = {"kind": "limit", "unit": "hog.service", "property": "CPUQuota", "from": "200000", "to": "500000"}

    with pytest.raises(Refused, match=r"the stored plan would loosen CPUQuota of unit 'hog\.service'"):
        host.run("process.limit", Plan((item,), {"unit": "hog.service"}))

    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "200ms"


@pytest.mark.parametrize(
    ("facts", "applies"),
    [
        ({"MemoryMax": "infinity", "MemoryLimit": "1024"}, "1024"),
        ({"MemoryMax": "2048", "MemoryLimit": "1024"}, "2048"),
        ({"MemoryMax": "infinity", "MemoryHigh": "4096", "MemoryLimit": "1024"}, "infinity"),
        ({"MemoryMax": "infinity"}, "infinity"),
    ],
    ids=["the older setting alone", "both", "another of version 2", "neither"],
)
def test_with_version_2_the_older_setting_counts_while_no_other_is_set(facts: dict[str, str], applies: str) -> None:
    assert process_limit._applying("MemoryMax", facts) == applies


def test_a_limit_that_somebody_else_set_since_the_plan_stays(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5)
    host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=70%")

    with pytest.raises(Refused, match=r"CPUQuota of unit 'hog\.service' was infinity and is 700000: somebody else"):
        host.run("process.limit", plan)

    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "700ms"


def test_a_limit_that_somebody_else_set_since_is_not_taken_back(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5)
    outcome = host.run("process.limit", plan)
    host.world.systemctl("--runtime", "set-property", "hog.service", "CPUQuota=70%")

    with pytest.raises(Refused, match="was 500000 and is 700000"):
        host.undo("process.limit", plan, outcome)


def test_begun_again_after_a_crash_it_ends_the_same(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5, memory="64MiB")
    host.run("process.limit", plan)

    again = host.run("process.limit", plan)

    assert again.ok
    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "500ms"


def test_a_limit_below_what_is_resident_is_refused_for_it_would_end_the_unit(host: UnitHost) -> None:
    start_large(host)

    with pytest.raises(Refused, match="bytes resident already; below that the kernel would end it"):
        host.plan("process.limit", unit="large.service", memory="12MiB")

    assert host.plan("process.limit", unit="large.service", memory="256MiB").items


def test_what_grew_beyond_the_limit_since_the_plan_is_not_ended_by_it(host: UnitHost) -> None:
    host.rest("large.service")
    plan = host.plan("process.limit", unit="large.service", memory="12MiB")
    start_large(host)

    with pytest.raises(Refused, match="bytes resident already; below that the kernel would end it"):
        host.run("process.limit", plan)

    assert host.show("large.service", "MemoryLimit") == "infinity"
    assert host.points == []


def test_what_grew_beyond_its_earlier_limit_keeps_the_later_one(host: UnitHost) -> None:
    host.rest("large.service")
    host.world.systemctl("--runtime", "set-property", "large.service", "MemoryLimit=256M")
    limits = {"from": str(12 * MEBIBYTE), "to": str(256 * MEBIBYTE)}
    plan = Plan(
        ({"kind": "limit", "unit": "large.service", "property": "MemoryLimit", **limits},), {"unit": "large.service"}
    )
    start_large(host)

    with pytest.raises(Refused, match="below that the kernel would end it"):
        host.undo("process.limit", plan, Outcome(True, (), {}))

    assert host.show("large.service", "MemoryLimit") == str(256 * MEBIBYTE)
    host.world.systemctl("--runtime", "set-property", "large.service", "MemoryLimit=infinity")


def test_an_answer_that_was_lost_leaves_open_which_limits_there_are(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5)
    told = 'echo "Failed to set unit properties on hog.service: Connection timed out"; exit 1'
    lost = host.wrapper("lost", f'case "$*" in *set-property*) {told};; esac')
    host.permit(programs=replace(host.policy.programs, systemctl=str(lost)))

    with pytest.raises(OutcomeUnknown, match=r"what systemd made of limit of unit 'hog\.service' is not known"):
        host.run("process.limit", plan)


def test_limiting_needs_its_own_permission(host: UnitHost) -> None:
    plan = host.plan("process.limit", unit="hog.service", cpu=0.5)
    host.permit_units(hog=("restart", "status"))

    with pytest.raises(Refused, match=r"'limit' is not permitted for unit 'hog\.service'"):
        host.plan("process.limit", unit="hog.service", cpu=0.5)
    with pytest.raises(Refused, match=r"'limit' is not permitted for unit 'hog\.service'"):
        host.run("process.limit", plan)

    assert host.show("hog.service", "CPUQuotaPerSecUSec") == "infinity"


@pytest.mark.parametrize(
    "item",
    [
        {"property": "ExecStart", "to": "1"},
        {"property": "CPUQuota", "to": "50%\nUser=root"},
        {"property": "CPUQuota", "from": "٣"},
        {"unit": "web.service"},
    ],
    ids=["another property", "more than a number", "digits of another script", "another unit"],
)
def test_a_forged_plan_sets_nothing(host: UnitHost, item: dict[str, str]) -> None:
    ours = {"kind": "limit", "unit": "hog.service", "property": "CPUQuota", "from": "infinity", "to": "500000"}

    with pytest.raises(Refused, match="the stored plan names no limit of ours"):
        host.run("process.limit", Plan(({**ours, **item},), {"unit": "hog.service"}))


def test_a_unit_that_is_not_there_cannot_be_limited(host: UnitHost) -> None:
    host.permit_units(nowhere=("limit",))

    with pytest.raises(ActionFailed, match=r"unit 'nowhere\.service' is not-found; it cannot be limited"):
        host.plan("process.limit", unit="nowhere.service", cpu=0.5)


def test_a_unit_that_runs_nothing_itself_cannot_be_limited(host: UnitHost) -> None:
    host.permit(units=(Unit("tick.timer", ("limit",)),))

    with pytest.raises(ActionFailed, match=r"unit 'tick\.timer' runs nothing itself; it cannot be limited"):
        host.plan("process.limit", unit="tick.timer", cpu=0.5)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "limits nothing"),
        ({"cpu": 0.001}, "cpu is less than 0.01 cores"),
        ({"cpu": 0}, "cpu is less than 0.01 cores"),
        ({"memory": "4095KiB"}, "memory is less than 4MiB"),
        ({"memory": "4MiB"}, None),
        ({"cpu": 0.01}, None),
    ],
)
def test_limits_that_would_only_hurt_are_told_at_load(given: dict[str, object], what: str | None) -> None:
    found = [fault.what for fault in problems(ACTIONS["process.limit"], {"unit": "hog.service", **given})]

    assert found == ([] if what is None else [what])


V1 = """tmpfs /sys/fs/cgroup tmpfs ro,mode=755 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n"
ELSEWHERE = "cgroup /srv/chroot/sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 /mnt cgroup2 rw 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "controller", "version"),
    [
        (V1, "cpu", Version.ONE),
        (V1, "memory", None),
        (V2, "cpu", Version.TWO),
        (V2, "memory", Version.TWO),
        (ELSEWHERE, "memory", None),
        ("", "cpu", None),
    ],
    ids=["hybrid", "hybrid without memory", "unified", "unified memory", "not systemd's", "none"],
)
def test_the_version_is_that_which_the_machine_mounts(mounts: str, controller: str, version: Version | None) -> None:
    assert mounted_version(controller, mounts) is version


@pytest.mark.parametrize(("controller", "version"), [("memory", Version.TWO), ("cpu", None)])
def test_of_version_2_only_the_controllers_that_are_there_count(
    tmp_path: Path, controller: str, version: Version | None
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mounts").write_text(V2)
    (tmp_path / "fs/cgroup").mkdir(parents=True)
    (tmp_path / "fs/cgroup/cgroup.controllers").write_text("cpuset io memory pids\n")

    assert version_of(controller, tmp_path, tmp_path) is version
