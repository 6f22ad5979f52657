"""Every query that the shipped dashboards contain."""

from dataclasses import dataclass
from typing import Any

from grafana.dashboards import DASHBOARDS

DASHBOARD_JSON: list[dict[str, Any]] = [dashboard.compile() for dashboard in DASHBOARDS]


@dataclass(frozen=True)
class DashboardQuery:
    kind: str
    dashboard: str
    title: str
    sql: str
    format: int
    panel: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.kind} {self.title}"


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Every panel but the row headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _queries(dashboard: dict[str, Any]) -> list[DashboardQuery]:
    uid = dashboard["uid"]
    found = [
        DashboardQuery("panel", uid, panel["title"], target["rawSql"], target["format"], panel)
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    found += [
        DashboardQuery("variable", uid, variable["name"], variable["query"]["rawSql"], 1, {})
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    return found + [
        DashboardQuery("annotation", uid, annotation["name"], annotation["target"]["rawSql"], 1, {})
        for annotation in dashboard["annotations"]["list"]
        if "target" in annotation
    ]


QUERIES = [query for dashboard in DASHBOARD_JSON for query in _queries(dashboard)]
