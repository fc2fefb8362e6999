"""What a container or a supervised program runs is judged, not only what it is called or which process is its first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from remediator.actions.local import LocalDispatch
from remediator.errors import Refused
from remediator.policy.managed import Containers, Named, image_name, is_never, pids_below
from tests.actions.fake_engine import Engine, engine_at

VERBS = ("restart", "start", "stop")
OURS = 77
FIRST = 4000


class Proc:
    """A procfs with us in it, and what else a test puts there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.put(OURS, "selfheal", parent=0)
        (path / "self").symlink_to(str(OURS))

    def put(self, pid: int, program: str, *, parent: int = 1, group: int = 0, cgroup: str = "/") -> None:
        """Add a process that runs a program, in a pid namespace of its own."""
        folder = self.path / str(pid)
        folder.mkdir()
        # proc(5): after the state come the parent and the process group, and the flags further on
        fields = [str(parent), str(group or pid), *["0"] * 20]
        (folder / "stat").write_text(f"{pid} ({Path(program).name[:15]}) S {' '.join(fields)}\n")
        (folder / "cmdline").write_bytes(program.encode() + b"\0")
        (folder / "statm").write_text("10 10 1 1 0 1 0\n")
        (folder / "status").write_text(f"Uid:\t1000\t1000\t1000\t1000\nNSpid:\t{pid}\t1\n")
        (folder / "cgroup").write_text(f"0::{cgroup}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """Return a procfs in which only we are seen."""
    return Proc(tmp_path / "proc")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Return an engine with the container `web` that runs, with a pid that we need not see."""
    # the path of a socket has 107 bytes at most, and the folder of a test is longer
    with TemporaryDirectory(prefix="selfheal-ce-") as folder, engine_at(Path(folder).resolve() / "s.sock") as found:
        found.add("web")["State"]["Pid"] = FIRST
        yield found


@pytest.fixture
def plan(host: Any, engine: Engine, proc: Proc) -> Callable[..., Any]:
    """Return what plans an action on a container under that procfs; every name is permitted."""
    names = tuple(Named(f"{letter}*", VERBS) for letter in "abcdefghijklmnopqrstuvwxyz")
    host.permit(containers=Containers(str(engine.socket), names))
    dispatch: LocalDispatch = host.dispatch()
    dispatch._procfs = proc.path
    return lambda name="web", action="service.restart": dispatch.plan("web-1", action, {"container": name}, 20.0)


def scope(engine: Engine, name: str = "web") -> str:
    """Return the control group in which an engine puts a container."""
    return f"/system.slice/docker-{engine.containers[name]['Id']}.scope"


@pytest.mark.parametrize(
    "name",
    [
        *("stack-prometheus-1", "monitoring_alertmanager_1", "stack-node-exporter-1", "obs_node_exporter_1"),
        *("stack-process-exporter-1", "ops.selfheal.1", "jump-sshd", "Stack-Prometheus2-1", "prometheus-like"),
        *("prometheusx", "group:prometheusx", "group:my-sshd", "prom/prometheus", "quay.io/prometheus/x"),
    ],
)
def test_the_monitoring_is_known_by_any_word_of_a_name(name: str) -> None:
    assert is_never(name)


@pytest.mark.parametrize(
    "name",
    ["web", "stack-prometheusql-1", "myprometheus", "lamprometheus-1", "washd", "node-1-exporter", "prom", "ssh"],
)
def test_a_word_of_the_monitoring_inside_another_is_none(name: str) -> None:
    assert not is_never(name)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("prom/prometheus:v3.1.0", "prom/prometheus"),
        ("quay.io/prometheus/alertmanager@sha256:" + "a" * 64, "prometheus/alertmanager"),
        ("registry.selfheal.internal:5000/shop/web:2", "shop/web"),
        ("localhost/web", "web"),
        ("web:prometheus", "web"),
        ("sha256:" + "a" * 64, ""),
        ("a" * 12, ""),
        ("", ""),
    ],
)
def test_an_image_is_known_by_its_name_without_registry_tag_and_digest(image: str, name: str) -> None:
    assert image_name(image) == name


def test_a_container_of_compose_is_refused_by_its_name_alone(plan: Callable[..., Any], engine: Engine) -> None:
    engine.add("stack-prometheus-1", Config={"Image": "registry.example/own:1"})

    with pytest.raises(Refused, match="belongs to the monitoring itself"):
        plan("stack-prometheus-1")

    assert engine.calls == []


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"Config": {"Image": "docker.io/prom/prometheus:v3"}}, "prom/prometheus"),
        ({"Config": {"Image": "shop/own"}, "Path": "/bin/alertmanager"}, "alertmanager"),
    ],
    ids=["image", "program"],
)
@pytest.mark.parametrize("state", ["running", "exited"])
def test_what_a_container_runs_is_told_by_its_image_and_program(
    plan: Callable[..., Any], engine: Engine, more: dict[str, Any], what: str, state: str
) -> None:
    engine.add("metrics", state, **more)

    with pytest.raises(Refused, match=f"container 'metrics' runs '{what}', which belongs to the monitoring itself"):
        plan("metrics", "service.start")


@pytest.mark.parametrize(
    ("program", "why"),
    [("/bin/prometheus", "belongs to the monitoring itself"), ("/usr/sbin/sshd", "belongs to sshd")],
)
def test_every_process_of_a_container_is_judged_and_not_only_its_first(
    plan: Callable[..., Any], engine: Engine, proc: Proc, program: str, why: str
) -> None:
    proc.put(FIRST, "/sbin/docker-init", cgroup=scope(engine))
    assert plan().items

    proc.put(FIRST + 1, program, parent=FIRST, cgroup=f"{scope(engine)}/inner")

    with pytest.raises(Refused, match=rf"container 'web' is not touched: pid 4001 .* {why}"):
        plan()


def test_a_process_of_another_container_does_not_count(plan: Callable[..., Any], engine: Engine, proc: Proc) -> None:
    engine.add("other")
    # the number that the engine tells is somebody else's here
    proc.put(FIRST, "/bin/prometheus", cgroup=scope(engine, "other"))

    assert plan().items


def test_a_container_in_whose_control_group_we_are_is_ours(
    plan: Callable[..., Any], engine: Engine, proc: Proc
) -> None:
    # seen under a number that is not the engine's, and not by our own control group
    (proc.path / str(OURS) / "cgroup").write_text("0::/\n")
    proc.put(60, "/sbin/docker-init", cgroup=scope(engine))
    (proc.path / str(OURS) / "stat").write_text(f"{OURS} (selfheal) S 60 {OURS} {'0 ' * 20}\n")

    with pytest.raises(Refused, match="the remediator itself runs in container 'web'"):
        plan()


@pytest.mark.parametrize("config", [{"Image": ""}, {"Image": "sha256:" + "a" * 64}, None])
def test_a_container_of_which_neither_processes_nor_image_can_be_told_is_refused(
    plan: Callable[..., Any], engine: Engine, proc: Proc, config: Any
) -> None:
    engine.containers["web"]["Config"] = config

    with pytest.raises(Refused, match="neither its processes can be seen from here nor the name of its image"):
        plan()

    proc.put(FIRST, "/bin/web", cgroup=scope(engine))
    assert plan().items


def test_what_came_of_a_start_is_seen_though_it_would_not_be_restarted(
    host: Any, plan: Callable[..., Any], engine: Engine
) -> None:
    engine.add("app", "exited", Config={"Image": ""})

    assert host.run("service.start", plan("app", "service.start")).ok
    with pytest.raises(Refused, match="neither its processes can be seen"):
        plan("app")


def test_where_no_process_can_be_seen_the_name_and_the_image_decide(plan: Callable[..., Any]) -> None:
    assert plan().items


def test_what_ends_with_a_program_is_what_is_below_it_and_in_its_process_group(proc: Proc) -> None:
    proc.put(100, "sh", parent=99)
    proc.put(101, "sh", parent=100)
    proc.put(102, "worker", parent=101)
    proc.put(103, "orphan", parent=1, group=100)
    proc.put(104, "other", parent=99)
    # a number that was given anew while we looked can make a ring
    proc.put(106, "ring", parent=102)
    (proc.path / "100" / "stat").write_text(f"100 (a) b) S 106 100 {'0 ' * 20}\n")

    assert pids_below(100, proc.path) == {100, 101, 102, 103, 106}
