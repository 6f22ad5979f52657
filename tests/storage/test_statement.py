from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.embedded import EmbeddedStore
from storage.endpoint.execute import Engine
from storage.endpoint.inserts import Insert, split_insert
from storage.statement import check_write, named_format, quote, quote_name, settings_list
from storage.store import StoreError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2", Insert("INSERT INTO t ", "CSV", b"1,2")),
        (b"insert into t format CSV \t\r\n\n1", Insert("insert into t ", "CSV", b"\n1")),
        (b"INSERT INTO t (format) FORMAT Native\n\x00\xff", Insert("INSERT INTO t (format) ", "Native", b"\x00\xff")),
        (b"INSERT INTO format FORMAT TSV 1", Insert("INSERT INTO format ", "TSV", b"1")),
        (b"INSERT INTO d.values VALUES (1)", Insert("INSERT INTO d.values ", "Values", b" (1)")),
        (b"INSERT INTO TABLE `a b`.`c` FORMAT TSV\n", Insert("INSERT INTO TABLE `a b`.`c` ", "TSV", b"")),
        (b"/* FORMAT X */ INSERT INTO t FORMAT TSV\n1", Insert("/* FORMAT X */ INSERT INTO t ", "TSV", b"1")),
        (
            b"INSERT INTO t SETTINGS format_schema = 'FORMAT X \\' VALUES' FORMAT Protobuf\n\x01",
            Insert("INSERT INTO t SETTINGS format_schema = 'FORMAT X \\' VALUES' ", "Protobuf", b"\x01"),
        ),
        ("INSERT INTO `é` FORMAT TSV\né".encode(), Insert("INSERT INTO `é` ", "TSV", "é".encode())),
        (b"INSERT INTO t SELECT 1 FORMAT CSV", None),
        (b"INSERT INTO t WITH 1 AS x SELECT x", None),
        (b"SELECT 1 FORMAT CSV", None),
        (b"", None),
    ],
)
def test_an_insert_is_told_from_its_data(text: bytes, expected: Insert | None) -> None:
    assert split_insert(text) == expected


@given(st.binary(max_size=200))
def test_the_data_of_an_insert_is_never_looked_into(data: bytes) -> None:
    expected = Insert("INSERT INTO t (a) ", "RowBinary", data)
    assert split_insert(b"INSERT INTO t (a) FORMAT RowBinary\n" + data) == expected


def test_an_insert_without_a_format_is_a_syntax_error() -> None:
    with pytest.raises(StoreError, match="SYNTAX_ERROR"):
        split_insert(b"INSERT INTO t (a, b)")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_quoted_text_is_read_back_as_it_was(store: EmbeddedStore, text: str) -> None:
    assert store.rows(f"SELECT {quote(text)} AS {quote_name('a`b')}, {{p:String}} AS p", params={"p": text}) == [
        {"a`b": text, "p": text}
    ]


def test_a_setting_name_cannot_carry_sql() -> None:
    assert settings_list({"a": 1, "b_2": "it's"}) == "a = 1, b_2 = 'it\\'s'"
    with pytest.raises(StoreError, match="UNKNOWN_SETTING"):
        settings_list({"a = 1, b": 2})


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format CSV ;", "CSV"),
        ("SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        ("SELECT 'FORMAT JSON' -- FORMAT CSV", ""),
        ("SELECT format('{}', 1)", ""),
    ],
)
def test_the_format_that_a_statement_names_is_known(sql: str, name: str) -> None:
    assert named_format(sql) == name


@pytest.fixture(scope="module")
def engine(store: EmbeddedStore) -> Engine:
    return Engine.ask(store, "test")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS file('/etc/passwd')",
        "CREATE TABLE x (`a` String) ENGINE = File(CSV)",
        "CREATE TABLE x (`a` String) ENGINE = URL('http://x', CSV)",
        "CREATE TABLE x (`a` String) ENGINE = Kafka SETTINGS kafka_broker_list = 'x'",
        "CREATE DATABASE x ENGINE = Filesystem('/')",
        "CREATE DICTIONARY d (`a` UInt8) PRIMARY KEY a SOURCE(HTTP(URL 'http://x' FORMAT CSV)) LAYOUT(FLAT())",
        "CREATE DICTIONARY d (`a` UInt8) PRIMARY KEY a SOURCE(EXECUTABLE(COMMAND 'id' FORMAT CSV)) LAYOUT(FLAT())",
        "INSERT INTO FUNCTION url('http://x', CSV, 'a String') SELECT 1",
        "INSERT INTO t SELECT * FROM s3('http://x')",
        "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        "SELECT * FROM t INTO OUTFILE '/tmp/x'",
        "CREATE FUNCTION f AS x -> file(x)",
        "CREATE VIEW v AS SELECT * FROM remote('other', 'd.t')",
        "SELECT * FROM python(x)",
        "SYSTEM SHUTDOWN",
        "SET max_threads = 1",
        "ATTACH TABLE t",
        "BACKUP TABLE t TO Disk('x', 'y')",
        "KILL QUERY WHERE 1",
    ],
)
def test_a_writer_cannot_reach_beyond_the_store(engine: Engine, sql: str) -> None:
    with pytest.raises(StoreError, match="ACCESS_DENIED"):
        check_write(sql, engine.host_names)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x (`url` String, `s3` String) ENGINE = ReplacingMergeTree ORDER BY url",
        "CREATE MATERIALIZED VIEW v TO t AS SELECT * FROM u WHERE a = url",
        "INSERT INTO t (url, a) FORMAT Native",
        "INSERT INTO t SELECT number FROM numbers(10)",
        "SELECT 'file' FROM merge('llm', 'otel')",
        "SYSTEM RELOAD DICTIONARY d",
        "ALTER TABLE t ADD COLUMN `x` String",
        "OPTIMIZE TABLE t FINAL",
    ],
)
def test_a_writer_may_do_what_collectors_do(engine: Engine, sql: str) -> None:
    check_write(sql, engine.host_names)
