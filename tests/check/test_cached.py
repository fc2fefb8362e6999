"""How often the exporter reads what it reads apart from the scrape is known here as it is there."""

from __future__ import annotations

import argparse

from exporter.collectors import systemd
from exporter.deployment import written as deployment
from exporter.heartbeat import written as heartbeat
from exporter.jsonsource import written as jsonsource
from exporter.probe import written as probe
from exporter.workspace import written as workspace
from remediator.check.cached import INTERVALS
from selfheal.common.durations import parse_duration


def test_the_intervals_are_the_exporters_own() -> None:
    parser = argparse.ArgumentParser()
    systemd.add_flags(parser)
    every = parse_duration(parser.get_default("collector.systemd.refresh_interval"))

    assert {
        "node_systemd_": every,
        "probe_": probe.DEFAULT_EVERY,
        "selfheal_probe_": probe.DEFAULT_EVERY,
        "selfheal_deployment_": deployment.EVERY,
        "selfheal_heartbeat_": heartbeat.EVERY,
        "selfheal_json_": jsonsource.DEFAULT_EVERY,
        "selfheal_workspace_": workspace.EVERY,
    } == INTERVALS
