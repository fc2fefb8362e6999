"""What the files of a person say when `selfheal up` makes them; from then on they are edited, never replaced."""

from __future__ import annotations

POLICY = """\
# What Selfheal may touch on this host. Nothing listed = nothing permitted. It must belong to you and be writable by
# nobody else (0600). To let a playbook act:
#   1. give the processes a name of their own in processes.yml (not needed for folders and commands);
#   2. permit them here;
#   3. write a playbook with `mode: auto` into playbooks/, for example a copy of a shipped one: those only observe;
#   4. in remediator.yml set highest_mode: auto and playbooks: [shipped, playbooks/*.yml];
#   5. `selfheal check` says what is wrong or missing; then start `selfheal up` again.
process_groups: []    # names from processes.yml, for example ["worker"]
# A folder is measured only if the exporter is told of it: SELFHEAL_COLLECTOR_DIRECTORY_ROOT=/var/tmp/app selfheal up
roots: {}             # folders that may be cleaned, for example {/var/tmp/app: {older_than: 1d}}
# A service is watched only if services.yml lists it, with its name here as the label `service`.
commands: {}          # for example {web: {start: [/opt/web/start], stop: [/opt/web/stop], status: [/opt/web/status]}}
"""

PROCESSES = """\
# Groups of processes, in process-exporter's format; the first entry that matches a process names its group.
# Give what you want to have healed a literal name above the last entry, for example:
#   - {name: worker, cmdline: ['/opt/app/worker']}
process_names:
  - name: "{{.Comm}}"
    cmdline: [".+"]
"""

REMEDIATOR = """\
# Yours to edit. At every start `selfheal up` puts back, and tells, what it decides itself: state, process_config,
# prometheus.url, prometheus.scrape_interval, hook.token_file and api.token_file. What of its own is missing it adds to
# alertmanagers, protected and the `instances` of hosts, there also what services.yml lists. All else stays as it is.
# highest_mode: observe | approve | auto; nothing climbs above it.
# playbooks: [shipped, playbooks/*.yml] adds your own, once there are some.
# rules: [shipped, rules/*.yml] tells `selfheal check` of your own, once there are some; Prometheus reads rules/ anyhow.
"""

SERVICES = """\
# Services of this machine that Prometheus shall scrape. ServiceDown fires for one that does not answer, and its label
# `service` is the name under `commands` in policy.yml by which restart_service restarts it. For example:
#   - targets: [127.0.0.1:8080]    # answers with metrics at /metrics; another path: the label __metrics_path__
#     labels: {service: web}
# Prometheus notices a change by itself. `selfheal up` adds the addresses to this host's `instances` in remediator.yml
# when it starts: start it again after a new one, and list nothing that runs on another machine.
"""
