"""docs/tables.md is the schema, column by column, and every SQL example runs on it."""

from __future__ import annotations

import re

import pytest

from storage import schema
from storage.embedded import EmbeddedStore
from tests.docs.documents import DOCUMENTS, blocks, code, command_lines, document, rows, section

TEXT = document("docs/tables.md")
TABLES = (
    "llm_calls",
    "llm_steps",
    "llm_calls_1m",
    "llm_unapproved_models",
    "llm_gaps",
    "llm_unmapped",
    "llm_events",
    "llm_call_content",
    "llm_content",
    "llm_call_messages",
    "llm_service_entries",
    "llm_services",
    "dead_letters",
    "rejected_records",
    "ingest_requests",
    "ingest_ledger",
    "otel_traces",
    "otel_logs",
)
METRIC_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
QUERIES = [
    pytest.param(query, id=f"{path.name}: {' '.join(query.split())[:60]}")
    for path in DOCUMENTS
    for text in [path.read_text(encoding="utf-8")]
    for query in [
        *blocks(text, "sql"),
        *(
            arguments[arguments.index("query") + 1]
            for arguments in command_lines(text, "llmhub")
            if "query" in arguments
        ),
    ]
]


def columns(store: EmbeddedStore, table: str) -> list[tuple[str, str]]:
    sql = (
        "SELECT name, type FROM system.columns "
        "WHERE database = {db:String} AND table = {table:String} ORDER BY position"
    )
    return [(row["name"], row["type"]) for row in store.rows(sql, params={"db": store.database, "table": table})]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_with_its_type(llm_store: EmbeddedStore, table: str) -> None:
    documented = rows(section(TEXT, table))
    assert [(code(name), code(kind)) for name, kind, _ in documented] == columns(llm_store, table)
    assert all(meaning for _, _, meaning in documented)


@pytest.mark.parametrize("kind", METRIC_KINDS)
def test_every_column_of_a_metric_table_is_documented(llm_store: EmbeddedStore, kind: str) -> None:
    documented = {
        (code(name), code(type_))
        for name, type_, tables, meaning in rows(section(TEXT, "otel_metrics"))
        if meaning and (tables == "all" or kind in tables.split(", "))
    }
    assert documented == set(columns(llm_store, f"otel_metrics_{kind}"))


def test_every_table_and_dictionary_is_mentioned() -> None:
    statements = "\n".join(statement for m in schema.migrations("llm") for statement in m.statements)
    created = re.findall(r"^CREATE (?:TABLE|DICTIONARY) IF NOT EXISTS (\w+)", statements, re.MULTILINE)
    mentioned = set(re.findall(r"\w+", TEXT))
    assert created
    assert set(created) | {"schema_migrations"} <= mentioned


def test_the_chain_of_views_is_in_the_architecture() -> None:
    statements = "\n".join(statement for m in schema.migrations("llm") for statement in m.statements)
    filled = re.findall(r"^CREATE MATERIALIZED VIEW IF NOT EXISTS \w+ TO (\w+)", statements, re.MULTILINE)
    views = re.findall(r"^CREATE VIEW IF NOT EXISTS (\w+)", statements, re.MULTILINE)
    text = section(document("docs/architecture.md"), "The chain of views")
    shown = {*re.findall(r"\w+", text), *(f"otel_metrics{kind}" for kind in re.findall(r" (_\w+)", text))}
    assert filled
    assert views
    assert {*filled, *views} <= shown


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_runs(llm_store: EmbeddedStore, query: str) -> None:
    llm_store.query(query)
