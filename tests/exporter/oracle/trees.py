"""The captured and written trees on which the oracles and ours must tell the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporter.collectors.filesystem import MOUNT_POINTS_EXCLUDED
from exporter.config import make_parser
from tests.exporter import trees

FOLDER = trees.FIXTURES / "oracle"

# what node_exporter would ask the kernel for, past the tree that it is given
WITHOUT_NETLINK = ("--no-collector.netdev.netlink", "--no-collector.arp.netlink")

# Debian's package leaves out other mounts than node_exporter itself does; with the flag both have the same
SAME_MOUNTS = f"--collector.filesystem.mount-points-exclude={MOUNT_POINTS_EXCLUDED}"

# Debian's package reads a folder by default; this one has no such files
NO_TEXTFILES = f"--collector.textfile.directory={trees.ROOTFS}"


@dataclass(frozen=True, slots=True)
class Tree:
    """A host as files: its procfs, sysfs and root, and what both exporters are told besides."""

    name: str
    proc: Path
    sys: Path
    root: Path
    groups: Path | None = None
    more: tuple[str, ...] = ()

    def flags(self) -> tuple[str, ...]:
        """Return the flags that node_exporter is started with."""
        paths = (f"--path.procfs={self.proc}", f"--path.sysfs={self.sys}", f"--path.rootfs={self.root}")
        return (*paths, SAME_MOUNTS, *self.more, *WITHOUT_NETLINK)

    def process_flags(self) -> tuple[str, ...]:
        """Return the flags that process-exporter is started with."""
        return (f"-procfs={self.proc}", *self.group_flags())

    def group_flags(self) -> tuple[str, ...]:
        """Return the flag that names the groups of processes, the same for both."""
        return (f"-config.path={self.groups}",)

    def our_flags(self) -> tuple[str, ...]:
        """Return the flags that ours is started with: those of node_exporter that it knows."""
        known = make_parser()._option_string_actions
        return tuple(flag for flag in self.flags() if flag.partition("=")[0] in known)

    def suits(self, collector: str) -> bool:
        """Say whether node_exporter can be asked for a collector here.

        Its cpu collector dies where no CPU is, and its tcpstat asks the kernel past the tree.
        """
        has_cpus = any((self.sys / "devices/system/cpu").glob("cpu[0-9]*"))
        return collector != "tcpstat" and (collector != "cpu" or has_cpus)


def _tree(folder: Path) -> Tree:
    more = [] if (folder / "textfile").exists() else [NO_TEXTFILES]
    for flag, part in (
        ("path.udev.data", "root/run/udev/data"),
        ("collector.textfile.directory", "textfile"),
    ):
        if (folder / part).exists():
            more.append(f"--{flag}={folder / part}")
    if (folder / "flags").exists():
        lines = (folder / "flags").read_text().splitlines()
        more += [line for line in lines if line and not line.startswith("#")]
    groups = folder / "processes.yml"
    # the incumbents do not start without the folders; in proc nothing of sys or root is found
    parts = (folder / part if (folder / part).exists() else folder / "proc" for part in ("proc", "sys", "root"))
    return Tree(folder.name, *parts, groups=groups if groups.exists() else None, more=tuple(more))


# the small host that the other tests of the exporter read is one, too
SMALL = Tree("small", trees.PROCFS, trees.PROCFS, trees.ROOTFS, trees.GROUPS, (NO_TEXTFILES,))
TREES = {
    tree.name: tree for tree in (SMALL, *(_tree(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()))
}

# process-exporter wants more of a process than the small host's tree has
GROUPED = {name: tree for name, tree in TREES.items() if tree.groups is not None and tree is not SMALL}
