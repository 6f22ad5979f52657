"""clickhouse-connect over HTTP, unmodified, against the live endpoint."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import clickhouse_connect
import pandas as pd  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.storage.conftest import Endpoint


def connect(endpoint: Endpoint, user: str, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=endpoint.port, username=user, password=user, database="llm", **options
    )


@pytest.fixture
def reader(endpoint: Endpoint) -> Iterator[Client]:
    with connect(endpoint, "reader") as client:
        yield client


def test_rows_have_their_types(reader: Client) -> None:
    sql = (
        "SELECT toUInt64(18446744073709551615) AS u, 'x' AS s, [1, 2] AS a, map('k', 'v') AS m, "
        "toDate('2026-01-02') AS d, "
        "toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC') AS t, NULL AS n, toDecimal64('1.50', 2) AS c, true AS b"
    )
    row = next(iter(reader.query(sql).named_results()))
    assert row["u"] == 18446744073709551615
    assert (row["s"], row["a"], row["m"], row["n"], row["b"]) == ("x", [1, 2], {"k": "v"}, None, True)
    assert row["d"] == dt.date(2026, 1, 2)
    assert row["t"].replace(tzinfo=None) == dt.datetime(2026, 1, 2, 3, 4, 5, 678000)
    assert str(row["c"]) == "1.50"


def test_parameters_are_bound_on_the_server(reader: Client) -> None:
    sql = "SELECT {s:String} AS s, {a:Array(String)} AS a, {t:DateTime} AS t"
    when = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    row = next(iter(reader.query(sql, parameters={"s": "it's\t\\", "a": ["x'y"], "t": when}).named_results()))
    assert (row["s"], row["a"]) == ("it's\t\\", ["x'y"])


def test_a_large_result_arrives_whole_as_a_data_frame(reader: Client) -> None:
    frame = reader.query_df("SELECT number AS n, toString(number) AS s FROM numbers(200000)")
    assert len(frame) == 200_000
    assert int(frame["n"].sum()) == sum(range(200_000))


def test_limit_0_tells_the_columns(reader: Client) -> None:
    result = reader.query("SELECT 1 AS x, 'a' AS y LIMIT 0")
    assert result.column_names == ("x", "y")
    assert result.result_rows == []


def test_commands_answer(reader: Client) -> None:
    assert reader.command("SELECT 1") == 1
    assert reader.ping()
    assert str(reader.server_version)[0].isdigit()


def test_errors_carry_code_and_name(reader: Client) -> None:
    with pytest.raises(DatabaseError) as failure:
        reader.query("SELECT * FROM no_such_table")
    assert (failure.value.code, failure.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(DatabaseError) as failure:
        reader.command("CREATE TABLE x (a UInt8) ENGINE = Memory")
    assert failure.value.code == 164


def test_a_wrong_password_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(DatabaseError) as failure:
        clickhouse_connect.get_client(host="127.0.0.1", port=endpoint.port, username="reader", password="wrong")
    assert failure.value.code == 516


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_inserts_arrive_in_every_compression(
    endpoint: Endpoint, table: Callable[[str], str], compress: bool | str
) -> None:
    name = table("a UInt64, s String, m Map(String, String), t DateTime64(9)")
    with connect(endpoint, "writer", compress=compress) as writer:
        when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        summary = writer.insert(name, [[n, f"s{n}", {"k": str(n)}, when] for n in range(1000)], ["a", "s", "m", "t"])
        assert summary.written_rows == 1000
        writer.insert_df(name, pd.DataFrame({"a": [5000], "s": ["df"], "m": [{}], "t": [when]}))
        rows = writer.query(f"SELECT count(), sum(a), any(m['k'] = toString(a)) FROM {name} WHERE a < 5000").result_rows
        assert rows == [(1000, 499500, 1)]
        assert writer.query(f"SELECT s FROM {name} WHERE a = 5000").result_rows == [("df",)]


def test_a_query_may_be_sent_as_a_form(endpoint: Endpoint) -> None:
    with connect(endpoint, "reader", form_encode_query_params=True) as client:
        assert client.query("SELECT {x:String} AS x", parameters={"x": "é'"}).result_rows == [("é'",)]
