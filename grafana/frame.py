"""What stands around the panels of the overview: the choices at the top, and the marks on the curves."""

from __future__ import annotations

from grafana.panels import CHOSEN, FIRING
from grafana.parts import CRITICAL, OK, Json, marks, variable


def variables() -> list[Json]:
    """Return the choices at the top. `up` feeds them because every target has it, whatever its job is called."""
    return [
        {
            "current": {"selected": True, "text": "Selfheal Prometheus", "value": "selfheal-prometheus"},
            "hide": 0,
            "includeAll": False,
            "label": "Data source",
            "multi": False,
            "name": "datasource",
            "options": [],
            "query": "prometheus",
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
            "type": "datasource",
        },
        variable("job", "Job", "label_values(up, job)"),
        variable("instance", "Instance", 'label_values(up{job=~"$job"}, instance)'),
    ]


def moments() -> list[Json]:
    """Return the marks on the curves: an alert became active, a remediation ended, a playbook marked the moment."""
    return [
        marks(
            "Alerts",
            CRITICAL,
            f'(ALERTS_FOR_STATE{{severity!="goal", {CHOSEN}}} * 1000) and ignoring (alertstate) ALERTS{{{FIRING}}}',
            "{{alertname}} on {{instance}}",
            [7],
        ),
        marks(
            "Remediations",
            OK,
            "(selfheal_last_remediation_timestamp_seconds > 0) * 1000",
            "{{playbook}}: {{verdict}}",
            [7, 8],
        ),
        marks("Marked", "gray", "selfheal_annotation_timestamp_seconds * 1000", "{{target}}: {{text}}", [7, 8]),
    ]
