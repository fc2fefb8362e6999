"""Membership kept by differences is what it would be if everything were worked out anew; caps and graces hold."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.groups import Groups, Rules
from exporter.procfs.members import Stat
from exporter.procfs.processes import Look, ProcessTable
from exporter.procfs.record import Record
from selfheal.common.clock import ManualClock
from selfheal.common.processes import nearest_groups
from tests.exporter.test_process import PREFIX, cpu, edit_stat, groups_file, remove
from tests.exporter.trees import copied_procfs, create, values


class World:
    """Processes that exist only here, and groups that are told what happens to them."""

    def __init__(self, **rules: object) -> None:
        table = ProcessTable(Path("/nowhere"))
        self.alive = table.records
        self.zombies = table.zombies
        self.groups = Groups(table, Rules(match=self.match, literal=("a",), **rules))  # type: ignore[arg-type]
        self.look = Look()
        self.used = 0

    @staticmethod
    def match(record: Record) -> str | None:
        """The name of a process is its group, unless it is a dash."""
        return None if record.comm == "-" else record.comm

    def stat(self, comm: str, ppid: int, state: str = "S") -> Stat:
        """Return a stat of a process that has used something more."""
        self.used += 1
        virtual = 0 if state == "Z" else 1000
        return Stat(comm.encode(), state, ppid, 0, 0, self.used, 0, 1, 50, virtual, b"1")

    def born(self, pid: int, comm: str, ppid: int) -> None:
        """Let a process be born."""
        self.alive[pid] = Record(pid, b"", self.stat(comm, ppid), 0)
        self.look.born.append(self.alive[pid])

    def changed(self, pid: int, comm: str, ppid: int, state: str = "S") -> None:
        """Let a process be another program, child or state."""
        record = self.alive[pid]
        record.version += record.stat.comm != comm.encode()
        record.stat = self.stat(comm, ppid, state)
        if state == "Z":
            self.zombies.add(pid)
        self.look.changed.append(record)

    def gone(self, pid: int) -> None:
        """Let a process end; its children are init's then."""
        self.look.gone.append(self.alive.pop(pid))
        self.zombies.discard(pid)
        for child, record in self.alive.items():
            if record.stat.ppid == pid:
                self.changed(child, record.comm, 1)

    def turn(self) -> None:
        """Let the groups see what has happened."""
        joined = self.groups.assign(self.look)
        for record in self.alive.values():
            record.thread_states = record.stat.state
            if record.member:
                record.counters = (record.stat.user_ticks, 0, 0, 0, 0, 0, 0, 0)
                record.resident_pages = record.pid
        self.groups.settle(self.look, joined)
        self.look = Look()

    def expected(self) -> dict[str, set[int]]:
        """Return the members by group as worked out anew."""
        own = {pid: None if record.is_zombie else self.match(record) for pid, record in self.alive.items()}
        found = nearest_groups(own, {pid: record.stat.ppid for pid, record in self.alive.items()})
        members: dict[str, set[int]] = {}
        for pid, name in found.items():
            if not self.alive[pid].is_zombie:
                members.setdefault(name, set()).add(pid)
        return members


EVENTS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["born", "changed", "zombie", "gone"]),
            st.integers(2, 12),
            st.sampled_from(["a", "b", "-"]),
            st.integers(0, 12),
        ),
        max_size=6,
    ),
    max_size=10,
)


@given(EVENTS)
def test_differences_lead_to_the_members_that_working_out_anew_finds(
    looks: list[list[tuple[str, int, str, int]]],
) -> None:
    world = World()
    world.born(1, "-", 0)
    for events in looks:
        touched: set[int] = set()
        for what, pid, comm, ppid in events:
            # one event of each process in one look, as the table tells it; nobody is the child of a zombie
            if pid in touched or ppid == pid or ppid in world.zombies or ppid not in world.alive:
                continue
            touched.add(pid)
            if pid not in world.alive and what == "born":
                world.born(pid, comm, ppid)
            elif pid in world.alive and pid not in world.zombies:
                children = [child for child, record in world.alive.items() if record.stat.ppid == pid]
                if what == "changed":
                    world.changed(pid, comm, ppid)
                elif what == "gone" and not touched & {*children}:
                    world.gone(pid)
                    touched |= {*children}
                elif what == "zombie" and not children:
                    world.changed(pid, comm, ppid, "Z")
        world.turn()

        found = {group.name: set(group.members) for group in world.groups.present(0.0) if group.members}
        assert found == world.expected()
        for group in world.groups.present(0.0):
            assert group.sums.processes == len(group.members)
            assert group.sums.resident_pages == sum(group.members)
            assert group.sums.sleeping == len(group.members)


def test_a_fork_and_its_own_child_join_the_nearest_group_whoever_is_listed_first() -> None:
    world = World()
    world.born(1, "-", 0)
    world.born(9, "a", 1)
    world.turn()
    world.born(3, "-", 5)
    world.born(5, "-", 9)
    world.turn()

    (group,) = world.groups.present(0.0)
    assert set(group.members) == {3, 5, 9}


def test_what_a_member_used_last_counts_although_it_is_seen_as_a_zombie() -> None:
    world = World()
    world.born(1, "a", 0)
    world.turn()
    (group,) = world.groups.present(0.0)
    record = world.alive[1]
    assert group.account.totals[0] == record.stat.user_ticks
    world.changed(1, "a", 0, "Z")
    record.counters = (record.stat.user_ticks, 0, 0, 0, 0, 0, 0, 0)
    world.turn()

    assert group.account.totals[0] == record.stat.user_ticks
    assert not group.members


def test_beyond_the_most_groups_members_are_counted_as_other_until_there_is_room() -> None:
    world = World(most=3, grace_seconds=10.0)
    for pid, name in enumerate(["b", "c", "d", "e", "e"], start=2):
        world.born(pid, name, 1)
    world.turn()

    counts = {group.name: group.sums.processes for group in world.groups.present(0.0)}
    assert counts == {"a": 0, "b": 1, "c": 1, "other": 3}
    assert world.groups.folded() == 2

    world.gone(2)
    world.turn()
    assert "b" in [group.name for group in world.groups.present(1.0)]
    world.groups.present(12.0)
    world.turn()
    counts = {group.name: group.sums.processes for group in world.groups.present(12.0)}
    assert counts == {"a": 0, "c": 1, "d": 1, "other": 2}
    assert world.groups.folded() == 1


CONFIG = "process_names: [{name: fixed, comm: [nobody]}, {name: 'p-{{.PID}}', comm: [queue, web]}]"


def test_the_cap_and_what_was_folded_are_told(tmp_path: Path) -> None:
    collect = create("process", groups_file(tmp_path, CONFIG), "--collector.process.max-groups=2", "--children=false")
    found = values(collect())

    groups = sorted(series for series in found if series.startswith(f"{PREFIX}num_procs"))
    assert len(groups) == 3
    assert f'{PREFIX}num_procs{{groupname="other"}}' in groups
    assert int(found["selfheal_process_groups_folded"]) == int(found[f'{PREFIX}num_procs{{groupname="other"}}']) > 0


def test_empty_groups_are_forgotten_at_once_when_that_is_asked_for(tmp_path: Path) -> None:
    procfs, clock = copied_procfs(tmp_path), ManualClock()
    flag = groups_file(tmp_path, CONFIG)
    collect = create("process", flag, "-remove-empty-groups", procfs=procfs, clock=clock)
    assert f'{PREFIX}num_procs{{groupname="p-900"}}' in values(collect())
    remove(procfs, 900)
    found = values(collect())

    assert f'{PREFIX}num_procs{{groupname="p-900"}}' not in found
    assert found[f'{PREFIX}num_procs{{groupname="fixed"}}'] == "0"


def test_the_grace_of_a_group_can_be_chosen(tmp_path: Path) -> None:
    procfs, clock = copied_procfs(tmp_path), ManualClock()
    flag = groups_file(tmp_path, CONFIG)
    collect = create("process", flag, "--collector.process.group-grace=1m", procfs=procfs, clock=clock)
    collect()
    remove(procfs, 900)
    collect()
    clock.advance(60)
    assert f'{PREFIX}num_procs{{groupname="p-900"}}' in values(collect())
    clock.advance(1)

    assert f'{PREFIX}num_procs{{groupname="p-900"}}' not in values(collect())


def test_without_children_only_who_matches_itself_is_a_member(tmp_path: Path) -> None:
    config = "process_names: [{name: web, comm: ['web'], exe: [/usr/sbin/web]}]"
    with_children = values(create("process", groups_file(tmp_path, config))())
    without = values(create("process", groups_file(tmp_path, config), "-children=false")())

    count = f'{PREFIX}num_procs{{groupname="web"}}'
    assert int(without[count]) < int(with_children[count])


def test_what_changes_is_rendered_again_and_the_rest_stays(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create(
        "process", groups_file(tmp_path, "process_names: [{name: '{{.Comm}}', comm: [queue, web]}]"), procfs=procfs
    )
    collect()
    before = values(collect())
    user = int((procfs / "900/stat").read_text().rpartition(")")[2].split()[11])
    edit_stat(procfs, 900, user=user + 7)
    after = values(collect())

    assert cpu(after, "queue") == cpu(before, "queue") + 0.07
    assert cpu(after, "web") == cpu(before, "web")
