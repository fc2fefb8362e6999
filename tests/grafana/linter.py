"""The rules of the community's dashboard linter, in our words; each returns what it has against a dashboard.

Left out because they cannot apply: the two for Loki queries (there are none).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import promql_parser

from tests.grafana.dashboard import Choice, expand, matchers, nodes, selectors

Json = dict[str, Any]
# (rule's complaint, panel title or "", number of the query or None)
Complaint = tuple[str, str, int | None]

TITLED = {"stat", "graph", "table", "timeseries", "gauge", "bargauge"}
UNITS = {"short", "percentunit", "percent", "bytes", "decbytes", "s", "ms", "string", "none", "dateTimeFromNow"}


def template_datasource(dashboard: Json) -> Iterator[Complaint]:
    """One variable chooses the data source; it is called datasource."""
    found = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"]
    if [(variable["name"], variable["label"]) for variable in found] != [("datasource", "Data source")]:
        yield "no variable datasource labelled Data source", "", None


def template_job(dashboard: Json) -> Iterator[Complaint]:
    """Variable job is as everywhere."""
    yield from _template(dashboard, "job", "Job")


def template_instance(dashboard: Json) -> Iterator[Complaint]:
    """Variable instance is as everywhere."""
    yield from _template(dashboard, "instance", "Instance")


def template_label_promql(dashboard: Json) -> Iterator[Complaint]:
    """What fills a variable parses."""
    for variable in _query_variables(dashboard):
        found = re.fullmatch(r"label_values\((?:(.*), )?\w+\)", variable["query"]["query"])
        if found is None or not _parses(found.group(1) or "up"):
            yield f"variable {variable['name']} is not filled by label_values of a selector", "", None


def template_on_time_change_reload(dashboard: Json) -> Iterator[Complaint]:
    """Variables follow the time range."""
    for variable in _query_variables(dashboard):
        if variable["refresh"] != 2:
            yield f"variable {variable['name']} is not read anew", "", None


def panel_datasource(dashboard: Json) -> Iterator[Complaint]:
    """Nothing names a data source of its own."""
    for panel in dashboard["panels"]:
        if panel.get("datasource", {}).get("uid") != "${datasource}":
            yield "does not use the variable", panel["title"], None


def panel_title_description(dashboard: Json) -> Iterator[Complaint]:
    """Every panel has a title and a description."""
    for panel in _titled(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield "title or description is missing", panel.get("title", ""), None


def panel_units(dashboard: Json) -> Iterator[Complaint]:
    """Every panel has a unit that Grafana knows."""
    for panel in _titled(dashboard):
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield "no known unit", panel["title"], None


def panel_no_targets(dashboard: Json) -> Iterator[Complaint]:
    """Every panel asks something."""
    for panel in _titled(dashboard):
        if not panel.get("targets"):
            yield "asks nothing", panel["title"], None


def target_promql(dashboard: Json) -> Iterator[Complaint]:
    """Every query parses."""
    for panel, number, expression in _targets(dashboard):
        if not _parses(expression):
            yield "does not parse", panel["title"], number


def target_rate_interval(dashboard: Json) -> Iterator[Complaint]:
    """A rate takes its window from the scrape interval."""
    for panel, number, _ in _targets(dashboard):
        written = panel["targets"][number]["expr"]
        for window in re.findall(r"\bi?rate\([^\[]*\[([^\]]*)\]", written):
            if window != "$__rate_interval":
                yield f"rate over {window}", panel["title"], number


def target_job(dashboard: Json) -> Iterator[Complaint]:
    """Every selector follows the chosen job."""
    yield from _follows(dashboard, "job")


def target_instance(dashboard: Json) -> Iterator[Complaint]:
    """Every selector follows the chosen instance."""
    yield from _follows(dashboard, "instance")


def target_counter_agg(dashboard: Json) -> Iterator[Complaint]:
    """A counter is never shown raw."""
    for panel, number, expression in _targets(dashboard):
        inside = [
            str(call.args[0].vector_selector.name)
            for call in nodes(expression)
            if isinstance(call, promql_parser.Call) and call.func.name in {"rate", "irate", "increase"}
        ]
        counters = [str(found.name) for found in selectors(expression) if str(found.name).endswith("_total")]
        if sorted(inside) != sorted(counters):
            yield "a raw counter", panel["title"], number


def uneditable(dashboard: Json) -> Iterator[Complaint]:
    """Nobody edits in the browser what a file will overwrite."""
    if dashboard["editable"]:
        yield "is editable", "", None


RULES: Mapping[str, Callable[[Json], Iterator[Complaint]]] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template_job,
    "template-instance-rule": template_instance,
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_job,
    "target-instance-rule": target_instance,
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard": uneditable,
}


def _template(dashboard: Json, name: str, label: str) -> Iterator[Complaint]:
    for variable in _query_variables(dashboard):
        if variable["name"] == name:
            asked = (variable["label"], variable["multi"], variable["includeAll"], variable["allValue"])
            if asked != (label, True, True, ".+") or variable["datasource"]["uid"] != "${datasource}":
                yield f"variable {name} is not as everywhere", "", None
            return
    yield f"no variable {name}", "", None


def _follows(dashboard: Json, label: str) -> Iterator[Complaint]:
    for panel, number, _ in _targets(dashboard):
        marked = panel["targets"][number]["expr"].replace(f"${label}", "CHOSEN")
        if not all(matchers(found).get(label) == ("Re", "CHOSEN") for found in selectors(expand(marked, Choice()))):
            yield f"a selector without {label}", panel["title"], number


def _query_variables(dashboard: Json) -> list[Json]:
    return [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]


def _titled(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] in TITLED]


def _targets(dashboard: Json) -> Iterator[tuple[Json, int, str]]:
    for panel in dashboard["panels"]:
        for number, target in enumerate(panel["targets"]):
            yield panel, number, expand(target["expr"], Choice())


def _parses(expression: str) -> bool:
    try:
        promql_parser.parse(expand(expression, Choice()))
    except ValueError:
        return False
    return True
