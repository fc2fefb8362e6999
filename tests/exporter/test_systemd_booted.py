"""The systemd collector beside node_exporter, both asking a real systemd as it boots, works and fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.collectors.systemd import UNITS_EXCLUDED
from selfheal.stack.oracles import NEWER
from tests.booted import Booted, booted
from tests.exporter.oracle.pages import Page
from tests.exporter.oracle.running import Exporter, node_exporter, ours, running
from tests.exporter.trees import wait_until

FLAGS = [
    "--collector.disable-defaults",
    "--collector.systemd",
    # Debian's package excludes targets as well
    f"--collector.systemd.unit-exclude={UNITS_EXCLUDED}",
    *(f"--collector.systemd.enable-{what}-metrics" for what in ("restarts", "start-time", "task")),
]
QUICK = "--collector.systemd.refresh-interval=1s"
SOON = "[Unit]\nDefaultDependencies=no\n[Service]\n"
UNITS = {
    "web@.service": SOON + "ExecStart=/bin/sleep 1000\n",
    "broken.service": SOON + "ExecStart=/bin/false\n",
    "restarting.service": SOON + "ExecStart=/bin/false\nRestart=on-failure\nRestartSec=50ms\nStartLimitBurst=3\n",
    "job.service": SOON + "Type=oneshot\nExecStart=/bin/true\n",
    "job.timer": "[Unit]\nDefaultDependencies=no\n[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\n",
    "open.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/open\nAccept=yes\n",
    "open@.service": SOON + "ExecStart=/bin/cat\nStandardInput=socket\n",
}


@pytest.fixture(scope="module")
def world() -> Iterator[Booted]:
    with booted(UNITS) as world:
        world.systemctl("start", "web@1", "web@two\\x20words", "job.timer", "open.socket")
        world.systemctl("start", "broken", "restarting", check=False)
        wait_until(lambda: world.systemctl("is-failed", "restarting", check=False) == "failed")
        wait_until(lambda: "n/a" not in world.systemctl("show", "-P", "LastTriggerUSec", "job.timer"))
        yield world


def of_systemd(page: Page) -> dict[str, object]:
    return {name: (family.kind, family.samples) for name, family in page.items() if name.startswith("node_systemd")}


def asked(exporter: Exporter) -> dict[str, object]:
    """Return what ours tells of systemd, once its first refresh has ended."""
    wait_until(lambda: "node_systemd_units" in exporter.ask())
    return of_systemd(exporter.ask())


def test_a_booted_systemd_is_told_as_by_node_exporter(world: Booted) -> None:
    with (
        running(world.inside(*node_exporter(NEWER["node_exporter"], *FLAGS))) as oracle,
        running(world.inside(*ours(*FLAGS, QUICK))) as exporter,
    ):
        mine, theirs = asked(exporter), of_systemd(oracle.ask())

    # it came to node_exporter after this version
    assert mine.pop("node_systemd_virtualization_info")
    assert mine == theirs
    assert len(mine) == 12


def test_a_unit_that_fails_later_is_seen_at_the_next_refresh(world: Booted) -> None:
    failed = 'node_systemd_unit_state{name="web@1.service",state="failed",type="simple"}'
    with running(world.inside(*ours(*FLAGS, QUICK))) as exporter:
        asked(exporter)
        before = f"{failed} 0" in exporter.text()
        world.systemctl("kill", "--kill-whom=main", "--signal=SEGV", "web@1")
        wait_until(lambda: f"{failed} 1" in exporter.text())

    assert before
