"""One contract, both stores: the embedded one, and a server, for which the embedded endpoint stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from storage.embedded import EmbeddedStore
from storage.store import Store, StoreError, open_store
from tests.storage.conftest import Endpoint


@pytest.fixture(params=["embedded", "server"])
def either(request: pytest.FixtureRequest, store: EmbeddedStore, endpoint: Endpoint) -> Iterator[Store]:
    if request.param == "embedded":
        yield store
    else:
        remote = open_store(f"clickhouse://writer:writer@127.0.0.1:{endpoint.port}/llm")
        yield remote
        remote.close()


def test_rows_come_back_as_they_were_inserted(either: Store, table: Callable[[str], str]) -> None:
    name = table("a UInt64, b String, c Array(String), d Map(String, String), e Nullable(Float64)")
    either.insert(name, b'{"a":18446744073709551615,"b":"it\'s","c":["x"],"d":{"k":"v"}}\n', fmt="JSONEachRow")
    assert either.rows(f"SELECT * FROM {name}") == [
        {"a": 18446744073709551615, "b": "it's", "c": ["x"], "d": {"k": "v"}, "e": None}
    ]


def test_the_sql_may_name_its_own_format(either: Store) -> None:
    assert either.query("SELECT 1 AS x, 'a' AS y FORMAT CSV") == b'1,"a"\n'
    assert either.query("SELECT 1 AS x", fmt="TSV") == b"1\n"
    assert either.query("SELECT 1 AS x WHERE 0") == b""


@pytest.mark.parametrize("text", ["", "it's", 'a "quote"', "back\\slash", "tab\tline\nreturn\r", "émoji 🙂", "{x}"])
def test_text_parameters_arrive_unchanged(either: Store, text: str) -> None:
    assert either.rows("SELECT {p:String} AS p", params={"p": text}) == [{"p": text}]


def test_array_and_number_parameters_are_literals(either: Store) -> None:
    sql = "SELECT {a:Array(String)} AS a, {m:Map(String, UInt8)} AS m, {n:Int64} AS n"
    params = {"a": r"['it\'s', 'b']", "m": "{'k':1}", "n": "-5"}
    assert either.rows(sql, params=params) == [{"a": ["it's", "b"], "m": {"k": 1}, "n": -5}]


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELECT * FROM no_such_table", 60, "UNKNOWN_TABLE"),
        ("SELECT nope", 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1, 'on (purpose)')", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("DROP TABLE IF EXISTS no_such_table", 164, "READONLY"),
        ("SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", 164, "READONLY"),
    ],
)
def test_failures_carry_the_code_and_name_of_clickhouse(either: Store, sql: str, code: int, name: str) -> None:
    with pytest.raises(StoreError) as failure:
        either.query(sql)
    assert (failure.value.code, failure.value.name) == (code, name)
    assert failure.value.message.startswith(f"Code: {code}. DB::Exception: ")
    assert failure.value.message.endswith(f"({name})")


def test_an_insert_that_cannot_be_parsed_stores_nothing_and_the_next_one_works(
    either: Store, table: Callable[[str], str]
) -> None:
    name = table("a UInt64")
    with pytest.raises(StoreError) as failure:
        either.insert(name, b"1\nx\n", fmt="TSV")
    assert failure.value.code == 27
    assert either.rows(f"SELECT count() AS n FROM {name}") == [{"n": 0}]
    either.insert(name, b"1\n2\n", fmt="TSV")
    assert either.rows(f"SELECT count() AS n FROM {name}") == [{"n": 2}]


def test_an_insert_fails_when_a_view_behind_the_table_fails(either: Store, table: Callable[[str], str]) -> None:
    name, target = table("a UInt64"), table("a UInt64")
    view = f"{name}_view"
    select = f"SELECT a + throwIf(a = 13, 'unlucky') AS a FROM {name}"
    either.execute(f"CREATE MATERIALIZED VIEW {view} TO {target} AS {select}")
    try:
        either.insert(name, b"1\n", fmt="TSV")
        with pytest.raises(StoreError, match="unlucky"):
            either.insert(name, b"13\n", fmt="TSV")
        assert either.rows(f"SELECT a FROM {target}") == [{"a": 1}]
    finally:
        either.execute(f"DROP VIEW {view}")


def test_an_empty_insert_stores_nothing_and_fails_nothing(either: Store, table: Callable[[str], str]) -> None:
    name = table("a UInt64")
    either.insert(name, b"", fmt="TSV")
    assert either.rows(f"SELECT count() AS n FROM {name}") == [{"n": 0}]


def test_settings_travel_with_the_insert(either: Store, table: Callable[[str], str]) -> None:
    name = table("a UInt64, b String")
    proto = 'syntax = "proto3"; message Row { uint64 a = 1; string b = 2; }  // it\'s \\ quoted'
    settings = {"format_schema_source": "string", "format_schema": proto, "format_schema_message_name": "Row"}
    either.insert(name, b"\x05\x08\x07\x12\x01x", fmt="Protobuf", settings=settings)
    assert either.rows(f"SELECT * FROM {name}") == [{"a": 7, "b": "x"}]
    with pytest.raises(StoreError, match="UNKNOWN_SETTING"):
        either.insert(name, b"1\tx\n", fmt="TSV", settings={"no_such_setting": 1})


def test_a_retried_insert_with_the_same_token_is_stored_once(either: Store) -> None:
    either.execute(
        "CREATE TABLE test_token (a UInt64) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    try:
        for _ in range(3):
            either.insert("test_token", b"1\n", fmt="TSV", settings={"insert_deduplication_token": "it's"})
        assert either.rows("SELECT count() AS n FROM test_token") == [{"n": 1}]
    finally:
        either.execute("DROP TABLE test_token")


def test_a_dictionary_can_be_filled_and_reloaded(either: Store, table: Callable[[str], str]) -> None:
    name = table("k String, v String")
    either.execute(
        f"CREATE DICTIONARY test_dictionary (k String, v String) PRIMARY KEY k "
        f"SOURCE(CLICKHOUSE(TABLE '{name}' DB 'llm')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)"
    )
    try:
        either.insert(name, b"a\tb\n", fmt="TSV")
        either.execute("SYSTEM RELOAD DICTIONARY test_dictionary")
        assert either.rows("SELECT dictGet('llm.test_dictionary', 'v', 'a') AS v") == [{"v": "b"}]
    finally:
        either.execute("DROP DICTIONARY test_dictionary")


def test_a_server_that_is_not_there_is_a_store_error_without_the_password() -> None:
    with pytest.raises(StoreError) as failure:
        open_store("clickhouse://u:secret@127.0.0.1:1/llm")
    assert failure.value.code == 0
    assert "secret" not in str(failure.value)


def test_a_missing_database_is_created(store: EmbeddedStore, endpoint: Endpoint) -> None:
    remote = open_store(f"clickhouse://writer:writer@127.0.0.1:{endpoint.port}/test%20new")
    try:
        assert remote.rows("SELECT currentDatabase() AS d") == [{"d": "test new"}]
    finally:
        remote.close()
        store.execute("DROP DATABASE `test new`")


def test_a_user_who_may_only_read_can_open_a_server(endpoint: Endpoint) -> None:
    remote = open_store(f"clickhouse://reader:reader@127.0.0.1:{endpoint.port}/llm")
    try:
        assert remote.rows("SELECT 1 AS x") == [{"x": 1}]
        with pytest.raises(StoreError, match="READONLY"):
            remote.execute("CREATE TABLE test_forbidden (a UInt8) ENGINE = Memory")
    finally:
        remote.close()


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("chdb://relative/dir", "absolute directory"),
        ("chdb:///", "absolute directory"),
        ("chdb:///tmp/x?y=1", "cannot contain"),
        ("/var/lib/hub", "chdb://"),
        ("postgres://x", "clickhouse://"),
        ("clickhouse:///llm", "names no host"),
        ("clickhouse://h:99999/llm", "port"),
        ("clickhouse://h/llm?tls=1", "unknown option 'tls'"),
    ],
)
def test_a_wrong_dsn_is_explained(dsn: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        open_store(dsn)
