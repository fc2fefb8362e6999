"""The kinds of panel that we use, each with our conventions as defaults. No query and no text of a panel lives here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# what Grafana's JSON is made of
Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

# pairs that a colour-blind reader can tell apart; never green beside red, never blue beside purple
OK, WARNING, CRITICAL, QUIET = "blue", "yellow", "dark-red", "text"
# no trouble, but a goal that is missed; dark enough for a word in white
GOAL = "dark-blue"
# no paint at all: for tiles that are filled
CLEAR = "transparent"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands on the grid of 24 columns."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Head:
    """What every panel has. `description` says what it measures, what is normal and what to do."""

    id: int
    title: str
    description: str
    place: Place


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query and the name its series get. `table` keeps all labels."""

    expression: str
    legend: str = ""
    instant: bool = False
    table: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """How values are shown: unit, bounds, decimals, colour steps (from, colour), the word for nothing at all."""

    unit: str
    steps: Sequence[tuple[float | None, str]] = ((None, QUIET),)
    minimum: float | None = 0
    maximum: float | None = None
    decimals: int | None = 0
    nothing: str | None = None
    overrides: Sequence[Json] = field(default_factory=list)


def stat(head: Head, queries: Sequence[Query], look: Look, *, filled: bool = False) -> Json:
    """Return a panel of large figures: the value now. `filled` paints the tile, not the figure, in its colour."""
    options = {
        "colorMode": "background_solid" if filled else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "vertical",
        "reduceOptions": _last(),
        "textMode": "value_and_name" if len(queries) > 1 else "value",
    }
    return _panel("stat", head, queries, look, {}) | {"options": options}


def bars(head: Head, queries: Sequence[Query], look: Look) -> Json:
    """Return a panel of horizontal bars, one for each series: the value now."""
    options = {
        "displayMode": "basic",
        # without a limit three bars fill the panel and their names shout
        "maxVizHeight": 32,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": _last(),
        "showUnfilled": False,
        "sizing": "manual",
        "text": {"titleSize": 11, "valueSize": 14},
        "valueMode": "text",
    }
    return _panel("bargauge", head, queries, look, {}) | {"options": options}


def lines(head: Head, queries: Sequence[Query], look: Look) -> Json:
    """Return a panel of curves over time."""
    custom = {
        "drawStyle": "line",
        # the fillings of many hosts add up to a grey that hides the curves
        "fillOpacity": 0,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "none"},
    }
    options = {
        # no figures: the last one known of a host that is down would look like its value now
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    panel = _panel("timeseries", head, queries, look, custom)
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "palette-classic"}
    return panel | {"options": options}


def stacks(head: Head, queries: Sequence[Query], look: Look) -> Json:
    """Return a panel of series on top of each other, so that none hides another; one that is 0 leaves no trace."""
    panel = lines(head, queries, look)
    panel["fieldConfig"]["defaults"]["custom"] = {
        # when all is 0 the axis would reach to 100
        "axisSoftMax": 4,
        "barAlignment": 0,
        "barWidthFactor": 1,
        "drawStyle": "bars",
        "fillOpacity": 80,
        "lineWidth": 0,
        "stacking": {"group": "A", "mode": "normal"},
    }
    return panel


def table(head: Head, query: Query, look: Look, columns: dict[str, str]) -> Json:
    """Return a table of the series that a query has now; `columns` names the labels to show, in order."""
    panel = _panel("table", head, [query], look, {"align": "auto", "cellOptions": {"type": "auto"}, "minWidth": 90})
    panel["transformations"] = [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": dict(columns),
            },
        },
    ]
    first = next(iter(columns.values()))
    return panel | {
        "options": {"cellHeight": "sm", "showHeader": True, "sortBy": [{"desc": False, "displayName": first}]}
    }


def override(name: str, **properties: Any) -> Json:
    """Return what differs for one series or column, by its shown name; `__` in a property stands for a dot."""
    return _override("byName", name, properties)


def override_query(letter: str, **properties: Any) -> Json:
    """Return what differs for all series of one query; the queries of a panel are A, B, C in their order."""
    return _override("byFrameRefID", letter, properties)


def fixed(colour: str) -> Json:
    """Return a colour that does not depend on the value."""
    return {"fixedColor": colour, "mode": "fixed"}


def shades(colour: str) -> Json:
    """Return shades of one colour, another for each series."""
    return {"fixedColor": colour, "mode": "shades"}


def variable(name: str, label: str, query: str) -> Json:
    """Return a variable of several values, filled by a Prometheus query and read anew with the time range."""
    return {
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


def marks(name: str, colour: str, expression: str, title: str, panels: Sequence[int]) -> Json:
    """Return marks on the curves of some panels; the value of the query is the time of the mark in milliseconds."""
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expression,
        "filter": {"exclude": False, "ids": list(panels)},
        "hide": False,
        "iconColor": colour,
        "name": name,
        "target": {"expr": expression, "interval": "", "refId": "mark"},
        "titleFormat": title,
        "useValueForTime": True,
    }


def _override(matcher: str, wanted: str, properties: Json) -> Json:
    values = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": matcher, "options": wanted}, "properties": values}


def _panel(kind: str, head: Head, queries: Sequence[Query], look: Look, custom: Json) -> Json:
    place = head.place
    return {
        "datasource": DATASOURCE,
        "description": head.description,
        "fieldConfig": {"defaults": _defaults(look) | {"custom": custom}, "overrides": list(look.overrides)},
        "gridPos": {"h": place.h, "w": place.w, "x": place.x, "y": place.y},
        "id": head.id,
        "targets": [_target(query, "ABCDEFGH"[number]) for number, query in enumerate(queries)],
        "title": head.title,
        "type": kind,
    }


def _target(query: Query, name: str) -> Json:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "exemplar": False,
        "expr": query.expression,
        "format": "table" if query.table else "time_series",
        "instant": query.instant,
        "legendFormat": query.legend,
        "range": not query.instant,
        "refId": name,
    }


def _defaults(look: Look) -> Json:
    steps = [{"color": colour, "value": start} for start, colour in look.steps]
    found: Json = {
        "color": {"mode": "thresholds"},
        "decimals": look.decimals,
        "max": look.maximum,
        "min": look.minimum,
        "noValue": look.nothing,
        "thresholds": {"mode": "absolute", "steps": steps},
        "unit": look.unit,
    }
    return {key: value for key, value in found.items() if value is not None}


def _last() -> Json:
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}
