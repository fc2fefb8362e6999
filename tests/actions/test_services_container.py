"""service.restart and service.start of containers: a small engine of ours for every turn, a real one where it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.policy.managed import Containers, Named
from tests.actions.fake_engine import CREATED, Engine, engine_at
from tests.tools import do_without

VERBS = ("restart", "start", "stop")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Return an engine with the container `web` that runs."""
    # the path of a socket has 107 bytes at most, and the folder of a test is longer
    with TemporaryDirectory(prefix="selfheal-ce-") as folder, engine_at(Path(folder).resolve() / "s.sock") as found:
        found.add("web")
        yield found


@pytest.fixture
def contained(host: Any, engine: Engine) -> Any:
    """Return a host that permits web and what begins with app-."""
    names = (Named("web", VERBS), Named("app-*", VERBS), Named("c*", VERBS), Named("selfheal*", VERBS))
    host.permit(containers=Containers(str(engine.socket), names))
    return host


def changes(engine: Engine) -> list[str]:
    """Return what the engine was told to do."""
    return [call for call in engine.calls if call.startswith("POST")]


def test_a_container_is_restarted_by_its_full_id_and_watched_until_it_runs_on(contained: Any, engine: Engine) -> None:
    before = json.loads(json.dumps(engine.containers["web"]))
    plan = contained.plan("service.restart", container="web")

    assert changes(engine) == []
    assert plan.items == ({"kind": "container", "container": "web", "id": before["Id"], "verb": "restart"},)
    assert plan.detail == {
        "container": "web",
        "id": before["Id"],
        "started_at": before["State"]["StartedAt"],
        "state": "running",
    }

    outcome = contained.run("service.restart", plan)

    assert outcome.ok
    assert outcome.effects == plan.items
    assert changes(engine) == [f"POST /containers/{before['Id']}/restart"]
    assert outcome.detail["started_at"] != before["State"]["StartedAt"]
    assert contained.points == ["effect_begun", "effect_done"]


def test_answers_in_chunks_are_read_whole(contained: Any, engine: Engine) -> None:
    engine.chunked = True

    assert contained.run("service.restart", contained.plan("service.restart", container="web")).ok


def test_a_container_that_has_ended_is_started_and_that_is_taken_back(contained: Any, engine: Engine) -> None:
    engine.add("app-1", "exited")
    plan = contained.plan("service.start", container="app-1")
    outcome = contained.run("service.start", plan)

    assert outcome.ok
    assert contained.plan("service.start", container="app-1").items == ()

    for _ in range(2):
        assert contained.dispatch().undo("web-1", "service.start", plan, outcome, 20.0).ok
        assert engine.containers["app-1"]["State"]["Status"] == "exited"
    assert [call.rpartition("/")[2] for call in changes(engine)] == ["start", "stop"]


@pytest.mark.parametrize("change", ["id", "start", "state"])
def test_another_container_or_another_run_of_it_than_planned_is_refused(
    contained: Any, engine: Engine, change: str
) -> None:
    plan = contained.plan("service.restart", container="web")
    if change == "id":
        engine.add("web", State=dict(engine.containers["web"]["State"]))
    elif change == "start":
        engine.do(engine.containers["web"], "restart")
    else:
        engine.do(engine.containers["web"], "stop")

    with pytest.raises(Refused, match="container 'web' is not in the run that was planned"):
        contained.run("service.restart", plan)

    assert changes(engine) == []
    assert contained.points == []


def test_what_somebody_else_started_is_not_stopped(contained: Any, engine: Engine) -> None:
    engine.add("app-1", "exited")
    plan = contained.plan("service.start", container="app-1")
    outcome = contained.run("service.start", plan)
    engine.do(engine.containers["app-1"], "restart")

    with pytest.raises(Refused, match="is not in the run that we started"):
        contained.dispatch().undo("web-1", "service.start", plan, outcome, 20.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (304, b""),
        (404, b'{"message":"no such container"}'),
        (409, b'{"message":"is being removed"}'),
        (500, b'{"message":"crun: \\u001b[31mno\\nway"}'),
        (500, b"not json"),
    ],
)
def test_an_engine_that_would_not_do_it_is_a_known_failure(
    contained: Any, engine: Engine, status: int, body: bytes
) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.answers["restart"] = (status, body)

    with pytest.raises(ActionFailed, match=f"would not restart container 'web': HTTP {status}") as told:
        contained.run("service.restart", plan)

    assert str(told.value).isprintable()
    assert len(changes(engine)) == 1


def test_an_error_after_something_was_done_is_told_with_what_was_done(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.answers["restart!"] = (500, b'{"message":"cannot start: port taken"}')
    engine.dies_after_start = True

    outcome = contained.run("service.restart", plan)

    assert not outcome.ok
    assert outcome.effects == plan.items
    assert outcome.detail["state"] == "exited"
    assert "port taken" in outcome.detail["why"]


def test_no_answer_in_time_to_what_was_told_has_an_unknown_outcome(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.hang.set()

    with pytest.raises(OutcomeUnknown, match="no answer in time"):
        contained.run("service.restart", plan, timeout=2.0)

    assert len(changes(engine)) == 1


def test_an_answer_that_drips_is_cut_and_what_was_only_asked_is_a_known_failure(contained: Any, engine: Engine) -> None:
    engine.drip = True

    with pytest.raises(ActionFailed, match="no answer in time"):
        contained.plan("service.restart", timeout=1.0, container="web")


def test_a_container_that_ends_again_at_once_is_not_well(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.dies_after_start = True

    outcome = contained.run("service.restart", plan)

    assert not outcome.ok
    assert outcome.detail["state"] == "exited"


def test_a_container_that_ends_a_moment_later_is_not_well(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.looks_alive = 2

    outcome = contained.run("service.restart", plan)

    assert not outcome.ok
    assert outcome.detail["state"] == "exited"


@pytest.mark.parametrize(("health", "well"), [("healthy", True), ("none", True), ("unhealthy", False)])
def test_where_a_check_is_declared_it_counts(contained: Any, engine: Engine, health: str, well: bool) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.health_after_start = health

    assert contained.run("service.restart", plan).ok is well


def test_a_check_that_is_still_starting_is_waited_for_until_the_time_is_over(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.health_after_start = "starting"

    outcome = contained.run("service.restart", plan, timeout=3.0)

    assert (outcome.ok, outcome.detail["health"]) == (False, "starting")


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("paused", Refused, "is paused: somebody wants it to stand still"),
        ("removing", ActionFailed, "is removing"),
        ("dead", ActionFailed, "is dead"),
    ],
)
def test_a_container_in_the_middle_of_something_is_left_alone(
    contained: Any, engine: Engine, state: str, error: type[Exception], why: str
) -> None:
    engine.add("app-1", state)

    with pytest.raises(error, match=why):
        contained.plan("service.restart", container="app-1")


def test_a_container_that_is_removed_when_it_stops_is_not_restarted(contained: Any, engine: Engine) -> None:
    engine.add("app-1", HostConfig={"AutoRemove": True})

    with pytest.raises(Refused, match="is removed once it stops"):
        contained.plan("service.restart", container="app-1")


def test_the_beginning_of_an_id_is_not_taken_for_a_name(contained: Any, engine: Engine) -> None:
    beginning = engine.containers["web"]["Id"][:8]
    assert beginning.startswith("c")

    with pytest.raises(ActionFailed, match="the engine took it for an id"):
        contained.plan("service.restart", container=beginning)


@pytest.mark.parametrize("name", ["db", "WEB", "web/../x", "web?all=1", "a" * 300, "selfheal-prometheus"])
def test_what_is_not_permitted_is_refused_and_not_even_asked_about(contained: Any, engine: Engine, name: str) -> None:
    with pytest.raises((Refused, Exception), match=r"container|256"):
        contained.plan("service.restart", container=name)

    assert engine.calls == []


@pytest.mark.parametrize("place", ["cgroup", "mountinfo"])
def test_the_container_that_we_run_in_is_never_touched(
    contained: Any, engine: Engine, tmp_path: Path, place: str
) -> None:
    procfs = tmp_path / "proc"
    (procfs / "77").mkdir(parents=True)
    (procfs / "self").symlink_to("77")
    found = engine.containers["web"]["Id"]
    lines = {
        "cgroup": f"0::/system.slice/docker-{found}.scope\n",
        "mountinfo": f"612 590 8:1 /var/lib/docker/containers/{found}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n",
    }
    (procfs / "77" / place).write_text(lines[place])
    contained.dispatch()
    dispatch = contained.dispatch()
    dispatch._procfs = procfs

    with pytest.raises(Refused, match="the remediator itself runs in container 'web'"):
        dispatch.plan("web-1", "service.restart", {"container": "web"}, 20.0)


def test_a_container_whose_mounts_only_lie_on_our_host_is_not_taken_for_ours(
    contained: Any, engine: Engine, tmp_path: Path
) -> None:
    procfs = tmp_path / "proc"
    (procfs / "77").mkdir(parents=True)
    (procfs / "self").symlink_to("77")
    found = engine.containers["web"]["Id"]
    # what the engine mounts for a container is seen by every program of the host
    mounted = f"/var/lib/containers/storage/overlay-containers/{found}/userdata/shm"
    (procfs / "77" / "mountinfo").write_text(f"812 27 0:52 / {mounted} rw,nosuid - tmpfs shm rw,size=64000k\n")
    contained.dispatch()
    dispatch = contained.dispatch()
    dispatch._procfs = procfs

    assert len(dispatch.plan("web-1", "service.restart", {"container": "web"}, 20.0).items) == 1


def test_an_engine_that_says_it_did_and_did_nothing_is_not_believed(contained: Any, engine: Engine) -> None:
    plan = contained.plan("service.restart", container="web")
    engine.answers["restart"] = (204, b"")

    outcome = contained.run("service.restart", plan)

    assert not outcome.ok
    assert outcome.detail["why"] == "container 'web' is in the run that it was in before"


def test_a_container_whose_process_is_ours_or_above_us_is_never_touched(contained: Any, engine: Engine) -> None:
    for pid in (os.getpid(), os.getppid()):
        engine.containers["web"]["State"]["Pid"] = pid

        with pytest.raises(Refused, match="the remediator itself runs in container 'web'"):
            contained.plan("service.restart", container="web")


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"[]",
            b"{}",
            b'{"Id": 1}',
            b"\xff",
            b"[" * 100_000,
            b'{"Name":"/web","Id":"../x","State":{"Status":"running"}}',
        ),
        b'{"Name":"/web","Id":"x","State":{"Status":"running","StartedAt":"x","Pid":1e999}}',
    ],
    ids=["list", "empty", "short", "no text", "deep", "no id", "no number"],
)
def test_what_an_engine_says_is_a_strangers_word(contained: Any, engine: Engine, body: bytes) -> None:
    engine.answers["inspect"] = (200, body)

    with pytest.raises(ActionFailed, match="what the engine says of container 'web'"):
        contained.plan("service.restart", container="web")


def test_a_socket_that_others_could_have_put_there_is_not_asked(contained: Any, engine: Engine) -> None:
    engine.socket.parent.chmod(0o777)

    with pytest.raises(ActionFailed, match="could be replaced: everybody may write in"):
        contained.plan("service.restart", container="web")

    assert engine.calls == []


def test_what_is_no_socket_is_not_asked(contained: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    contained.permit(containers=Containers(str(tmp_path / "file"), (Named("web", VERBS),)))

    with pytest.raises(ActionFailed, match="is no socket"):
        contained.plan("service.restart", container="web")


def test_a_start_permitted_alone_cannot_be_taken_back(contained: Any, engine: Engine) -> None:
    contained.permit(containers=Containers(str(engine.socket), (Named("app-*", ("start",)),)))
    engine.add("app-1", "exited")
    plan = contained.plan("service.start", container="app-1")
    outcome = contained.run("service.start", plan)

    with pytest.raises(Refused, match="'stop' is not permitted for container 'app-1'; there are start"):
        contained.dispatch().undo("web-1", "service.start", plan, outcome, 20.0)


@pytest.fixture
def podman() -> Iterator[Path]:
    """Run a real `podman system service` with one container that was never started; give its socket."""
    program = shutil.which("podman")
    if program is None:
        do_without("podman not found")
    if os.geteuid() != 0:
        pytest.skip("a container of root's storage needs root")
    # what the engine started to clean up may still write there for a moment
    with TemporaryDirectory(prefix="selfheal-pm-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / "rootfs/etc").mkdir(parents=True)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
        )
        environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
        base = [program, "--cgroup-manager=cgroupfs"]
        create = [*base, "create", "--name=web", "--rootfs", "--cgroups=disabled", "--network=host"]
        made = subprocess.run(
            [*create, str(folder / "rootfs"), "/bin/true"], env=environment, capture_output=True, text=True, timeout=60
        )
        if made.returncode != 0:
            pytest.skip(f"podman can make no container here: {made.stderr[-200:]}")
        service = subprocess.Popen(
            [*base, "system", "service", "--time=0", f"unix://{folder}/s.sock"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            while not (folder / "s.sock").exists():
                assert service.poll() is None
                assert time.monotonic() < deadline, "podman never listened"
                os.sched_yield()
            yield folder / "s.sock"
        finally:
            subprocess.run([*base, "rm", "--force", "--all"], env=environment, capture_output=True, timeout=60)
            service.terminate()
            service.wait()
            # it leaves its storage mounted onto itself
            for mount in ("store/vfs", "store"):
                subprocess.run(["umount", "--lazy", str(folder / mount)], capture_output=True, timeout=30)


def test_a_real_podman_is_understood(host: Any, podman: Path) -> None:
    host.permit(containers=Containers(str(podman), (Named("w*", VERBS), Named("nobody", VERBS))))

    plan = host.plan("service.start", container="web")

    assert plan.detail["state"] == "created"
    assert plan.detail["started_at"] == CREATED
    assert len(plan.detail["id"]) == 64
    with pytest.raises(ActionFailed, match="there is no container 'nobody'"):
        host.plan("service.start", container="nobody")
    # its root is empty, so whatever this machine can run, the engine answers that it would not start it
    with pytest.raises(ActionFailed, match="the engine would not start container 'web': HTTP"):
        host.run("service.start", plan)
