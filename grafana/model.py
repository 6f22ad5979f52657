"""Grafana's classic dashboard model (schemaVersion 39), as far as the dashboards here use it.

Everything is immutable and compiles to plain JSON values. The same dashboard always compiles to the same JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

Json = dict[str, Any]

PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.20.0"
DATASOURCE_UID = "llm-clickhouse"
DATASOURCE_NAME = "LLM Analytics (ClickHouse)"
TAG = "llm-analytics"
GRID_WIDTH = 24

_DATASOURCE: Json = {"type": PLUGIN, "uid": "${datasource}"}


class Format(IntEnum):
    """The shape in which the plugin returns rows; a time series turns string columns into labels."""

    TIME_SERIES = 0
    TABLE = 1


@dataclass(frozen=True)
class Query:
    sql: str
    format: Format

    def target(self, ref_id: str) -> Json:
        return {
            "refId": ref_id,
            "datasource": _DATASOURCE,
            "editorType": "sql",
            "rawSql": self.sql,
            "format": int(self.format),
            "queryType": "timeseries" if self.format is Format.TIME_SERIES else "table",
            "pluginVersion": PLUGIN_VERSION,
            "meta": {},
        }


@dataclass(frozen=True)
class Panel:
    """`id` is stable for ever: alerts and links name it. Width and height are grid units, 24 to a line."""

    id: int
    kind: str
    title: str
    description: str
    query: Query
    width: int
    height: int
    defaults: Mapping[str, Any]
    overrides: Sequence[Json] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def compile(self, x: int, y: int) -> Json:
        return {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": _DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            # The roll-up has one row a minute: finer buckets would be mostly empty.
            "interval": "1m",
            "maxDataPoints": 600,
            "targets": [self.query.target("A")],
            "fieldConfig": {"defaults": dict(self.defaults), "overrides": list(self.overrides)},
            "options": dict(self.options),
        }


@dataclass(frozen=True)
class Row:
    """Panels under one heading, placed left to right and wrapped at the grid's width."""

    id: int
    title: str
    panels: Sequence[Panel]

    def compile(self, y: int) -> Iterator[Json]:
        grid = {"x": 0, "y": y, "w": GRID_WIDTH, "h": 1}
        yield {"id": self.id, "type": "row", "title": self.title, "collapsed": False, "gridPos": grid, "panels": []}
        x, y, line_height = 0, y + 1, 0
        for panel in self.panels:
            if x + panel.width > GRID_WIDTH:
                x, y, line_height = 0, y + line_height, 0
            yield panel.compile(x, y)
            x, line_height = x + panel.width, max(line_height, panel.height)


@dataclass(frozen=True)
class Variable:
    """A list filled by a query of one column; `multi` allows several values and offers All."""

    name: str
    label: str
    sql: str
    multi: bool = True
    follows_time_range: bool = True

    def compile(self) -> Json:
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": _DATASOURCE,
            "query": {"refId": "variable", "queryType": "sql", "editorType": "sql", "rawSql": self.sql},
            "definition": self.sql,
            "refresh": 2 if self.follows_time_range else 1,
            "sort": 1,
            "regex": "",
            "hide": 0,
            "skipUrlSync": False,
            "multi": self.multi,
            "includeAll": self.multi,
            "current": {"text": ["All"], "value": ["$__all"]} if self.multi else {},
            "options": [],
        }


@dataclass(frozen=True)
class Annotation:
    """Marks on every time series; the query returns time, title, text and tags."""

    name: str
    color: str
    sql: str

    def compile(self) -> Json:
        return {
            "name": self.name,
            "enable": True,
            "hide": False,
            "iconColor": self.color,
            "datasource": _DATASOURCE,
            "target": Query(self.sql, Format.TABLE).target("annotation"),
        }


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable]
    annotations: Sequence[Annotation] = ()
    time_from: str = "now-6h"
    refresh: str = "1m"

    def compile(self, datasource_uid: str = DATASOURCE_UID) -> Json:
        """The dashboard as Grafana's file provisioning reads it; `datasource_uid` is the source first selected."""
        return {
            "id": None,
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "liveNow": False,
            "refresh": self.refresh,
            "time": {"from": self.time_from, "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "links": [_siblings()],
            "annotations": {"list": [_builtin_annotations(), *(each.compile() for each in self.annotations)]},
            "templating": {"list": [_datasource(datasource_uid), *(each.compile() for each in self.variables)]},
            "panels": list(self._panels()),
        }

    def _panels(self) -> Iterator[Json]:
        y = 0
        for row in self.rows:
            for panel in row.compile(y):
                y = max(y, panel["gridPos"]["y"] + panel["gridPos"]["h"])
                yield panel


def _datasource(uid: str) -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": PLUGIN,
        "current": {"text": DATASOURCE_NAME, "value": uid},
        "refresh": 1,
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _siblings() -> Json:
    return {
        "type": "dashboards",
        "title": "LLM Analytics",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _builtin_annotations() -> Json:
    return {
        "builtIn": 1,
        "type": "dashboard",
        "name": "Annotations & Alerts",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
    }
