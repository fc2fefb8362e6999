"""The example rules about heartbeats, run by promtool: the minute before, and the minute of firing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.tools import binary

RULES = Path(__file__).parents[2] / "examples/heartbeat-rules.yml"
BACKUP = 'instance="a", job="node", heartbeat="backup"'

# an interval of 10 minutes, a grace of 5: late from minute 15 on, and one minute more for the alert
LATE = f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'selfheal_heartbeat_interval_seconds{{{BACKUP}}}', values: '600x60'}}
      - {{series: 'selfheal_heartbeat_grace_seconds{{{BACKUP}}}', values: '300x60'}}
      - {{series: 'selfheal_heartbeat_watched_since_timestamp_seconds{{{BACKUP}}}', values: '0x60'}}
REPORTED
    alert_rule_test:
      - {{eval_time: QUIETm, alertname: HeartbeatMissing, exp_alerts: []}}
      - eval_time: FIRESm
        alertname: HeartbeatMissing
        exp_alerts:
          - exp_labels: {{instance: a, job: node, heartbeat: backup, severity: warning}}
            exp_annotations:
              summary: backup has not reported for 17m 0s
              description: It did not run, did not end, or could not report. Look at its own log, and start it by hand.
"""

FAILED = f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'selfheal_heartbeat_ok{{{BACKUP}}}', values: '1 1 0 0 1'}}
      - {{series: 'node_scrape_collector_success{{instance="a", job="node", collector="heartbeat"}}', values: '0x9'}}
    alert_rule_test:
      - {{eval_time: 1m, alertname: HeartbeatFailed, exp_alerts: []}}
      - eval_time: 2m
        alertname: HeartbeatFailed
        exp_alerts:
          - exp_labels: {{instance: a, job: node, heartbeat: backup, severity: warning}}
            exp_annotations:
              summary: backup reported that it failed
              description: Its own log tells why. The alert ends when it next reports that all went well.
      - {{eval_time: 4m, alertname: HeartbeatFailed, exp_alerts: []}}
      - {{eval_time: 4m, alertname: HeartbeatsUnknown, exp_alerts: []}}
      - eval_time: 5m
        alertname: HeartbeatsUnknown
        exp_alerts:
          - exp_labels: {{instance: a, job: node, collector: heartbeat, severity: warning}}
            exp_annotations:
              summary: a cannot read the file of a heartbeat
              description: The exporter's log names the file and the reason.
"""


def promtool(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test.yml"
    path.write_text(text)

    done = subprocess.run(
        [binary("promtool"), "test", "rules", str(path)], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("reports", [True, False], ids=["that reported once", "that never reported"])
def test_a_job_that_did_not_run_is_seen(tmp_path: Path, reports: bool) -> None:
    # its last report, or the beginning of waiting, is at minute 0 or minute 20
    series = "      - {series: 'selfheal_heartbeat_timestamp_seconds{%s}', values: '_x20 1200x40'}" % BACKUP  # noqa: UP031
    minute = 20 if reports else 0
    text = LATE.replace("REPORTED", series if reports else "").replace("QUIET", str(minute + 16))

    promtool(tmp_path, text.replace("FIRES", str(minute + 17)))


def test_a_job_that_failed_and_a_collector_that_cannot_read_are_seen(tmp_path: Path) -> None:
    promtool(tmp_path, FAILED)
