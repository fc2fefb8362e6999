"""The door that signals: real processes, and every reason for which one is left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.errors import Refused
from remediator.policy import Policy
from remediator.policy.protected import python_entry
from remediator.signals import (
    Gone,
    Identity,
    Patience,
    end,
    group_now,
    hold,
    hold_all,
    identify,
    refusal_of,
)
from selfheal.common.processes import Grouping, Process, boot_id, read_process
from tests.tools import do_without

PROC = Path("/proc")

OBEDIENT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True)\n"
OBEDIENT += "while True: signal.pause()"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)
CHANGING = (
    "import os, sys; print('up', flush=True); sys.stdin.readline()\n"
    "os.execv(sys.executable, [sys.executable, '-c', 'print(1, flush=True); import sys; sys.stdin.read()'])"
)

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def marker() -> str:
    """Return a word that stands in the arguments of this test's processes and nobody else's."""
    return f"worker{uuid.uuid4().hex}"


@pytest.fixture
def start(marker: str) -> Iterator[Start]:
    """Start Python programs that say when they are up, and end them all."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str = OBEDIENT, *, argv: tuple[str, ...] = (), **options: object) -> subprocess.Popen[str]:
        arguments = list(argv) or [sys.executable, "-c", code, marker]
        child = subprocess.Popen(  # type: ignore[call-overload]
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
        )
        started.append(child)
        assert child.stdout.readline().strip() == "up"
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def policy(tmp_path: Path, marker: str) -> Policy:
    """Return a policy that permits this test's one group."""
    config = tmp_path / "processes.yml"
    config.write_text(json.dumps({"process_names": [{"name": "worker-a", "cmdline": [marker]}]}))
    return Policy(process_groups=("worker-*",), grouping=Grouping.load(config), source="policy.yml")


def identity_of(pid: int, group: str = "worker-a") -> Identity:
    """Return the identity of a process that is there."""
    process = read_process(PROC, pid)
    assert process is not None
    return identify(process, group, PROC)


def patience(grace: float = 5.0, whole: float = 20.0) -> Patience:
    """Return a patience by the machine's clock."""
    return Patience(grace, time.monotonic() + whole, time.monotonic)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition to hold, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        os.sched_yield()


def open_pidfds() -> set[int]:
    """Return the descriptors of this process that hold processes."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.readlink().name == "anon_inode:[pidfd]":
                found.add(int(entry.name))
        except FileNotFoundError:
            # the listing's own descriptor
            continue
    return found


def refuses(identity: Identity, policy: Policy, why: str) -> None:
    """Expect the door to refuse."""
    with pytest.raises(Refused, match=why), hold(identity, policy):
        pass


def test_a_process_that_obeys_is_ended_by_the_request_alone(start: Start, policy: Policy) -> None:
    child = start()

    with hold(identity_of(child.pid), policy) as held:
        assert not held.has_ended
        (ending,) = end([held], patience())
        assert held.has_ended

    assert ending.ended
    assert ending.sent == ["SIGTERM"]
    assert child.wait(10) == 7
    assert ending.to_effect()["pid"] == child.pid


def test_a_process_that_ignores_the_request_is_killed_after_the_grace_through_the_same_pidfd(
    start: Start, policy: Policy
) -> None:
    child = start(DEAF)
    begun = time.monotonic()
    with hold(identity_of(child.pid), policy) as held:
        before = open_pidfds()
        (ending,) = end([held], patience(grace=0.3))
        after = open_pidfds()

    assert ending.sent == ["SIGTERM", "SIGKILL"]
    assert time.monotonic() - begun >= 0.3
    assert child.wait(10) == -signal.SIGKILL
    # one descriptor was opened for the process, and none after it
    assert before == after == {held.fileno()}
    assert open_pidfds() == set()


def test_the_grace_never_reaches_beyond_the_deadline(start: Start, policy: Policy) -> None:
    child = start(DEAF)

    begun = time.monotonic()
    with hold(identity_of(child.pid), policy) as held:
        (ending,) = end([held], patience(grace=600.0, whole=1.0))

    assert ending.ended
    assert time.monotonic() - begun < 5
    assert child.wait(10) == -signal.SIGKILL


def test_a_stopped_process_is_continued_so_that_it_can_obey(start: Start, policy: Policy) -> None:
    child = start()
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: identity_of(child.pid) is not None and read_process(PROC, child.pid).state == "T")

    with hold(identity_of(child.pid), policy) as held:
        (ending,) = end([held], patience())

    assert ending.sent == ["SIGTERM", "SIGCONT"]
    assert child.wait(10) == 7


def test_several_are_ended_together_and_each_is_told_apart(start: Start, policy: Policy) -> None:
    children = [start(), start(DEAF), start()]

    with hold_all([identity_of(child.pid) for child in children], policy) as (held, refused):
        endings = end(held, patience(grace=0.3))

    assert refused == []
    assert [ending.sent for ending in endings] == [["SIGTERM"], ["SIGTERM", "SIGKILL"], ["SIGTERM"]]
    assert [child.wait(10) for child in children] == [7, -9, 7]


def test_a_parent_and_its_children_are_checked_before_the_first_is_told(start: Start, policy: Policy) -> None:
    # the child is a member only through its parent: once that has ended it would be seen in no group
    code = (
        "import signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('up', flush=True); print(child.pid, flush=True)\n"
        "while True: signal.pause()"
    )
    parent = start(code)
    child = int(parent.stdout.readline())
    identities = [identity_of(parent.pid), identity_of(child)]

    with hold_all(identities, policy) as (held, refused):
        endings = end(held, patience())

    assert refused == []
    assert [ending.ended for ending in endings] == [True, True]
    wait_until(lambda: (found := read_process(PROC, child)) is None or found.is_zombie)


def test_only_four_signals_can_be_sent(start: Start, policy: Policy) -> None:
    child = start()

    with hold(identity_of(child.pid), policy) as held, pytest.raises(Refused, match="is never sent"):
        held.send(signal.SIGSTOP)

    assert read_process(PROC, child.pid).state != "T"


# What is left alone.


def test_the_remediator_itself_is_refused(policy: Policy) -> None:
    process = read_process(PROC, os.getpid())

    assert "is the remediator itself" in (refusal_of(process, "worker-a", policy) or "")


def test_every_ancestor_is_refused(policy: Policy) -> None:
    pid, seen = os.getppid(), []
    while pid > 1:
        process = read_process(PROC, pid)
        seen.append(refusal_of(process, "worker-a", policy))
        pid = process.ppid

    assert seen
    assert all("is an ancestor of the remediator" in (why or "") for why in seen)


def test_a_descendant_that_asks_refuses_its_real_parent(policy: Policy, marker: str, tmp_path: Path) -> None:
    # through the whole door: this process is the ancestor, a member and permitted; the child is who would signal
    config = tmp_path / "all.yml"
    config.write_text(json.dumps({"process_names": [{"name": "worker-a", "cmdline": ["."]}]}))
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from remediator.errors import Refused\nfrom remediator.policy import Policy\n"
        "from remediator.signals import hold, identify\nfrom selfheal.common.processes import Grouping, read_process\n"
        "policy = Policy(process_groups=('*',), grouping=Grouping.load(Path(sys.argv[1])))\n"
        "for pid in (os.getpid(), os.getppid()):\n"
        "    try:\n"
        "        identity = identify(read_process(policy.procfs, pid), 'worker-a', policy.procfs)\n"
        "        with hold(identity, policy): print('held')\n"
        "    except Refused as error: print(error.detail.partition(' is ')[2])\n"
    )

    told = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, timeout=30)

    assert told.stdout.splitlines() == ["the remediator itself", "an ancestor of the remediator"], told.stderr


def test_pid_1_is_refused(policy: Policy) -> None:
    process = read_process(PROC, 1)

    assert refusal_of(process, "worker-a", policy) == "pid 1 is the system's first process"


def put(procfs: Path, pid: int, *, flags: int = 0, namespaces: str | None = None, argv: str = "worker\0") -> Process:
    """Write one process into a made proc tree and return it as read."""
    folder = procfs / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (it) S 1 1 1 0 -1 {flags} 5 0 2 0 1 1 0 0 20 0 1 0 100 8192 7 0 0\n")
    (folder / "cmdline").write_text(argv)
    (folder / "statm").write_text("2 7 0 0 0 0 0\n")
    spaces = f"NSpid:\t{namespaces}\n" if namespaces is not None else ""
    (folder / "status").write_text(f"Name:\tx\nUid:\t0\t0\t0\t0\n{spaces}")
    process = read_process(procfs, pid)
    assert process is not None
    return process


@pytest.mark.parametrize(
    ("flags", "namespaces", "why"),
    [
        (0x0040_0040, "4242", None),
        (0x0020_8040, "4242", "is a thread of the kernel"),
        (0x0040_0040, "4242\t1", "lives in another pid namespace"),
        (0x0040_0040, None, "lives in another pid namespace"),
    ],
    ids=["a plain process", "kernel thread", "inner namespace", "namespace not told"],
)
def test_kernel_threads_and_other_namespaces_are_refused(
    tmp_path: Path, policy: Policy, flags: int, namespaces: str | None, why: str | None
) -> None:
    process = put(tmp_path / "proc", 4242, flags=flags, namespaces=namespaces)

    refusal = refusal_of(process, "worker-a", replace(policy, procfs=tmp_path / "proc"))

    assert refusal == (why and f"pid 4242 {why}")


def test_a_process_in_a_pid_namespace_of_its_own_is_refused(start: Start, policy: Policy, marker: str) -> None:
    wrapped = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    if shutil.which("unshare") is None or subprocess.run([*wrapped, "true"], capture_output=True).returncode:
        do_without("this user may make no pid namespace here")
    outer = start(argv=(*wrapped, sys.executable, "-c", OBEDIENT, marker))
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()

    refuses(identity_of(int(children[0])), policy, "lives in another pid namespace")


def test_a_procfs_of_another_namespace_is_not_believed(tmp_path: Path, start: Start, policy: Policy) -> None:
    identity = identity_of(start().pid)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/self").symlink_to("999999")

    refuses(identity, replace(policy, procfs=tmp_path / "proc"), "shows another pid namespace than ours")


@pytest.mark.parametrize(
    "program", ["prometheus", "alertmanager", "prometheus-node-exporter", "selfheal", "selfheal-exporter"]
)
def test_a_monitoring_program_is_refused_by_its_name(
    tmp_path: Path, start: Start, policy: Policy, marker: str, program: str
) -> None:
    # named by the file that was started, whatever it is: a link to the interpreter is enough
    (tmp_path / program).symlink_to(sys.executable)
    child = start(argv=(str(tmp_path / program), "-S", "-c", OBEDIENT, marker))

    refuses(identity_of(child.pid), policy, "belongs to the monitoring itself")


@pytest.mark.parametrize(
    ("module", "refused"),
    [
        ("exporter", True),
        ("remediator", True),
        ("selfheal.stack", True),
        ("selfheal.cli", True),
        ("selfheal.stack.patients", True),
        ("selfheal.stack.patient", False),
        ("selfheal.stack.patient.leaker", False),
        ("exporter_of_goods", False),
    ],
)
def test_our_own_modules_are_refused_and_the_patient_is_not(
    tmp_path: Path, start: Start, policy: Policy, marker: str, module: str, refused: bool
) -> None:
    folder = tmp_path
    for part in module.split("."):
        folder = folder / part
        folder.mkdir()
        (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(OBEDIENT)
    child = start(argv=(sys.executable, "-m", module, marker), cwd=tmp_path)

    if refused:
        refuses(identity_of(child.pid), policy, "belongs to the monitoring itself")
    else:
        with hold(identity_of(child.pid), policy) as held:
            assert not held.has_ended


@pytest.mark.parametrize("script", ["selfheal", "selfheal-exporter", "remediator/__main__.py"])
def test_our_own_scripts_are_refused(tmp_path: Path, start: Start, policy: Policy, marker: str, script: str) -> None:
    path = tmp_path / script
    path.parent.mkdir(exist_ok=True)
    path.write_text(OBEDIENT)
    child = start(argv=(sys.executable, "-I", str(path), "up", marker))

    refuses(identity_of(child.pid), policy, "belongs to the monitoring itself")


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        ("-m exporter", ("module", "exporter")),
        ("-mexporter", ("module", "exporter")),
        ("-Im exporter --x", ("module", "exporter")),
        ("-X dev -W error -um exporter", ("module", "exporter")),
        ("-Xdev -Werror -m exporter", ("module", "exporter")),
        ("--check-hash-based-pycs always -m exporter", ("module", "exporter")),
        ("-c pass -m exporter", ("none", "")),
        ("script.py -m exporter", ("script", "script.py")),
        ("-u /usr/bin/selfheal up", ("script", "/usr/bin/selfheal")),
        ("-X selfheal worker.py", ("script", "worker.py")),
        ("- -m exporter", ("none", "")),
        ("-m", ("module", "")),
        ("-i", ("none", "")),
        ("", ("none", "")),
    ],
)
def test_what_an_interpreter_runs_is_read_as_the_interpreter_does(arguments: str, entry: tuple[str, str]) -> None:
    assert python_entry(["python3", *arguments.split()]) == entry


def test_a_group_that_the_policy_does_not_list_is_refused(start: Start, policy: Policy) -> None:
    identity = identity_of(start().pid)

    refuses(identity, replace(policy, process_groups=("db",)), "process group 'worker-a' is not permitted")


def test_a_process_that_is_not_recorded_is_refused(tmp_path: Path, start: Start, policy: Policy) -> None:
    identity = identity_of(start().pid)
    path = tmp_path / "identities.json"
    narrowed = replace(policy, identities=path)

    refuses(identity, narrowed, "the identities cannot be asked")

    path.write_text(json.dumps({"boot_id": boot_id(PROC), "processes": [{"pid": identity.pid, "start_ticks": 1}]}))
    path.chmod(0o600)

    refuses(identity, narrowed, "is not recorded")

    path.write_text(json.dumps({"boot_id": boot_id(PROC), "processes": [identity.to_item()]}))

    with hold(identity, narrowed) as held:
        assert held.identity == identity


@pytest.mark.parametrize(
    "change", [{"start_ticks": 1}, {"boot": "another"}], ids=["another start time", "another boot"]
)
def test_a_pid_that_was_reused_is_another_process(start: Start, policy: Policy, change: dict[str, object]) -> None:
    child = start()

    with pytest.raises(Gone), hold(replace(identity_of(child.pid), **change), policy):
        pass

    assert child.poll() is None


def test_a_process_that_has_ended_is_gone(start: Start, policy: Policy) -> None:
    child = start()
    identity = identity_of(child.pid)
    child.kill()
    wait_until(lambda: read_process(PROC, child.pid).is_zombie)

    with pytest.raises(Gone), hold(identity, policy):
        pass

    child.wait(10)

    with pytest.raises(Gone), hold(identity, policy):
        pass


def test_a_process_that_changed_its_group_since_the_plan_is_refused(start: Start, policy: Policy) -> None:
    child = start(CHANGING)
    identity = identity_of(child.pid)
    child.stdin.write("now\n")
    child.stdin.flush()
    assert child.stdout.readline().strip() == "1"

    refuses(identity, policy, "was in group 'worker-a' when it was planned and now is in None")

    assert child.poll() is None


def test_a_process_that_runs_as_another_user_than_planned_is_refused(start: Start, policy: Policy) -> None:
    identity = identity_of(start().pid)

    refuses(replace(identity, uid=identity.uid + 1), policy, f"ran as uid {identity.uid + 1} when it was planned")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two other users")
def test_what_the_kernel_forbids_is_refused(start: Start, policy: Policy) -> None:
    # it becomes another user only once it runs: that user may not be able to read the interpreter
    child = start("import os, signal; os.setuid(65_533)\n" + OBEDIENT)
    identity = identity_of(child.pid)

    os.seteuid(65_534)
    try:
        refuses(identity, policy, f"the kernel forbids uid 65534 to signal pid {child.pid}")
    finally:
        os.seteuid(0)

    assert child.poll() is None


def test_of_several_the_ended_are_left_out_and_the_refused_are_told(start: Start, policy: Policy) -> None:
    child, other = start(), start()
    identities = [
        replace(identity_of(child.pid), start_ticks=1),
        identity_of(other.pid),
        replace(identity_of(child.pid), group="db"),
    ]

    with hold_all(identities, policy) as (held, refused):
        assert [one.identity.pid for one in held] == [other.pid]
        assert [entry["pid"] for entry in refused] == [child.pid]


def test_the_group_is_that_of_the_nearest_matching_ancestor(start: Start, policy: Policy, marker: str) -> None:
    child = start()

    assert group_now(read_process(PROC, child.pid), policy.grouping, PROC) == "worker-a"
    assert group_now(read_process(PROC, os.getpid()), policy.grouping, PROC) is None
    assert group_now(read_process(PROC, 1), policy.grouping, PROC) is None


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"kind": "file", "path": "/x"},
        {"kind": "process", "pid": "1", "start_ticks": 1, "uid": 0, "group": "a", "boot_id": "b"},
        {"kind": "process", "pid": True, "start_ticks": 1, "uid": 0, "group": "a", "boot_id": "b"},
        {"kind": "process", "pid": 5, "start_ticks": 1, "uid": 0, "group": None, "boot_id": "b"},
    ],
)
def test_a_stored_item_that_names_no_process_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(Refused, match="the stored plan names no process"):
        Identity.of_item(item)


def test_an_identity_survives_being_stored(start: Start) -> None:
    identity = identity_of(start().pid)

    assert Identity.of_item(json.loads(json.dumps(identity.to_item()))) == identity
