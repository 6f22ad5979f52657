"""What breaks provisioned dashboards without a word, checked on the compiled JSON."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import grafana
from grafana.compile import compiled
from grafana.model import Format, Panel, Query, Row
from grafana.query_files import load
from tests.grafana.queries_of import DASHBOARD_JSON, QUERIES, DashboardQuery, panels

SOURCE = {"type": "grafana-clickhouse-datasource", "uid": "${datasource}"}
UNITS = {"s", "short", "percentunit", "currencyUSD", "cpm", "string", "dateTimeFromNow"}

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARD_JSON, ids=lambda dashboard: dashboard["uid"])
every_query = pytest.mark.parametrize("query", QUERIES, ids=str)


def test_the_json_beside_the_dashboards_is_what_they_compile_to() -> None:
    folder = Path(grafana.__file__).parent / "dashboards"
    expected = dict(compiled())
    found = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.json")}
    assert found == expected, "run `python -m grafana.compile`"


def test_uids_are_short_and_unique() -> None:
    uids = [dashboard["uid"] for dashboard in DASHBOARD_JSON]
    assert len(uids) == len(set(uids))
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in uids)


@every_dashboard
def test_panel_ids_are_unique_positive_numbers(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all(id > 0 for id in ids)


@every_dashboard
def test_panels_lie_inside_the_grid_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    grids = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(grid["x"] >= 0 and grid["x"] + grid["w"] <= 24 for grid in grids)
    for one, other in combinations(grids, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@every_dashboard
def test_every_panel_explains_itself_and_has_a_unit(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["title"]
        assert re.search(r"From llm_(calls(_1m)?|gaps)[.;,]", panel["description"]), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert (defaults["unit"] in UNITS, defaults["min"], bool(defaults["noValue"])) == (True, 0, True)
        assert panel["interval"] == "1m"
        for override in panel["fieldConfig"]["overrides"]:
            assert all(each["value"] in UNITS for each in override["properties"] if each["id"] == "unit")


@every_dashboard
def test_the_source_is_always_the_variable(dashboard: dict[str, Any]) -> None:
    first, *others = dashboard["templating"]["list"]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", SOURCE["type"])
    assert all(variable["datasource"] == SOURCE for variable in others)
    assert all(annotation["datasource"] == SOURCE for annotation in dashboard["annotations"]["list"][1:])
    for panel in panels(dashboard):
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    assert "__inputs" not in dashboard
    assert dashboard["id"] is None


@every_dashboard
def test_targets_say_everything_that_the_plugin_reads(dashboard: dict[str, Any]) -> None:
    targets = [target for panel in panels(dashboard) for target in panel["targets"]]
    targets += [annotation["target"] for annotation in dashboard["annotations"]["list"][1:]]
    for target in targets:
        assert target["editorType"] == "sql"
        assert (target["format"], target["queryType"]) in ((0, "timeseries"), (1, "table"))
        assert target["pluginVersion"] == "4.20.0"
        assert target["refId"]


@every_dashboard
def test_panel_kinds_get_the_format_that_they_draw(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["targets"][0]["format"] == {"timeseries": 0, "stat": 1, "table": 1}[panel["type"]]


@every_dashboard
def test_filters_run_from_general_to_specific_and_all_but_the_tenant_offer_all(dashboard: dict[str, Any]) -> None:
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names[:6] == ["datasource", "tenant", "environment", "service", "provider", "model"]
    for variable in dashboard["templating"]["list"][2:]:
        assert variable["multi"]
        assert variable["includeAll"]
    assert not dashboard["templating"]["list"][1]["includeAll"]


@every_dashboard
def test_opening_it_costs_at_most_25_queries(dashboard: dict[str, Any]) -> None:
    assert len([query for query in QUERIES if query.dashboard == dashboard["uid"]]) <= 25


@every_dashboard
def test_links_lead_to_shipped_dashboards_and_set_a_variable_once(dashboard: dict[str, Any]) -> None:
    uids = {each["uid"] for each in DASHBOARD_JSON}
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    links = [
        link
        for panel in panels(dashboard)
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "links"
        for link in each["value"]
    ]
    assert links
    for link in links:
        address = urlsplit(link["url"])
        assert address.path.removeprefix("/d/") in uids
        carried = re.findall(r"\$\{(\w+):queryparam\}", address.query) + re.findall(r"var-(\w+)=", address.query)
        assert sorted(carried) == sorted(names)


@every_query
def test_variables_are_quoted_and_time_is_bounded(query: DashboardQuery) -> None:
    assert not re.search(r"\$\{(?!\w+:singlequote\})", query.sql)
    assert not re.search(r"SELECT\s+\*|;\s*$|\bSETTINGS\b|\bFORMAT\b|--", query.sql)
    assert "tenant IN (${tenant:singlequote})" in query.sql or query.title == "tenant"
    timeless = query.title in ("Last call", "tenant")
    assert timeless != ("$__fromTime" in query.sql and "$__toTime" in query.sql)
    if query.format == 0:
        assert re.search(r"ORDER BY time\b", query.sql)
        assert "$__timeInterval(" in query.sql


def test_every_query_file_is_used_and_every_used_file_is_there() -> None:
    folder = Path(grafana.__file__).parent / "queries"
    assert {load(file.stem) for file in folder.glob("*.sql")} == {query.sql for query in QUERIES}


def test_panels_wrap_at_the_grids_width_and_rows_follow_each_other() -> None:
    def panel(id: int, width: int, height: int) -> Panel:
        return Panel(id, "stat", "t", "d", Query("SELECT 1", Format.TABLE), width, height, {})

    placed = list(Row(1, "row", [panel(2, 12, 4), panel(3, 12, 6), panel(4, 8, 2)]).compile(y=10))
    assert [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in placed] == [(0, 10), (0, 11), (12, 11), (0, 17)]
