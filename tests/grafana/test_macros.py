"""The plugin's expansions, word for word."""

import pytest

from tests.grafana.macros import ALL, View, expand

VIEW = View(
    from_ms=1_700_000_000_500,
    to_ms=1_700_003_600_500,
    interval_ms=90_000,
    variables={"model": ["gpt-4o", "o'brien"], "tenant": "acme", "service": [ALL], "empty": ""},
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__timeFilter(ts)", "ts >= toDateTime(1700000000) AND ts <= toDateTime(1700003600)"),
        (
            "$__timeFilter_ms(ts)",
            "ts >= fromUnixTimestamp64Milli(1700000000500) AND ts <= fromUnixTimestamp64Milli(1700003600500)",
        ),
        ("$__dateFilter(d)", "d >= toDate('2023-11-14') AND d <= toDate('2023-11-14')"),
        (
            "$__dt(d, ts)",
            "(d >= toDate('2023-11-14') AND d <= toDate('2023-11-14')) AND "
            "(ts >= toDateTime(1700000000) AND ts <= toDateTime(1700003600))",
        ),
        ("f($__fromTime, $__toTime)", "f(toDateTime(1700000000), toDateTime(1700003600))"),
        ("$__fromTime_ms", "fromUnixTimestamp64Milli(1700000000500)"),
        ("$__timeInterval(g(a, b))", "toStartOfInterval(toDateTime(g(a, b)), INTERVAL 90 second)"),
        ("$__timeInterval_ms(ts)", "toStartOfInterval(toDateTime64(ts, 3), INTERVAL 90000 millisecond)"),
        ("STEP $__interval_s)", "STEP 90)"),
        ("$__timeFrom(ts)", "ts >= toDateTime(1700000000)"),
        ("$__timeGroup(ts, 5m)", "toStartOfInterval(toDateTime(ts), INTERVAL 300 second)"),
        ("model IN (${model:singlequote})", "model IN ('gpt-4o','o\\'brien')"),
        ("$__conditionalAll(model IN (${model:singlequote}), $model)", "model IN ('gpt-4o','o\\'brien')"),
        ("$__conditionalAll(service IN (${service:singlequote}), $service)", "1=1"),
        ("$__conditionalAll(x = ${empty:singlequote}, ${empty})", "1=1"),
    ],
)
def test_expands_as_the_plugin_does(sql: str, expected: str) -> None:
    assert expand(sql, VIEW) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "$__unknown(ts)",
        "$model",
        "${model}",
        "${service:singlequote}",
        "$__conditionalAll(model IN (${model:singlequote}), ${model:singlequote})",
        "$__timeInterval(a, b)",
        "$__timeFilter(a",
    ],
)
def test_refuses_what_would_reach_clickhouse_wrongly(sql: str) -> None:
    with pytest.raises(ValueError, match=r"nobody|needs the format|All reaches|bare variable|takes 1|unbalanced"):
        expand(sql, VIEW)
