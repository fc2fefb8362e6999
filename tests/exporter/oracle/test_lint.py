"""promtool on a page with every metric that there is: what it finds is what it finds of the incumbents' own names."""

from __future__ import annotations

import subprocess
from functools import cache

from selfheal.stack.oracles import NEWER, OLDER
from tests.exporter.catalogue import entries
from tests.exporter.oracle.table import NODE, PROCESS
from tests.exporter.oracle.versions import texts
from tests.tools import binary

INCUMBENTS = ("node_", "namedprocess_")
# systemd cannot be asked on a tree: what node_exporter has as a gauge there
_OF_SYSTEMD = 'node_systemd_socket_refused_connections_total non-counter metrics should not have "_total" suffix'


def lint(page: str) -> set[str]:
    """Return what promtool says of a page, a finding a line."""
    done = subprocess.run(
        [binary("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, timeout=30, check=False
    )
    assert "pars" not in done.stderr, done.stderr
    return set((done.stdout + done.stderr).splitlines())


@cache
def inherited() -> set[str]:
    """Return what promtool says of the incumbents' pages, both versions of each."""
    pages = [
        text for name in (NODE, PROCESS) for version in (OLDER[name], NEWER[name]) for text in texts(name, version)
    ]
    return {finding for page in pages for finding in lint(page)} | {_OF_SYSTEMD}


def everything() -> str:
    """Return a page with one series of every metric."""
    lines = []
    for entry in entries():
        labels = ",".join(f'{label}="x"' for label in entry.labels)
        lines += [f"# HELP {entry.name} {entry.meaning}", f"# TYPE {entry.name} {entry.kind}"]
        if entry.kind == "histogram":
            inside = f"{labels}," if labels else ""
            lines += [f'{entry.name}_bucket{{{inside}le="+Inf"}} 0']
            lines += [f"{entry.name}_{part}{{{labels}}} 0" for part in ("sum", "count")]
        else:
            lines.append(f"{entry.name}{{{labels}}} 0")
    return "\n".join([*lines, ""])


def test_under_our_own_prefixes_promtool_finds_nothing() -> None:
    assert [finding for finding in lint(everything()) if not finding.startswith(INCUMBENTS)] == []


def test_under_the_incumbents_prefixes_it_finds_only_what_it_finds_of_them() -> None:
    found = {finding for finding in lint(everything()) if finding.startswith(INCUMBENTS)}

    assert found - inherited() == set()
    # the page is read: the names that the incumbents gave are not what promtool would have
    assert len(found) > 30
