"""The eight panels of the overview: is anything wrong, and is it being dealt with?"""

from __future__ import annotations

import re

import yaml

from grafana.parts import (
    CLEAR,
    CRITICAL,
    GOAL,
    OK,
    QUIET,
    WARNING,
    Head,
    Json,
    Look,
    Place,
    Query,
    bars,
    fixed,
    lines,
    override,
    override_query,
    shades,
    stacks,
    stat,
    table,
)
from selfheal.common.shipped import shipped

SEVERITIES = {"critical": CRITICAL, "high": CRITICAL, "warning": WARNING, "goal": GOAL}
"""From the worst on."""
CHOSEN = 'job=~"$job", instance=~"$instance"'
FIRING = f'alertstate="firing", {CHOSEN}'

# a remediation in one of these states is not done: somebody or something still has to move
IN_PROGRESS = "pending|held|running|undoing|verifying|unknown"
# ends after an effect: the only ones of which proof was asked
ASKED = "fixed|expired|recurred|worse|unproven"


def panels() -> list[Json]:
    """Return the panels in reading order."""
    return [
        _firing_by_severity(),
        _targets_down(),
        _in_progress(),
        _proven_fixed(),
        _firing_alerts(),
        _decisions(),
        _hosts(),
        _verdicts(),
    ]


def limit(alert: str) -> str:
    """Given an alert of `rules/host.yml`, return its threshold for every host, as the rule has it, for what is chosen.

    Raise LookupError if there is no such alert.
    """
    groups = yaml.safe_load(shipped("rules", "host.yml").read_text("utf-8"))["groups"]
    for rule in groups[0]["rules"]:
        if rule.get("alert") == alert:
            bracket = str(rule["expr"]).split("group_left () ", 1)[1]
            chosen = bracket.replace("selfheal:threshold{", 'selfheal:threshold{instance=~"$instance", ')
            return re.sub(r"\((instance:[a-z_]+:ratio)\)", rf"(\1{{{CHOSEN}}})", chosen)
    raise LookupError(f"no alert {alert} in rules/host.yml")


def _firing_by_severity() -> Json:
    look = Look(
        unit="short",
        overrides=[override(severity, thresholds=_from_one(colour)) for severity, colour in SEVERITIES.items()],
    )
    queries = [
        Query(f'count(ALERTS{{severity="{severity}", {FIRING}}}) or vector(0)', severity, instant=True)
        for severity in SEVERITIES
    ]
    head = Head(
        1,
        "Firing alerts by severity",
        "How many alerts fire now. Normal: 0 everywhere. Otherwise the table below names them, and docs/alerts has a "
        "page for each.",
        Place(0, 0, 8, 4),
    )
    panel = stat(head, queries, look, filled=True)
    panel["options"]["orientation"] = "auto"
    return panel


def _targets_down() -> Json:
    head = Head(
        2,
        "Targets down",
        "Targets that Prometheus cannot scrape now. Normal: 0. Nothing is known from a target that is down: see "
        "docs/alerts/TargetDown.md.",
        Place(8, 0, 5, 4),
    )
    queries = [Query(f"count(up{{{CHOSEN}}} == 0) or vector(0)", "down", instant=True)]
    return stat(head, queries, Look(unit="short", steps=((None, CLEAR), (1, CRITICAL))), filled=True)


def _in_progress() -> Json:
    head = Head(
        3,
        "Remediations in progress",
        "Remediations that have not ended: waiting, held, running, undoing, verifying or of unknown outcome. Normal: "
        "few, and not for long. If they stay, `selfheal status` says what they wait for.",
        Place(13, 0, 6, 4),
    )
    queries = [Query(f'sum(selfheal_remediations{{state=~"{IN_PROGRESS}"}})', "in progress", instant=True)]
    look = Look(unit="short", steps=((None, QUIET), (1, OK)), nothing="no remediator")
    return stat(head, queries, look)


def _proven_fixed() -> Json:
    head = Head(
        4,
        "Proven fixed",
        "Of the repairs in the chosen time of which proof was asked, the share that was proven. What resolved by "
        "itself or was not asked does not count. Normal: above 90 %. If it sinks, `selfheal runs` shows which did not "
        "help.",
        Place(19, 0, 5, 4),
    )
    fixed_ = 'sum(increase(selfheal_verdicts_total{verdict="fixed"}[$__range]))'
    asked = f'sum(increase(selfheal_verdicts_total{{verdict=~"{ASKED}"}}[$__range]))'
    look = Look(
        unit="percentunit",
        steps=((None, CLEAR), (0, CRITICAL), (0.5, WARNING), (0.9, CLEAR)),
        maximum=1,
        decimals=0,
        nothing="no repairs yet",
    )
    return stat(head, [Query(f"{fixed_} / ({asked} > 0)", "proven", instant=True)], look, filled=True)


def _firing_alerts() -> Json:
    head = Head(
        5,
        "What fires now",
        "Every firing alert, where it fires and since when. Normal: empty. docs/alerts has a page for each alert; "
        "`selfheal why` says what was done about it.",
        Place(0, 4, 15, 9),
    )
    # an alert has at most one of these labels; a column for each would be mostly empty
    concerns = ", ".join(f'"{label}"' for label in ("groupname", "service", "directory", "mountpoint", "collector"))
    since = f"(ALERTS_FOR_STATE{{{CHOSEN}}} * 1000) and ignoring (alertstate) ALERTS{{{FIRING}}}"
    firing = f'label_join({since}, "concerns", "", {concerns})'
    colours = {}
    for rank, (severity, colour) in enumerate(SEVERITIES.items(), 1):
        # the table sorts by what the label holds, not by what is shown for it
        firing = f'label_replace({firing}, "severity", "{rank}", "severity", "{severity}")'
        colours[str(rank)] = {"color": colour, "index": rank - 1, "text": severity}
    columns = {
        "severity": "Severity",
        "alertname": "Alert",
        "instance": "Instance",
        "concerns": "Concerns",
        "Value": "Since",
    }
    look = Look(
        unit="string",
        minimum=None,
        decimals=None,
        nothing="nothing fires",
        overrides=[
            override("Since", unit="dateTimeFromNow", custom__width=130),
            override("Alert", custom__width=220),
            override("Concerns", noValue="–"),
            override(
                "Severity",
                mappings=[{"options": colours, "type": "value"}],
                custom__cellOptions={"mode": "basic", "type": "color-background"},
                custom__width=90,
            ),
        ],
    )
    return table(head, Query(firing, instant=True, table=True), look, columns)


def _decisions() -> Json:
    head = Head(
        6,
        "What was decided, and why not",
        "Decisions in the chosen time by their reason; `allowed` means a remediation ran. Normal: mostly allowed, or "
        "observe_mode while you watch. Many of one other reason: `selfheal why` shows the alerts it concerns.",
        Place(15, 4, 9, 9),
    )
    counted = "topk(8, sum by (reason) (increase(selfheal_decisions_total[$__range])) > 0)"
    look = Look(unit="short", steps=((None, OK),), nothing="no decisions yet")
    return bars(head, [Query(counted, "{{reason}}", instant=True)], look)


def _hosts() -> Json:
    head = Head(
        7,
        "CPU and memory of the hosts",
        "Used share of CPU time (blue) and of memory (grey), at each moment of the five hosts with the most. Dashed: "
        "the lowest limit of the hosts chosen, at which HostCpuHigh and HostMemoryPressure fire. Normal: "
        "below the limits. Above: their pages say what to do.",
        Place(0, 13, 12, 9),
    )
    queries = [
        Query(f"topk(5, instance:cpu_used:ratio{{{CHOSEN}}})", "CPU {{instance}}"),
        Query(f"topk(5, instance:memory_used:ratio{{{CHOSEN}}})", "memory {{instance}}"),
        Query(f"min({limit('HostCpuHigh')})", "CPU limit"),
        Query(f"min({limit('HostMemoryPressure')})", "memory limit"),
    ]
    dashed = {"dash": [10, 10], "fill": "dash"}
    look = Look(
        unit="percentunit",
        maximum=1,
        # with decimals=0 the axis has no line between 0 % and 100 %
        decimals=None,
        overrides=[
            override_query("A", color=shades(OK)),
            override_query("B", color=shades(QUIET)),
            override("CPU limit", color=fixed(WARNING), custom__lineStyle=dashed),
            override("memory limit", color=fixed(CRITICAL), custom__lineStyle=dashed),
        ],
    )
    return lines(head, queries, look)


def _verdicts() -> Json:
    head = Head(
        8,
        "Verdicts of the last hour",
        "At each moment: the verdicts of the hour before, by kind, on top of each other. Normal: fixed and "
        "self_resolved. recurred or unproven: the repair does not reach the cause. worse: pause that playbook and "
        "look.",
        Place(12, 13, 12, 9),
    )
    colours = {
        "fixed": OK,
        "self_resolved": "light-blue",
        "not_asked": QUIET,
        "expired": "gray",
        "recurred": WARNING,
        "unproven": "orange",
        "worse": CRITICAL,
    }
    look = Look(
        unit="short",
        overrides=[override(verdict, color=fixed(colour)) for verdict, colour in colours.items()],
        nothing="no verdicts yet",
    )
    return stacks(head, [Query("sum by (verdict) (increase(selfheal_verdicts_total[1h]))", "{{verdict}}")], look)


def _from_one(colour: str) -> Json:
    """Return thresholds that leave the tile as it is at 0 and paint it from 1 on."""
    return {"mode": "absolute", "steps": [{"color": CLEAR, "value": None}, {"color": colour, "value": 1}]}
