"""Every query of every dashboard, run by the real engine as a read-only user."""

from itertools import pairwise

import pytest

from tests.grafana.engine import Frame, Grafana
from tests.grafana.queries_of import QUERIES, DashboardQuery
from tests.grafana.seed import NEIGHBOUR

# Minutes, and the interval in seconds that Grafana chooses for them.
RANGES = [(1, 60), (5, 60), (6 * 60, 60), (30 * 24 * 60, 3600)]

every_query = pytest.mark.parametrize("query", QUERIES, ids=str)
every_panel = pytest.mark.parametrize("query", [query for query in QUERIES if query.kind == "panel"], ids=str)


@every_query
@pytest.mark.parametrize(("minutes", "interval"), RANGES)
def test_runs_on_an_empty_store(query: DashboardQuery, minutes: int, interval: int, empty: Grafana) -> None:
    frame = empty.ask(query.sql, minutes=minutes, interval=interval, chosen={"tenant": ""})
    _check_shape(query, frame)


@every_query
@pytest.mark.parametrize(("minutes", "interval"), RANGES[2:])
def test_shows_something_on_a_seeded_store(query: DashboardQuery, minutes: int, interval: int, seeded: Grafana) -> None:
    frame = seeded.ask(query.sql, minutes=minutes, interval=interval)
    _check_shape(query, frame)
    assert frame.rows
    for column in frame.types:
        assert any(row[column] is not None for row in frame.rows), f"{column} is always empty"


@every_query
def test_runs_with_one_value_and_with_several_values_chosen(query: DashboardQuery, seeded: Grafana) -> None:
    chosen = {"environment": ["production"], "service": ["search", "batch-summaries"]}
    frame = seeded.ask(query.sql, minutes=30 * 24 * 60, interval=3600, chosen=chosen)
    _check_shape(query, frame)
    assert frame.rows or query.kind == "annotation"


@every_query
def test_runs_for_names_with_quotes_in_them(query: DashboardQuery, seeded: Grafana) -> None:
    seeded.ask(query.sql, chosen={"tenant": NEIGHBOUR, "model": ["o'brien-7b"], "provider": ["self hosted"]})


@every_panel
def test_every_table_column_is_described_and_every_description_has_its_column(
    query: DashboardQuery, seeded: Grafana
) -> None:
    described = [override["matcher"]["options"] for override in query.panel["fieldConfig"]["overrides"]]
    assert len(described) == len(set(described))
    if query.panel["type"] == "table":
        assert described == list(seeded.ask(query.sql).types)


def _check_shape(query: DashboardQuery, frame: Frame) -> None:
    for column, type_ in frame.types.items():
        assert not type_.startswith(("Map", "Array", "Tuple", "JSON", "Variant", "Dynamic", "AggregateFunction")), (
            column
        )
    if query.format == 0:
        _check_time_series(frame)
    if query.panel.get("type") == "stat":
        assert len(frame.types) == 1
        assert len(frame.rows) <= 1


def _check_time_series(frame: Frame) -> None:
    (time, time_type), *others = frame.types.items()
    assert (time, time_type) == ("time", "DateTime")
    labels = [column for column, type_ in others if "String" in type_]
    numbers = [column for column, type_ in others if column not in labels]
    assert labels in ([], ["series"])
    assert numbers == ["Value"] if labels else numbers
    assert all("Int" in frame.types[column] or "Float" in frame.types[column] for column in numbers)
    keys = [(row["time"], *(row[label] for label in labels)) for row in frame.rows]
    assert all(earlier < later for earlier, later in pairwise(keys)), "not ascending, or twice the same point"
    assert not any("" in key for key in keys), "a series without a name"
