"""The three kinds of panel in use, in one look: numbers, lines or areas over time, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana.model import Format, Json, Panel, Query
from grafana.query_files import load

NO_VALUE = "\N{EN DASH}"


@dataclass(frozen=True)
class Threshold:
    """From `value` on the panel takes `color`: somebody has to act."""

    value: float
    color: str


@dataclass(frozen=True)
class Column:
    """How a table shows the column `name`; cells turn `threshold.color` from its value on, and offer `links`."""

    name: str
    unit: str = "short"
    decimals: int | None = None
    threshold: Threshold | None = None
    links: Sequence[Json] = ()
    width: int | None = None


def stat(
    id: int,
    title: str,
    description: str,
    query: str,
    unit: str,
    *,
    decimals: int | None = None,
    threshold: Threshold | None = None,
    no_value: str = NO_VALUE,
) -> Panel:
    """One number out of a query that returns one row with one column."""
    return Panel(
        id,
        "stat",
        title,
        description,
        Query(load(query), Format.TABLE),
        4,
        4,
        defaults=_defaults(unit, decimals, no_value)
        | {
            "color": {"mode": "thresholds"},
            "thresholds": _thresholds(threshold, base="text"),
        },
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value",
        },
    )


def time_series(
    id: int,
    title: str,
    description: str,
    query: str,
    unit: str,
    *,
    colors: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    maximum: float | None = None,
    threshold: Threshold | None = None,
    no_value: str = NO_VALUE,
) -> Panel:
    """Series over time, a third of the screen wide. `colors` fixes the colour of the series it names."""
    defaults = _defaults(unit, None, no_value) | {
        "color": {"mode": "palette-classic-by-name"},
        "custom": _drawing(stacked, bars, threshold is not None),
        "thresholds": _thresholds(threshold, base="transparent"),
    }
    if maximum is not None:
        defaults["max"] = maximum
    return Panel(
        id,
        "timeseries",
        title,
        description,
        Query(load(query), Format.TIME_SERIES),
        8,
        9,
        defaults=defaults,
        overrides=[
            _override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in (colors or {}).items()
        ],
        options={
            "legend": {
                "showLegend": True,
                "displayMode": "table",
                "placement": "bottom",
                "calcs": ["mean", "max", "lastNotNull"],
                "sortBy": "Mean",
                "sortDesc": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def table(
    id: int,
    title: str,
    description: str,
    query: str,
    columns: Sequence[Column],
    *,
    width: int,
    height: int = 9,
    no_value: str = NO_VALUE,
) -> Panel:
    """Rows as the query orders them. Every column of the query is described by one of `columns`."""
    return Panel(
        id,
        "table",
        title,
        description,
        Query(load(query), Format.TABLE),
        width,
        height,
        defaults=_defaults("short", None, no_value)
        | {
            "color": {"mode": "thresholds"},
            "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False},
            "mappings": [{"type": "special", "options": {"match": "empty", "result": {"text": "unknown", "index": 0}}}],
            "thresholds": _thresholds(None, base="text"),
        },
        overrides=[_column_override(column) for column in columns],
        options={"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"], "fields": ""}},
    )


def _defaults(unit: str, decimals: int | None, no_value: str) -> Json:
    defaults: Json = {"unit": unit, "min": 0, "noValue": no_value}
    return defaults if decimals is None else defaults | {"decimals": decimals}


def _thresholds(threshold: Threshold | None, base: str) -> Json:
    steps: list[Json] = [{"color": base, "value": None}]
    if threshold is not None:
        steps.append({"color": threshold.color, "value": threshold.value})
    return {"mode": "absolute", "steps": steps}


def _drawing(stacked: bool, bars: bool, with_threshold: bool) -> Json:
    return {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 25 if stacked else 0,
        "gradientMode": "none",
        # A short range has so few points that a lone one is only visible as a dot.
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if with_threshold else "off"},
        "axisPlacement": "auto",
        "scaleDistribution": {"type": "linear"},
    }


def _override(name: str, **properties: Any) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": id, "value": value} for id, value in properties.items()],
    }


def _column_override(column: Column) -> Json:
    properties: Json = {"unit": column.unit}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.threshold is not None:
        properties["thresholds"] = _thresholds(column.threshold, base="text")
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.links:
        properties["links"] = list(column.links)
    if column.width is not None:
        properties["custom.width"] = column.width
    return _override(column.name, **properties)
