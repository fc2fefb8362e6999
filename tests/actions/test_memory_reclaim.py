"""memory.reclaim on a written tree of control groups: what is asked for, and of whom; no kernel gives anything back."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator import kernel
from remediator.errors import ActionFailed, Refused
from remediator.policy.values import Programs, Unit

MIB = 1024 * 1024
SAYS = """#!{python}
import sys
unit = sys.argv[-1]
known = {{"web.service": "/system.slice/web.service", "idle.service": ""}}
if unit not in known: sys.exit("no such unit")
for line in ("Id=" + unit, "Names=" + unit, "MainPID=0", "ControlGroup=" + open({path!r}).read()): print(line)
"""


class Tree:
    """A written tree of control groups of version 2, and a systemctl that tells of it."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "sys/fs/cgroup"
        self.group = self.top / "system.slice/web.service"
        self.group.mkdir(parents=True)
        (self.top / "cgroup.controllers").write_text("cpu memory\n")
        (self.group / "memory.current").write_text(f"{100 * MIB}\n")
        (self.group / "memory.reclaim").write_text("")
        self.told = folder / "told"
        self.told.write_text("/system.slice/web.service")
        self.systemctl = folder / "systemctl"
        self.systemctl.write_text(SAYS.format(python=sys.executable, path=str(self.told)))
        self.systemctl.chmod(0o755)

    @property
    def asked(self) -> str:
        """What was written last."""
        return (self.group / "memory.reclaim").read_text()


@pytest.fixture
def tree(host: Any) -> Tree:
    """Return a written tree whose unit web.service may be reclaimed from."""
    tree = Tree(host.folder)
    host.permit(
        units=(Unit("web.service", ("reclaim",)),),
        sysfs=host.folder / "sys",
        programs=Programs(systemctl=str(tree.systemctl)),
    )
    return tree


def plan(host: Any, amount: object = "40MiB", unit: str = "web.service") -> Any:
    """Plan a reclaim."""
    return host.plan("memory.reclaim", unit=unit, amount=amount)


def test_the_plan_asks_for_no_more_than_the_unit_holds(host: Any, tree: Tree) -> None:
    (item,) = plan(host).items
    assert (item["unit"], item["cgroup"], item["bytes"]) == ("web.service", "/system.slice/web.service", 40 * MIB)
    (item,) = plan(host, "1GiB").items
    assert item["bytes"] == 100 * MIB
    assert tree.asked == ""


def test_a_run_asks_in_parts_and_tells_what_it_was_before_and_is_after(
    host: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    write = kernel._write

    def give_back(descriptor: int, text: str) -> None:
        asked.append(text)
        write(descriptor, text)
        left = int((tree.group / "memory.current").read_text()) - int(text)
        (tree.group / "memory.current").write_text(str(left))

    monkeypatch.setattr(kernel, "_write", give_back)
    monkeypatch.setattr(kernel, "CHUNK", 30 * MIB)

    outcome = host.run("memory.reclaim", plan(host, "80MiB"))

    assert outcome.ok
    assert asked == [str(30 * MIB), str(30 * MIB), str(20 * MIB)]
    assert outcome.effects == ({"kind": "memory", "unit": "web.service", "bytes": 80 * MIB},)
    assert (outcome.detail["before_bytes"], outcome.detail["after_bytes"]) == (100 * MIB, 20 * MIB)
    assert host.points == ["effect_begun", "effect_done"]


def test_what_is_asked_for_is_written_as_a_number(host: Any, tree: Tree) -> None:
    host.run("memory.reclaim", plan(host, "40MiB"))

    assert tree.asked == str(40 * MIB)


def test_a_kernel_that_has_no_more_to_give_is_told(host: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, _: str) -> None:
        os.close(descriptor)
        raise BlockingIOError(errno.EAGAIN, "nothing left")

    monkeypatch.setattr(kernel, "_write", refuse)

    outcome = host.run("memory.reclaim", plan(host))

    assert not outcome.ok
    assert outcome.detail["stopped_because"] == "the kernel found no more to reclaim"
    assert outcome.effects[0]["bytes"] == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda tree: (tree.top / "cgroup.controllers").unlink(), id="version 1"),
        pytest.param(lambda tree: (tree.group / "memory.reclaim").unlink(), id="before 5.19"),
        pytest.param(lambda tree: (tree.group / "memory.current").unlink(), id="no accounting"),
        pytest.param(lambda tree: tree.told.write_text(""), id="does not run"),
        pytest.param(lambda tree: (tree.group / "memory.current").write_text("0\n"), id="holds nothing"),
    ],
)
def test_where_nothing_can_be_reclaimed_there_is_nothing_to_do(
    host: Any, tree: Tree, change: Callable[[Tree], None]
) -> None:
    change(tree)

    assert plan(host).items == ()


def test_a_unit_that_was_started_anew_since_is_refused(host: Any, tree: Tree) -> None:
    planned = plan(host)
    other = tree.group.with_name("other")
    tree.group.rename(tree.group.with_name("old"))
    other.mkdir()
    for name in ("memory.current", "memory.reclaim"):
        (other / name).write_text("1\n" if name == "memory.current" else "")
    other.rename(tree.group)

    with pytest.raises(Refused, match="was started anew since this was planned"):
        host.run("memory.reclaim", planned)
    assert tree.asked == ""


def test_a_unit_that_ended_since_is_refused(host: Any, tree: Tree) -> None:
    planned = plan(host)
    tree.told.write_text("")

    with pytest.raises(Refused, match="has another control group than was planned"):
        host.run("memory.reclaim", planned)


@pytest.mark.parametrize(
    "told", ["/", "/system.slice", "/../web.service", "/system.slice/../web.service", "web.service"]
)
def test_an_answer_of_systemd_that_is_not_the_units_own_group_is_refused(host: Any, tree: Tree, told: str) -> None:
    tree.told.write_text(told)

    with pytest.raises(Refused, match="is not the control group of unit"):
        plan(host)


def test_a_link_on_the_way_is_never_followed(host: Any, tree: Tree) -> None:
    tree.group.rename(tree.top / "elsewhere")
    tree.group.symlink_to(tree.top / "elsewhere")

    with pytest.raises(Refused, match="leads over a link"):
        plan(host)


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("db.service", "is not permitted; list it under units"),
        ("system.slice", r"is no \.service"),
        ("ssh.service", "keeps this host reachable"),
    ],
)
def test_only_a_unit_that_the_policy_lists_for_it_is_asked(host: Any, tree: Tree, unit: str, why: str) -> None:
    host.permit(units=(*host.policy.units, Unit("ssh.service", ("reclaim",))))

    with pytest.raises(Refused, match=why):
        plan(host, unit=unit)


def test_a_unit_that_is_permitted_for_other_things_is_refused(host: Any, tree: Tree) -> None:
    host.permit(units=(Unit("web.service", ("restart",)),))

    with pytest.raises(Refused, match=r"'reclaim' is not permitted for unit 'web\.service'"):
        plan(host)


def test_a_unit_that_systemd_does_not_know_is_a_failure(host: Any, tree: Tree) -> None:
    host.permit(units=(Unit("gone.service", ("reclaim",)),))

    with pytest.raises(ActionFailed, match="systemd does not tell of unit"):
        plan(host, unit="gone.service")


def test_a_policy_taken_away_stops_a_stored_plan(host: Any, tree: Tree) -> None:
    planned = plan(host)
    host.permit(units=())

    with pytest.raises(Refused, match="is not permitted"):
        host.run("memory.reclaim", planned)
    assert tree.asked == ""


@pytest.mark.parametrize("changed", [{"bytes": 0}, {"bytes": "all"}, {"unit": None}, {"kind": "file"}])
def test_a_stored_plan_that_names_no_memory_is_refused(host: Any, tree: Tree, changed: dict[str, object]) -> None:
    planned = plan(host)

    with pytest.raises(Refused, match="the stored plan names no memory of a unit"):
        host.run("memory.reclaim", replace(planned, items=({**planned.items[0], **changed},)))
    assert tree.asked == ""
